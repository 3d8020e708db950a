"""A believable shop's data, the same for the same plan: products with stock and prices, customers and their orders."""

from sandbox.veekaart.seeding.shop import expected, seed_store

__all__ = ["expected", "seed_store"]
