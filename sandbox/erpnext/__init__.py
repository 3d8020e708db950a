"""An ERPNext site: Frappe 15 and ERPNext 15 as the captures in `tests/fixtures/erpnext_captures` show them."""

from sandbox.erpnext.api import create_app
from sandbox.erpnext.control import control_routes
from sandbox.erpnext.seeding import seed_site as seed

__all__ = ["control_routes", "create_app", "name", "seed"]

name = "erpnext"
