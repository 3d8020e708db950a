"""A SAP Business One company behind its Service Layer, v1 and v2."""

from sandbox.sap_b1.api import create_app
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.control import control_routes
from sandbox.sap_b1.seeding import seed_company as seed

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "sap_b1"


def counts(company: Company) -> dict[str, int]:
    """How many records of each kind the company began with."""
    return dict(company.expected["totals"])
