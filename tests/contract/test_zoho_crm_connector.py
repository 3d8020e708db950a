"""Zoho CRM's connector keeps the contract, against the sandbox's organisation; and what only Zoho does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest
import requests

from erpflow.testing import ConnectorContract, WritableVendor
from tests.contract.sandboxes import sandbox
from tests.contract.zoho_crm_vendor import EXTERNAL_ID, SIZES, ZohoOrganisation


@pytest.fixture(scope="module")
def zoho_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("zoho_crm", "--customers", "1", folder=tmp_path_factory.mktemp("zoho")) as url:
        yield url


@pytest.fixture
def organisation(zoho_url: str) -> Iterator[ZohoOrganisation]:
    """The organisation, put back to its first state."""
    with requests.Session() as session:
        found = ZohoOrganisation(zoho_url, session)
        found.post("reset", {"vendor": "zoho_crm", "sizes": SIZES})
        found.door("clock", {"apart": 1})
        yield found


class TestZohoCrm(ConnectorContract):
    system = "zoho_crm"
    writable = ("customer", "contact", "lead", "product", "deal", "order", "invoice")
    unique: ClassVar[Mapping[str, str]] = {"customer": EXTERNAL_ID, "product": "Product_Code", "order": EXTERNAL_ID}

    @pytest.fixture
    def vendor(self, organisation: ZohoOrganisation) -> WritableVendor:
        return organisation
