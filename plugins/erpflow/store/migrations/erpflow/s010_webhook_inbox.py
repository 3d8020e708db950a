"""Webhooks: an old secret for a while, where in a body what is, and what the drain and its readers look for."""

from erpflow.store.migrate import run_script

revision = "s010"
down_revision = "s009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
