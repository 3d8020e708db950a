"""MSG91: SMS by Flow, WhatsApp templates in bulk, the WhatsApp templates of a number, and the balance.

What becomes of each message is worked out when it is taken, as the delivery reports would say it. Left out: sending
those reports (webhooks in four forms), OTP, sessions of WhatsApp, promotional hours, the older sending endpoints.
"""

from sandbox.msg91.account import Account, fresh_account
from sandbox.msg91.api import create_app
from sandbox.sending import control_routes
from sandbox.vendor import SeedPlan

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "msg91"


def seed(plan: SeedPlan) -> Account:
    """An account that has sent nothing."""
    return fresh_account(seed=plan.seed)


def counts(_: Account) -> dict[str, int]:
    """Nothing of it is synced."""
    return {}
