"""The contract every connector keeps, as a pytest class to subclass. This is its reading half.

A subclass names its `system` and gives a `vendor` fixture that returns a `VendorDouble`; nothing else is needed.
"""

from __future__ import annotations

from erpflow.testing.credentials import CredentialsContract
from erpflow.testing.data import DataContract
from erpflow.testing.outages import OutageContract
from erpflow.testing.paging import PagingContract


class ConnectorContract(CredentialsContract, PagingContract, OutageContract, DataContract):
    """Credentials, paging, windows, limits, outages, hostile data, secrets: what erpflow relies on."""
