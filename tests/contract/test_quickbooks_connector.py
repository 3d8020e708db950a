"""QuickBooks' connector keeps the contract, against the sandbox's company; and what only QuickBooks does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest
import requests

from erpflow.testing import ConnectorContract, WritableVendor
from tests.contract.quickbooks_vendor import QuickBooksCompany
from tests.contract.sandboxes import sandbox

SMALL = ("--customers", "30", "--items", "14", "--orders", "60")


@pytest.fixture(scope="session")
def quickbooks_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("quickbooks", *SMALL, folder=tmp_path_factory.mktemp("quickbooks")) as url:
        yield url


@pytest.fixture
def company(quickbooks_url: str) -> Iterator[QuickBooksCompany]:
    """The company, put back to its first state."""
    with requests.Session() as session:
        found = QuickBooksCompany(quickbooks_url, session)
        session.post(f"{quickbooks_url}/_sandbox/reset", json={"vendor": "quickbooks"}).raise_for_status()
        yield found


class TestQuickBooks(ConnectorContract):
    system = "quickbooks"
    writable = ("customer", "product", "invoice", "payment", "order", "estimate")
    unique: ClassVar[Mapping[str, str]] = {
        "customer": "DisplayName",
        "product": "Name",
        "invoice": "DocNumber",
        "order": "DocNumber",
        "estimate": "DocNumber",
    }

    @pytest.fixture
    def vendor(self, company: QuickBooksCompany) -> WritableVendor:
        return company
