"""Messages that were handed to a vendor, so that none is sent twice."""

from erpflow.store.migrate import run_script

revision = "s015"
down_revision = "s014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
