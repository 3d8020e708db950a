"""Webhooks with their inbox, and the templates of transforms."""

from erpflow.store.migrate import run_script

revision = "s003"
down_revision = "s002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
