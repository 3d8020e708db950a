"""An account with a few plans and subscriptions in either mode, the same for the same plan."""

from sandbox.razorpay import subscriptions
from sandbox.razorpay.state import Account
from sandbox.vendor import SeedPlan

PLANS = (
    ("monthly", 1, "Standard", 118_000),
    ("yearly", 1, "Standard, a year", 1_180_000),
    ("weekly", 2, "Milk", 35_050),
)


def seed_account(plan: SeedPlan) -> Account:
    """Make it."""
    account = Account(seed=plan.seed)
    for book in account.books.values():
        for period, interval, name, amount in PLANS:
            item = {"name": name, "amount": amount, "currency": "INR"}
            made = subscriptions.make_plan(account, book, {"period": period, "interval": interval, "item": item})
            subscriptions.subscribe(account, book, {"plan_id": made["id"], "total_count": 12})
    return account
