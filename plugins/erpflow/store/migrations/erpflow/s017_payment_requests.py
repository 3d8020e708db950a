"""What payment providers without idempotency keys were asked to make."""

from erpflow.store.migrate import run_script

revision = "s017"
down_revision = "s016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
