"""Outgoing webhooks: who wants to be told of what, and each message until it is delivered."""

from erpflow.store.migrate import run_script

revision = "s011"
down_revision = "s010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
