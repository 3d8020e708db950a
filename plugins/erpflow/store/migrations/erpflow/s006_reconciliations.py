"""Reconciliations: both sides compared whole, and what was found."""

from erpflow.store.migrate import run_script

revision = "s006"
down_revision = "s005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
