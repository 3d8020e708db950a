"""Vendors' APIs as local servers, for the demo, the tests and the benchmark.

They imitate the vendors, never our clients.
"""
