"""What connector authors test with: the contract every connector keeps, and a server that answers as told.

Subclass `ConnectorContract`, give it a `vendor` fixture, and pytest runs the whole suite against your connector
(docs/how-to-write-a-connector.md).
"""

import pytest

for _part in ("base", "credentials", "data", "outages", "paging", "reading"):
    pytest.register_assert_rewrite(f"erpflow.testing.{_part}")

from erpflow.testing.contract import ConnectorContract  # noqa: E402  (its asserts are rewritten first)
from erpflow.testing.vendor import Fault, RecordingLimiter, VendorDouble  # noqa: E402

__all__ = ["ConnectorContract", "Fault", "RecordingLimiter", "VendorDouble"]
