"""Metakocka's connector keeps the contract, against the sandbox's company; and what only Metakocka does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from erpflow.testing import ConnectorContract
from tests.contract.metakocka_vendor import MetakockaCompany


class TestMetakocka(ConnectorContract):
    system = "metakocka"
    entities = ("product", "contact", "inventory", "document")
    writable = ("contact", "product", "document")
    amountless = ("contact",)
    unique: ClassVar[Mapping[str, str]] = {
        "contact": "tax_id_number",
        "product": "code",
        "document": "buyer_order",
    }

    @pytest.fixture
    def vendor(self, metakocka: MetakockaCompany) -> MetakockaCompany:
        return metakocka


class TestDocumentsOfEveryType(ConnectorContract):
    """What holds of orders holds of offers and bills, each found its own way; of these the API writes little."""

    system = "metakocka"
    entities = ("document",)

    @pytest.fixture
    def vendor(self, metakocka: MetakockaCompany) -> MetakockaCompany:
        metakocka.document_types = ("sales_order", "sales_bill_domestic", "sales_offer", "sales_bill_credit_note")
        return metakocka
