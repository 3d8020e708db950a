"""A believable company's data, the same for the same plan: customers, items, orders, and hostile rows among them."""

from sandbox.erpnext.seeding.company import seed_site
from sandbox.erpnext.seeding.expectation import expected

__all__ = ["expected", "seed_site"]
