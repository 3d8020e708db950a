"""Row-level security between tenants, who belongs to one, and answers that a repeated request gets again."""

from erpflow.store.migrate import run_script

revision = "s009"
down_revision = "s008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
