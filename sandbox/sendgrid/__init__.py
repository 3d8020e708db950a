"""Twilio SendGrid: mail/send with its rules, the scopes of a key, and dynamic templates to be looked at.

Left out: the event webhook (signed events of what became of a mail), suppressions, scheduled sends, editing templates.
"""

from sandbox.sendgrid.account import Account, fresh_account
from sandbox.sendgrid.api import create_app
from sandbox.sending import control_routes
from sandbox.vendor import SeedPlan

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "sendgrid"


def seed(plan: SeedPlan) -> Account:
    """An account that has sent nothing."""
    return fresh_account(seed=plan.seed)


def counts(_: Account) -> dict[str, int]:
    """Nothing of it is synced."""
    return {}
