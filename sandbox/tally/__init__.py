"""A TallyPrime with two companies open: XML over HTTP, one request at a time, HTTP 200 to everything."""

from sandbox.tally.api import create_app
from sandbox.tally.company import Office
from sandbox.tally.control import control_routes
from sandbox.tally.seeding import seed_office as seed

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "tally"


def counts(office: Office) -> dict[str, int]:
    """How many records of each kind the first company began with."""
    return {kind: found["records"] for kind, found in office.expected.items()}
