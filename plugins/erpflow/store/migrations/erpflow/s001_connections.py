"""Tenants, connections, sync configs, and what a connection needs besides its secret."""

from erpflow.store.migrate import run_script

revision = "s001"
down_revision = None
branch_labels = ("state",)
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
