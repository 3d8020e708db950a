"""An ERP with one JSON-RPC endpoint, after Odoo's external API: the method is in the body, errors come as HTTP 200.

What it imitates is in Odoo's public documentation ("External API", "ORM API"); docs/sandbox.md says what it leaves
out.
"""

from sandbox.odoo_demo.api import create_app
from sandbox.odoo_demo.control import control_routes
from sandbox.odoo_demo.database import Database
from sandbox.odoo_demo.seeding import seed_database as seed

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "odoo_demo"


def counts(database: Database) -> dict[str, int]:
    """How many customers, products and orders the database began with."""
    return dict(database.began_with)
