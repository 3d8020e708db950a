"""Fills a company with believable records: the same plan gives the same ones, byte for byte."""

from sandbox.metakocka.seeding.seed import seed_company

__all__ = ["seed_company"]
