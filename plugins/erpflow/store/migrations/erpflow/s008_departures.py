"""Requests that leave later than they were let through count from when they left."""

from erpflow.store.migrate import run_script

revision = "s008"
down_revision = "s007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
