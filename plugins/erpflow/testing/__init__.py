"""What connector authors test with: the contract every connector keeps, and a server that answers as told.

Subclass `ConnectorContract`, give it a `vendor` fixture, and pytest runs the whole suite against your connector
(docs/how-to-write-a-connector.md).
"""

import pytest

for _part in (
    *("base", "changes", "credentials", "data", "deleting", "finding", "outages", "paging", "reading"),
    *("torn", "writing"),
):
    pytest.register_assert_rewrite(f"erpflow.testing.{_part}")

from erpflow.testing.contract import ConnectorContract  # noqa: E402  (its asserts are rewritten first)
from erpflow.testing.vendor import Fault, Fields, RecordingLimiter, VendorDouble, WritableVendor  # noqa: E402

__all__ = ["ConnectorContract", "Fault", "Fields", "RecordingLimiter", "VendorDouble", "WritableVendor"]
