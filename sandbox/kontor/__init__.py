"""Kontor: a company's own ERP with an ordinary REST API, which nobody sells; docs/systems/rest.md describes it."""

from sandbox.kontor.api import create_app
from sandbox.kontor.control import control_routes
from sandbox.kontor.seeding import seed_office as seed
from sandbox.kontor.store import Office

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "kontor"


def counts(office: Office) -> dict[str, int]:
    """How many customers, products and orders the office began with."""
    return dict(office.began_with)
