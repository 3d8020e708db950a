"""Razorpay: plans and subscriptions of two disjoint data sets, test and live, as its documentation has them."""

from sandbox.razorpay.api import create_app
from sandbox.razorpay.control import control_routes
from sandbox.razorpay.seeding import seed_account as seed
from sandbox.razorpay.state import Account

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "razorpay"


def counts(account: Account) -> dict[str, int]:
    """How many plans and subscriptions both data sets have."""
    books = account.books.values()
    return {
        "plan": sum(len(book.plans) for book in books),
        "subscription": sum(len(book.subscriptions) for book in books),
    }
