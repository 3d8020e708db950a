"""A company at Metakocka, as its public documentation and the clients of others show it."""

from sandbox.metakocka.api import create_app
from sandbox.metakocka.company import Company
from sandbox.metakocka.control import control_routes
from sandbox.metakocka.seeding import seed_company as seed
from sandbox.metakocka.seeding.expectation import expected

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "metakocka"


def counts(company: Company) -> dict[str, int]:
    """How many partners, products, levels of stock and documents a client finds."""
    return {entity: found["total"] for entity, found in expected(company).items()}
