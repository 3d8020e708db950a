"""The business tables of the demo. A user of erpflow has tables of their own, so this branch is optional."""

from erpflow.store.migrate import run_script

revision = "a001"
down_revision = None
branch_labels = ("demo",)
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
