"""Notifications, and what watching and retention look things up by."""

from erpflow.store.migrate import run_script

revision = "s004"
down_revision = "s003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
