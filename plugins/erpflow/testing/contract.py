"""The contract every connector keeps, as a pytest class to subclass.

A subclass names its `system` and gives a `vendor` fixture that returns a `VendorDouble`; nothing else is needed to test
what is read. For a connector that writes it also names the `writable` entities, and the fixture returns a
`WritableVendor`; one that reads deletions is tested for them because its data sheet says so.
"""

from __future__ import annotations

from erpflow.testing.credentials import CredentialsContract
from erpflow.testing.data import DataContract
from erpflow.testing.deleting import DeletedFeedContract
from erpflow.testing.finding import FindingContract
from erpflow.testing.outages import OutageContract
from erpflow.testing.paging import PagingContract
from erpflow.testing.torn import TornWritesContract
from erpflow.testing.writing import WritingContract


class ConnectorContract(
    CredentialsContract,
    PagingContract,
    OutageContract,
    DataContract,
    WritingContract,
    TornWritesContract,
    FindingContract,
    DeletedFeedContract,
):
    """Credentials, paging, windows, limits, outages, hostile data, writes, deletions, secrets: what erpflow needs."""
