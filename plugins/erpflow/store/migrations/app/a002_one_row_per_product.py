"""What a storefront shows of a product: one number and one price, where the demo has a row a warehouse and a list."""

from erpflow.store.migrate import run_script

revision = "a002"
down_revision = "a001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
