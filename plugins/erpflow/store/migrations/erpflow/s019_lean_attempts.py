"""Attempts without the columns and indexes that nothing reads."""

from erpflow.store.migrate import run_script

revision = "s019"
down_revision = "s018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
