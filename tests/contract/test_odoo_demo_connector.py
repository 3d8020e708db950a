"""An ERP with one JSON-RPC endpoint that a YAML file declares keeps the contract, against the sandbox's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest
import requests

from erpflow.connectors.network import VARIABLE
from erpflow.errors import AuthFailed
from erpflow.testing import ConnectorContract
from erpflow.testing.base import Connect
from erpflow.testing.changes import creation, read_back, write_all
from erpflow.testing.reading import read_all
from erpflow.testing.vendor import Credentials
from tests.contract.odoo_demo_vendor import KEY, OdooDemo
from tests.contract.sandboxes import sandbox

SMALL = ("--customers", "12", "--items", "8", "--orders", "9")


@pytest.fixture(scope="module")
def odoo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("odoo_demo", *SMALL, folder=tmp_path_factory.mktemp("odoo_demo")) as url:
        yield url


class TestOdooDemo(ConnectorContract):
    system = "odoo_demo"
    writable = ("customer", "product")
    unique: ClassVar[Mapping[str, str]] = {"product": "default_code"}

    @pytest.fixture(autouse=True)
    def private_networks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The sandbox is on this machine, where a declared system may not be unless it is said."""
        monkeypatch.setenv(VARIABLE, "true")

    @pytest.fixture
    def vendor(self, odoo_url: str) -> Iterator[OdooDemo]:
        with requests.Session() as session:
            yield OdooDemo(odoo_url, session)

    def test_one_login_serves_all_requests_of_a_connector(self, connect: Connect, vendor: OdooDemo) -> None:
        connector, before = connect(), vendor.asked()
        pages = read_all(connector, "product").pages
        read_all(connector, "customer")
        assert vendor.asked() - before <= 1 + len(pages) + 4

    def test_a_login_that_is_answered_with_false_is_refused(self, connect: Connect) -> None:
        connector = connect(Credentials("nobody@example.com", KEY, {"database": "odoo_demo"}))
        with pytest.raises(AuthFailed, match=r"login at .* was answered without uid"):
            read_all(connector, "customer")

    def test_a_connection_without_its_database_is_told_so_before_anything_is_sent(
        self, connect: Connect, vendor: OdooDemo
    ) -> None:
        before = vendor.asked()
        with pytest.raises(AuthFailed, match="has no Database"):
            read_all(connect(Credentials("erpflow@example.com", KEY)), "customer")
        assert vendor.asked() == before

    def test_an_order_brings_its_lines_with_their_products(self, connect: Connect) -> None:
        orders = read_all(connect(), "order").records
        assert all(
            line["product_id"]["default_code"].startswith("OD-") for order in orders for line in order["order_line"]
        )
        assert {len(order["order_line"]) for order in orders} - {0}

    def test_archived_records_are_read_too(self, connect: Connect, vendor: OdooDemo) -> None:
        (name,) = vendor.create("customer", 1)
        vendor.change("customer", name, {"active": False})
        assert name in read_all(connect(), "customer").ids
        assert read_back(connect(), "customer", [name])[name]["active"] is False

    def test_records_of_one_second_are_read_once_each(self, connect: Connect, vendor: OdooDemo) -> None:
        created = vendor.create("product", 3 * self.page_size)
        vendor.share_one_instant("product", created)
        names = [name for name in read_all(connect(), "product").ids if name in created]
        assert sorted(names) == sorted(created)

    def test_the_key_is_in_no_landed_page(self, connect: Connect, vendor: OdooDemo) -> None:
        write_all(connect(), "customer", [creation({**vendor.values_for("customer"), "comment": f"key: {KEY}"})])
        pages = read_all(connect(), "customer").pages
        assert KEY.encode() not in b"".join(page.raw for page in pages)
