"""VeeKaart's connector keeps the contract, against the sandbox's store; and what only VeeKaart does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pytest
import requests

from erpflow.connectors.base import Outcome, PageToken, WriteResult
from erpflow.connectors.registry import connector_class
from erpflow.connectors.transport import Timeouts
from erpflow.errors import AuthFailed, ConfigError, RateLimited
from erpflow.testing import ConnectorContract, Fault, RecordingLimiter, WritableVendor
from erpflow.testing.base import Connect
from erpflow.testing.changes import creation, read_back, update, write, write_all, writer
from erpflow.testing.reading import read_all
from erpflow.testing.vendor import Credentials, FaultKind
from erpflow.vocabulary import RemoteId
from tests.contract.sandboxes import sandbox
from tests.contract.veekaart_vendor import VeeKaartStore

SMALL = ("--customers", "5", "--items", "20", "--orders", "5")  # hostile rows among them

OBSERVED = Credentials(None, None, {"path_prefix": "/api/sync"})
ODD_SKUS = ("A/B?C#D%E&F", "केसर चाय 250", "100% cotton + silk", 'quote " and \\', "..", ".", "a  b", "null")
DONE, REJECTED, STALE, UNKNOWN = Outcome.DONE, Outcome.REJECTED, Outcome.STALE, Outcome.UNKNOWN


def outcomes(results: Sequence[WriteResult]) -> list[Outcome]:
    return [result.outcome for result in results]


@pytest.fixture(scope="module")
def veekaart_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("veekaart", *SMALL, folder=tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@pytest.fixture
def store(veekaart_url: str) -> Iterator[VeeKaartStore]:
    """The store, put back to its first state."""
    with requests.Session() as session:
        yield VeeKaartStore(veekaart_url, session)


class TestVeeKaart(ConnectorContract):
    system = "veekaart"
    writable = ("product",)  # stock and prices have no text the contract could write; below they are written too
    unique: ClassVar[Mapping[str, str]] = {"product": "sku"}

    @pytest.fixture
    def vendor(self, store: VeeKaartStore) -> WritableVendor:
        return store

    # -- rows and keys -------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("sku", ODD_SKUS)
    def test_a_row_is_written_and_read_by_its_sku_whatever_is_in_it(
        self, connect: Connect, store: VeeKaartStore, sku: str
    ) -> None:
        connector, values = connect(), store.values_for("product") | {"sku": sku}
        assert write_all(connector, "product", [creation(values)]) == [sku]
        write_all(connector, "product", [update(RemoteId(sku), {"description": "changed"})])
        assert read_back(connector, "product", [RemoteId(sku)])[RemoteId(sku)]["description"] == "changed"
        one = connector.read_one("product", RemoteId(sku))
        assert one is not None and one["description"] == "changed"

    def test_skus_of_other_letters_are_other_products(self, connect: Connect, store: VeeKaartStore) -> None:
        values = store.values_for("product")
        names = write_all(connect(), "product", [creation({**values, "sku": sku}) for sku in ("Tea-1", "TEA-1")])
        assert names == ["Tea-1", "TEA-1"]

    def test_blanks_around_a_new_sku_are_no_part_of_it(self, connect: Connect, store: VeeKaartStore) -> None:
        assert write_all(connect(), "product", [creation(store.values_for("product") | {"sku": "  PA-65W "})]) == [
            "PA-65W"
        ]

    @pytest.mark.parametrize("sku", ["", "   ", None])
    def test_a_row_without_a_sku_is_refused_alone(
        self, connect: Connect, store: VeeKaartStore, sku: str | None
    ) -> None:
        changes = [creation(store.values_for("product") | {"sku": sku}), creation(store.values_for("product"))]
        results = write(connect(), "product", changes)
        assert outcomes(results) == [REJECTED, DONE]
        assert results[0].problems[0].field == "sku"

    def test_an_update_never_moves_a_row_to_another_sku(self, connect: Connect, store: VeeKaartStore) -> None:
        first, second = store.create("product", 2)
        before = store.stored("product", second)
        (result,) = write(connect(), "product", [update(first, {"sku": second, "name": "moved"})])
        assert (result.outcome, result.problems[0].rule) == (REJECTED, "readonly")
        assert store.stored("product", second) == before

    def test_two_changes_of_one_row_in_one_call_are_done_one_after_the_other(
        self, connect: Connect, store: VeeKaartStore
    ) -> None:
        (name,) = store.create("product", 1)
        changes = [update(name, {"description": "first"}), update(name, {"name": "second"})]
        assert outcomes(write(connect(), "product", changes)) == [DONE, DONE]
        stored = store.stored("product", name) or {}
        assert (stored["description"], stored["name"]) == ("first", "second")

    def test_a_row_that_came_from_elsewhere_is_not_overwritten_by_a_new_one(
        self, connect: Connect, store: VeeKaartStore
    ) -> None:
        (name,) = store.create("product", 1)
        before = store.stored("product", name)
        (result,) = write(connect(), "product", [creation(store.values_for("product") | {"sku": name})])
        assert (result.outcome, result.problems[0].rule) == (REJECTED, "duplicate")
        assert store.stored("product", name) == before

    def test_what_the_store_knows_of_a_row_and_we_do_not_is_kept(self, connect: Connect, store: VeeKaartStore) -> None:
        (name,) = store.create("product", 1)
        store.change("product", name, {"external_id": "theirs", "badge": "bestseller"})
        write_all(connect(), "product", [update(name, {"price": Decimal("9.90")})])
        assert (store.stored("product", name) or {})["external_id"] == "theirs"

    # -- stock and prices ----------------------------------------------------------------------------------------------

    def test_stock_and_prices_are_made_and_changed(self, connect: Connect, store: VeeKaartStore) -> None:
        (sku,) = write_all(connect(), "product", [creation(store.values_for("product"))])
        connector = connect()
        stock = {"sku": sku, "quantity": Decimal(40), "reserved_quantity": Decimal(3)}
        assert write_all(connector, "inventory", [creation({**stock, "as_of": "2026-01-19T10:00:00+05:30"})]) == [sku]
        write_all(connector, "inventory", [update(sku, {"quantity": Decimal(30)})])
        found = store.stored("inventory", sku) or {}
        assert (found["quantity"], found["reserved_quantity"], found["available_quantity"]) == (30, 3, 27)
        prices = {"sku": sku, "cost_price": Decimal(900), "selling_price": Decimal(1250), "mrp": Decimal(1499)}
        write_all(connector, "price", [creation({**prices, "tax_rate": 18})])
        assert (store.stored("price", sku) or {})["discount_percentage"] == Decimal("16.61")

    @pytest.mark.parametrize(
        ("change", "discount"),
        [
            ({"selling_price": Decimal(1499)}, "0"),
            ({"mrp": Decimal(0)}, "0"),
            ({"mrp": None}, "0"),
            ({"mrp": Decimal(1000)}, "0"),  # dearer than printed
            ({"selling_price": Decimal("0.01")}, "100"),
            ({"tax_rate": 5}, "16.61"),
        ],
    )
    def test_the_discount_follows_the_prices_whoever_of_them_changes(
        self, connect: Connect, store: VeeKaartStore, change: dict[str, Any], discount: str
    ) -> None:
        (sku,) = store.put("price", [{"sku": store.sku(), "selling_price": 1250, "mrp": 1499}])
        write_all(connect(), "price", [update(sku, change)])
        assert (store.stored("price", sku) or {})["discount_percentage"] == Decimal(discount)

    def test_a_discount_that_does_not_fit_the_prices_is_refused_in_the_stores_words(
        self, connect: Connect, store: VeeKaartStore
    ) -> None:
        (sku,) = store.put("price", [{"sku": store.sku(), "selling_price": 1250, "mrp": 1499}])
        (result,) = write(connect(), "price", [update(sku, {"discount_percentage": Decimal(50)})])
        assert (result.outcome, result.problems[0].rule) == (REJECTED, "discount_mismatch")
        assert result.problems[0].message == "discount_percentage is 50, expected 16.61"

    def test_stock_below_zero_is_sent_as_none_and_said(
        self, connect: Connect, store: VeeKaartStore, events: list[MutableMapping[str, Any]]
    ) -> None:
        sku, other = store.create("product", 2)
        rows = [{"sku": sku, "quantity": Decimal(-4)}, {"sku": other, "quantity": 5, "available_quantity": 9}]
        write_all(connect(), "inventory", [creation(row) for row in rows])
        assert (store.stored("inventory", sku) or {})["quantity"] == 0
        assert (store.stored("inventory", other) or {})["available_quantity"] == 5
        told = {event["event"]: (event["rows"], event["first"]) for event in events if "rows" in event}
        assert told == {"negative_stock_sent_as_zero": (1, sku), "available_stock_recomputed": (1, other)}

    def test_a_price_above_the_printed_one_is_sent_and_said(
        self, connect: Connect, store: VeeKaartStore, events: list[MutableMapping[str, Any]]
    ) -> None:
        rows = [store.values_for("product") | {"price": Decimal(120), "mrp": Decimal(100)} for _ in range(3)]
        write_all(connect(), "product", [creation(row) for row in rows])
        assert [event["rows"] for event in events if event["event"] == "price_above_mrp"] == [3]

    @pytest.mark.parametrize("detail", ["inventory", "price"])
    def test_stock_and_prices_of_an_unknown_product_wait_for_it(
        self, connect: Connect, store: VeeKaartStore, detail: str
    ) -> None:
        (known,) = store.create("product", 1)
        values = {"quantity": 1} if detail == "inventory" else {"selling_price": Decimal(5)}
        results = write(connect(), detail, [creation({"sku": sku, **values}) for sku in ("NOT-YET", known)])
        assert outcomes(results) == [REJECTED, DONE]
        assert (results[0].problems[0].rule, results[0].problems[0].field) == ("lookup", "sku")

    def test_stock_that_is_older_than_what_the_store_has_is_stale(self, connect: Connect, store: VeeKaartStore) -> None:
        connector, (sku,) = connect(), store.create("product", 1)
        row = {"sku": sku, "quantity": 5, "as_of": "2026-01-19T10:00:00+05:30"}
        write_all(connector, "inventory", [creation(row)])
        older = {"quantity": 9, "as_of": "2026-01-19T04:29:59Z"}
        assert outcomes(write(connector, "inventory", [update(sku, older)])) == [STALE]
        assert (store.stored("inventory", sku) or {})["quantity"] == 5

    @pytest.mark.parametrize("lost", ["after_commit", "reset_after_commit", "truncated"])
    @pytest.mark.parametrize("detail", ["inventory", "price"])
    def test_a_lost_reply_is_had_again_with_the_same_key_and_nothing_is_counted_twice(
        self, connect: Connect, store: VeeKaartStore, detail: str, lost: FaultKind
    ) -> None:
        skus = store.create("product", 3)
        values = {"quantity": 1} if detail == "inventory" else {"selling_price": Decimal(5)}
        store.fail(Fault(lost, writes=True))
        names = write_all(connect(), detail, [creation({"sku": sku, **values}) for sku in skus])
        assert names == skus
        assert store.asked(detail) == 2, "it was sent again"

    def test_a_reply_that_stays_lost_is_unknown_even_if_the_last_try_never_left(
        self, connect: Connect, store: VeeKaartStore
    ) -> None:
        values = store.values_for("product")
        store.fail(Fault("after_commit", writes=True))
        store.fail(Fault("status", status=429, retry_after=900, writes=True, times=9))
        (result,) = write(connect(), "product", [creation(values)])
        assert result.outcome is UNKNOWN
        assert store.stored("product", values["sku"]) is not None

    def test_a_change_that_looks_like_an_earlier_one_is_no_repetition_of_it(
        self, connect: Connect, store: VeeKaartStore
    ) -> None:
        connector, (name,) = connect(), store.create("product", 1)
        for price in ("5", "6", "5", "6"):
            write_all(connector, "product", [update(name, {"price": Decimal(price)})])
            assert (store.stored("product", name) or {})["price"] == Decimal(price)

    def test_a_post_that_is_still_being_worked_on_is_waited_for(
        self, connect: Connect, store: VeeKaartStore, slept: list[float]
    ) -> None:
        """The client gives up, the store does not: the same key is refused until it has done."""
        values = store.values_for("product")
        store.door("veekaart/switches", {"work_s": 0.6})
        connector = connect(
            timeouts=Timeouts(read=0.25, total=0.5), sleep=lambda seconds: time.sleep(0.15), jitter=lambda: 1.0
        )
        assert outcomes(write(connector, "product", [creation(values)])) == [DONE]
        assert store.stats()["by_status"]["409"], "the key was refused while the first post was at work"

    # -- requests ------------------------------------------------------------------------------------------------------

    def test_a_full_batch_costs_a_look_and_a_post(
        self, connect: Connect, store: VeeKaartStore, limiter: RecordingLimiter
    ) -> None:
        size = connector_class("veekaart").spec.entities["product"].bulk_size
        changes = [creation(store.values_for("product")) for _ in range(size)]
        connector = connect()
        names = write_all(connector, "product", changes)
        assert limiter.acquired == 2
        assert len(read_back(connector, "product", names)) == size
        assert limiter.acquired <= 2 + 3, "only what changed since is read: 500 rows are three pages"

    def test_few_rows_of_a_large_store_are_not_looked_for_in_all_of_it(
        self, connect: Connect, store: VeeKaartStore, limiter: RecordingLimiter
    ) -> None:
        store.create("product", 1200)
        skus = store.create("product", 3)
        limiter.acquired = 0
        assert len(read_back(connect(), "product", skus)) == 3
        assert limiter.acquired <= 6

    def test_what_changed_between_two_looks_is_seen(self, connect: Connect, store: VeeKaartStore) -> None:
        connector, names = connect(), store.create("product", 6)
        read_back(connector, "product", names)
        store.change("product", names[2], {"name": "changed by a person"})
        store.delete("product", [])
        (new,) = store.create("product", 1)
        found = read_back(connector, "product", [*names, new])
        assert found[names[2]]["name"] == "changed by a person" and new in found

    @pytest.mark.parametrize("switch", [{"max_batch": 3}, {"largest_body": 2000}])
    def test_a_batch_that_is_too_large_for_the_store_goes_in_parts(
        self, connect: Connect, store: VeeKaartStore, switch: dict[str, int]
    ) -> None:
        store.door("veekaart/switches", switch)
        sent = [store.values_for("product") for _ in range(10)]
        changes = [creation(values) for values in [*sent[:4], store.bad_values("product"), *sent[4:]]]
        results = write(connect(), "product", changes)
        assert outcomes(results) == [DONE] * 4 + [REJECTED] + [DONE] * 6

    def test_the_limit_of_a_minute_is_kept_when_the_store_counts(
        self, connect: Connect, store: VeeKaartStore, limiter: RecordingLimiter
    ) -> None:
        store.create("product", 60)
        store.door("veekaart/switches", {"requests_per_minute": 2})
        with pytest.raises(RateLimited) as raised:
            read_all(connect(), "product")
        assert 30 < raised.value.retry_after <= 60
        assert raised.value.retry_after in limiter.pauses

    @pytest.mark.parametrize(
        ("key", "says"),
        [
            ("sandbox-veekaart-disabled-key", "The API key is disabled"),
            ("sandbox-veekaart-other-key", "belongs to another store"),
            ("no-such-key", "Invalid API key"),
        ],
    )
    def test_a_key_that_opens_nothing_is_told_apart(self, connect: Connect, key: str, says: str) -> None:
        connector = connect(Credentials(None, key))
        assert says in connector.check().message
        with pytest.raises(AuthFailed, match=says):
            read_all(connector, "product")
        with pytest.raises(AuthFailed, match=says):
            write(connector, "product", [creation({"sku": "A"}) for _ in range(4)])

    def test_a_cursor_of_somebody_elses_is_no_token(self, connect: Connect) -> None:
        with pytest.raises(ConfigError, match="no page token"):
            read_all(connect(), "product", resume=PageToken('{"offset": 5}'))

    # -- the observed profile ------------------------------------------------------------------------------------------

    def test_the_observed_profile_takes_rows_without_a_key(self, connect: Connect, store: VeeKaartStore) -> None:
        connector = connect(OBSERVED)
        assert connector.check().success
        values = store.values_for("product")
        (sku,) = write_all(connector, "product", [creation(values)])
        write_all(connector, "inventory", [creation({"sku": sku, "quantity": 5, "reserved_quantity": 1})])
        write_all(connector, "price", [creation({"sku": sku, "selling_price": Decimal(10), "mrp": Decimal(20)})])
        write_all(connector, "product", [update(sku, {**values, "name": "changed"})])
        assert (store.stored("product", sku) or {})["name"] == "changed"
        assert (store.stored("inventory", sku) or {})["available_quantity"] == 4
        assert (store.stored("price", sku) or {})["discount_percentage"] == 50

    def test_a_row_that_the_observed_profile_does_not_take_is_found_among_the_others(
        self, connect: Connect, store: VeeKaartStore
    ) -> None:
        sent = [store.values_for("product") for _ in range(6)]
        changes = [creation(values) for values in [*sent[:2], store.bad_values("product"), *sent[2:]]]
        results = write(connect(OBSERVED), "product", changes)
        assert outcomes(results) == [DONE, DONE, REJECTED, DONE, DONE, DONE, DONE]
        assert "does not say why" in results[2].problems[0].message

    def test_the_observed_profile_cannot_be_read_and_says_what_to_do(self, connect: Connect) -> None:
        connector = connect(OBSERVED)
        with pytest.raises(ConfigError, match="direction: push"):
            read_all(connector, "product")
        assert writer(connector).find("product", [{"sku": "A"}]) == [[]]
        assert writer(connector).read_many("product", [RemoteId("A")]).count == 0

    def test_the_check_of_the_observed_profile_finds_out_that_nobody_is_there(
        self, connect: Connect, store: VeeKaartStore
    ) -> None:
        assert not connect(OBSERVED, base_url="http://127.0.0.1:9/api/sync").check().success
        assert not connect(OBSERVED, base_url=f"{store.url}/nothing/api/sync").check().success
