"""Both directions: what two sides agreed on, tombstones, conflicts with their fields, rejects of a push."""

from erpflow.store.migrate import run_script

revision = "s005"
down_revision = "s004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
