"""People are told of what waits for them beside the syncs."""

from erpflow.store.migrate import run_script

revision = "s018"
down_revision = "s017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
