"""How old the secret of a connection is, so that people can be told to change it."""

from erpflow.store.migrate import run_script

revision = "s013"
down_revision = "s012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Run the statements beside this file."""
    run_script(__file__)
