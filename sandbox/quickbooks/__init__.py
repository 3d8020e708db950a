"""A QuickBooks Online company: the Accounting API v3 and Intuit's OAuth server, by their documentation."""

from sandbox.quickbooks.api import create_app
from sandbox.quickbooks.company import Company
from sandbox.quickbooks.control import control_routes
from sandbox.quickbooks.seeding import seed_company as seed

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "quickbooks"
ENTITIES = {
    "customer": "Customer",
    "product": "Item",
    "invoice": "Invoice",
    "payment": "Payment",
    "order": "SalesReceipt",
    "estimate": "Estimate",
}


def counts(company: Company) -> dict[str, int]:
    """How many records of each entity the company has, inactive ones included."""
    return {word: len(company.tables[entity]) for word, entity in ENTITIES.items()}
