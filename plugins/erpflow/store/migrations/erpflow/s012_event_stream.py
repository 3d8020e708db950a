"""What happens, as a stream of events that programs and pages follow."""

from erpflow.store.migrate import run_script

revision = "s012"
down_revision = "s011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
