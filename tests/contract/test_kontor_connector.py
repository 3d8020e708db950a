"""A REST ERP that a YAML file declares keeps the contract, against the sandbox's Kontor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest
import requests

from erpflow.connectors.base import Outcome
from erpflow.connectors.network import VARIABLE
from erpflow.errors import ConfigError, RateLimited
from erpflow.testing import ConnectorContract, RecordingLimiter
from erpflow.testing.base import Connect
from erpflow.testing.changes import creation, read_back, update, version_of, write, write_all
from erpflow.testing.reading import Reading, read_all
from tests.contract.kontor_vendor import KontorOffice
from tests.contract.sandboxes import sandbox

SMALL = ("--customers", "12", "--items", "8", "--orders", "9")


@pytest.fixture(scope="module")
def kontor_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("kontor", *SMALL, folder=tmp_path_factory.mktemp("kontor")) as url:
        yield url


class TestKontor(ConnectorContract):
    system = "kontor"
    writable = ("customer", "product", "order")
    unique: ClassVar[Mapping[str, str]] = {"product": "sku"}

    @pytest.fixture(autouse=True)
    def private_networks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The sandbox is on this machine, where a declared system may not be unless it is said."""
        monkeypatch.setenv(VARIABLE, "true")

    @pytest.fixture
    def vendor(self, kontor_url: str) -> Iterator[KontorOffice]:
        with requests.Session() as session:
            yield KontorOffice(kontor_url, session)

    def test_an_address_on_this_machine_is_refused_unless_it_is_allowed(
        self, connect: Connect, vendor: KontorOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv(VARIABLE)
        connector = connect()
        assert "private network" in connector.check().message
        with pytest.raises(ConfigError, match="allow_private_networks"):
            read_all(connector, "customer")
        assert not [path for path in vendor.asked() if "/kontor/" in path]

    def test_what_changes_while_pages_are_read_comes_once_more_and_nothing_else_does(
        self, connect: Connect, vendor: KontorOffice
    ) -> None:
        created = vendor.create("customer", 2 * self.page_size)

        def save_again(reading: Reading) -> None:
            if len(reading.pages) == 2:
                vendor.update("customer", created[-1])
                vendor.update("customer", reading.ids[0])

        reading = read_all(connect(), "customer", after_page=save_again)
        twice = sorted({name for name in reading.ids if reading.ids.count(name) > 1})
        assert twice == [reading.ids[0]]

    def test_an_order_brings_its_lines(self, connect: Connect, vendor: KontorOffice) -> None:
        (name,) = vendor.create("order", 1)
        order = read_back(connect(), "order", [name])[name]
        assert [(line["position"], line["quantity"]) for line in order["lines"]] == [(1, 2), (2, 1)]

    def test_fifty_new_customers_are_one_request(self, connect: Connect, vendor: KontorOffice) -> None:
        before = vendor.asked().get("POST /kontor/api/v1/customers/batch", 0)
        write_all(connect(), "customer", [creation(vendor.values_for("customer")) for _ in range(50)])
        assert vendor.asked()["POST /kontor/api/v1/customers/batch"] == before + 1

    def test_a_refused_field_is_named(self, connect: Connect, vendor: KontorOffice) -> None:
        results = write(connect(), "customer", [creation(vendor.bad_values("customer"))])
        assert [(problem.field, problem.rule, problem.message) for problem in results[0].problems] == [
            ("name", "refused", "name must not be empty.")
        ]

    def test_the_version_of_an_update_is_its_if_match(self, connect: Connect, vendor: KontorOffice) -> None:
        connector, (name,) = connect(), vendor.create("customer", 1)
        version = version_of(connector, "customer", name)
        vendor.update("customer", name)
        (result,) = write(connector, "customer", [update(name, {"notes": "late"}, version=version)])
        assert result.outcome is Outcome.STALE

    def test_what_kontor_takes_in_a_minute_is_kept(
        self, connect: Connect, vendor: KontorOffice, limiter: RecordingLimiter
    ) -> None:
        vendor.door("kontor/switches", {"requests_per_minute": 1})
        connector = connect()
        with pytest.raises(RateLimited) as raised:
            read_all(connector, "customer")
        assert 30 < raised.value.retry_after <= 61 and limiter.pauses


def RemoteFirst(reading: Reading) -> str:
    return reading.ids[0]
