"""An ERPNext site: Frappe 15 and ERPNext 15 as the captures in `tests/fixtures/erpnext_captures` show them."""

from sandbox.erpnext.api import create_app
from sandbox.erpnext.control import control_routes
from sandbox.erpnext.seeding import seed_site as seed
from sandbox.erpnext.site import Site

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "erpnext"


def counts(site: Site) -> dict[str, int]:
    """How many customers, products and orders the site has."""
    doctypes = {"customer": "Customer", "product": "Item", "order": "Sales Order"}
    return {word: len(site.tables[doctype]) for word, doctype in doctypes.items()}
