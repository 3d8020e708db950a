"""A VeeKaart storefront: the interchange contract of the sheet, and the profile that was seen at work."""

from sandbox.veekaart.api import create_app
from sandbox.veekaart.control import control_routes
from sandbox.veekaart.seeding import seed_store as seed
from sandbox.veekaart.store import Store

__all__ = ["control_routes", "counts", "create_app", "name", "seed"]

name = "veekaart"


def counts(store: Store) -> dict[str, int]:
    """How many products, stock rows and prices the store has."""
    words = {"product": "products", "inventory": "inventory", "price": "pricing"}
    return {word: len(store.tables[table]) for word, table in words.items()}
