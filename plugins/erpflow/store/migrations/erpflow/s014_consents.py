"""Consents under way: what the redirect of a vendor's page of consent is checked against."""

from erpflow.store.migrate import run_script

revision = "s014"
down_revision = "s013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
