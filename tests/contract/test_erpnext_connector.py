"""ERPNext's connector keeps the contract, against the sandbox's ERPNext site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import pytest

from erpflow.errors import PermissionDenied, RateLimited, VendorUnavailable
from erpflow.testing import ConnectorContract, RecordingLimiter, WritableVendor
from erpflow.testing.base import Connect
from erpflow.testing.reading import read_all
from erpflow.testing.vendor import Credentials

if TYPE_CHECKING:
    from tests.contract.conftest import ErpNextSite

NO_ROLES = Credentials("sandbox-noroles-key", "sandbox-noroles-secret")


class TestErpNext(ConnectorContract):
    system = "erpnext"
    writable = ("customer", "product", "order")
    unique: ClassVar[Mapping[str, str]] = {"customer": "custom_erpflow_id", "product": "item_code"}

    @pytest.fixture
    def vendor(self, erpnext_site: ErpNextSite) -> WritableVendor:
        erpnext_site.add_external_id()
        return erpnext_site

    def test_an_order_brings_its_lines_in_their_order(self, connect: Connect, erpnext_site: ErpNextSite) -> None:
        created = erpnext_site.create("order", 2 * self.page_size + 1)
        connector = connect()
        orders = {order["name"]: order for order in read_all(connector, "order").records}
        for name in created:
            assert [(line["idx"], line["qty"]) for line in orders[name]["items"]] == [(1, 1.0), (2, 2.0)]
            one = connector.read_one("order", name)
            assert one is not None
            assert [line["name"] for line in one["items"]] == [line["name"] for line in orders[name]["items"]]

    def test_a_page_of_documents_with_children_costs_two_requests(
        self, connect: Connect, erpnext_site: ErpNextSite, limiter: RecordingLimiter
    ) -> None:
        erpnext_site.create("order", 3 * self.page_size)
        limiter.acquired = 0
        pages = [page for page in read_all(connect(), "order").pages if page.count]
        assert limiter.acquired <= 1 + 2 * len(pages) + 1  # the zone, and a last look that may find nothing

    def test_a_customer_without_credit_limits_has_an_empty_list_of_them(
        self, connect: Connect, erpnext_site: ErpNextSite
    ) -> None:
        (name,) = erpnext_site.create("customer", 1)
        records = {record["name"]: record for record in read_all(connect(), "customer").records}
        assert records[name]["credit_limits"] == []

    def test_a_user_without_the_role_is_not_said_to_have_wrong_credentials(self, connect: Connect) -> None:
        connector = connect(NO_ROLES)
        assert connector.check().success
        with pytest.raises(PermissionDenied, match=r"noroles@example\.com"):
            read_all(connector, "customer")

    @pytest.mark.parametrize("switch", ["maintenance", "database_down"])
    def test_a_site_under_repair_is_an_outage(self, connect: Connect, erpnext_site: ErpNextSite, switch: str) -> None:
        erpnext_site.door("erpnext/switches", {switch: True})
        with pytest.raises(VendorUnavailable):
            read_all(connect(), "customer")

    def test_a_used_up_budget_of_server_time_pauses_the_connection(
        self, connect: Connect, erpnext_site: ErpNextSite, limiter: RecordingLimiter
    ) -> None:
        erpnext_site.create("customer", 3 * self.page_size)
        erpnext_site.door("erpnext/switches", {"rate_limit": [0.000001, 86400]})
        with pytest.raises(RateLimited) as raised:
            read_all(connect(), "customer")
        assert 0 < raised.value.retry_after <= 86_400
        assert raised.value.retry_after in limiter.pauses

    def test_names_that_need_encoding_are_read_one_by_one(self, connect: Connect, erpnext_site: ErpNextSite) -> None:
        connector = connect()
        for title in ("A/B?C#D%E&F", "Żółć 🎈 Sp. z o.o.", "100% cotton + silk"):
            docs = [{"customer_name": title, "customer_type": "Company"}]
            (name,) = erpnext_site.door("erpnext/insert", {"doctype": "Customer", "docs": docs})["names"]
            one = connector.read_one("customer", name)
            assert one is not None and one["customer_name"] == title
