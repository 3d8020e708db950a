"""Tokens that know why they cannot be renewed; limits of a vendor's account, shared by all its connections."""

from erpflow.store.migrate import run_script

revision = "s007"
down_revision = "s006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
