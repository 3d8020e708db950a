"""Returns of India's GST: what was generated, how far it came at the portal, and the sessions it was sent in."""

from erpflow.store.migrate import run_script

revision = "s016"
down_revision = "s015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
