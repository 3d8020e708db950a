"""A Zoho CRM organisation: accounts server, records, COQL, Bulk Read and notifications of API version 8.

Written from Zoho's public documentation, OpenAPI files and SDK as docs/systems/zoho_crm.md cites them.
"""

from sandbox.zoho_crm.api import create_app
from sandbox.zoho_crm.control import control_routes
from sandbox.zoho_crm.org import Org
from sandbox.zoho_crm.schema import ENTITIES
from sandbox.zoho_crm.seeding import seed_org as seed

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "zoho_crm"


def counts(org: Org) -> dict[str, int]:
    """How many records each module holds, by the plain word for it."""
    return {word: len(org.tables[module]) for word, module in ENTITIES.items()}
