"""What a sync leaves behind: logs, sync records, rejects, conflicts, push attempts, history."""

from erpflow.store.migrate import run_script

revision = "s002"
down_revision = "s001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
