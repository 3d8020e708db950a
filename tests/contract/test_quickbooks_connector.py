"""QuickBooks' connector keeps the contract, against the sandbox's company; and what only QuickBooks does."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
import requests

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Outcome
from erpflow.connectors.quickbooks_company import Company, Kind
from erpflow.errors import AuthFailed, ConfigError, PermissionDenied, ProtocolError, RateLimited, VendorUnavailable
from erpflow.testing import ConnectorContract, RecordingLimiter, WritableVendor
from erpflow.testing.base import Connect
from erpflow.testing.changes import creation, read_back, update, version_of, write, write_all, writer
from erpflow.testing.deleting import read_trash
from erpflow.testing.reading import Reading, read_all
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import Window
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
    amountless = ("customer",)
    writable = ("customer", "product", "invoice", "payment", "order", "estimate")
    unique: ClassVar[Mapping[str, str]] = {
        "customer": "DisplayName",
        "product": "Name",
        "invoice": "DocNumber",
        "order": "DocNumber",
        "estimate": "DocNumber",
    }

    test_a_record_that_exists_again_is_not_reported = None  # QuickBooks gives no id out again

    @pytest.fixture
    def vendor(self, company: QuickBooksCompany) -> WritableVendor:
        return company

    # -- reading -------------------------------------------------------------------------------------------------------

    def test_inactive_customers_and_items_are_read_too(self, connect: Connect, company: QuickBooksCompany) -> None:
        (name,) = company.create("customer", 1)
        company.change("customer", name, {"Active": False})
        connector = connect()
        assert name in read_all(connector, "customer").ids
        assert (connector.read_one("customer", name) or {})["Active"] is False
        assert read_back(connector, "customer", [name])[name]["Active"] is False

    def test_an_item_brings_its_sku_which_a_star_leaves_out(self, connect: Connect, company: QuickBooksCompany) -> None:
        (name,) = company.create("product", 1)
        company.change("product", name, {"Sku": "CONTRACT-1"})
        for since in (None, datetime.now(UTC) - timedelta(minutes=5)):
            reading = read_all(connect(), "product", Window(since=since))
            assert {record["Id"]: record.get("Sku") for record in reading.records}[name] == "CONTRACT-1"

    def test_every_line_has_a_number_and_the_sum_below_them_is_none(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        for invoice in read_all(connect(), "invoice").records:
            numbers = [line["LineNum"] for line in invoice["Line"]]
            assert numbers == list(range(1, len(numbers) + 1))
            assert "SubTotalLineDetail" not in {line["DetailType"] for line in invoice["Line"]}

    def test_an_increment_is_one_request_for_the_changes(
        self, connect: Connect, company: QuickBooksCompany, limiter: RecordingLimiter
    ) -> None:
        since = datetime.now(UTC) - timedelta(minutes=5)
        changed = company.create("invoice", 2)
        company.delete("invoice", company.create("invoice", 1))
        limiter.acquired = 0
        reading = read_all(connect(), "invoice", Window(since=since))
        assert sorted(reading.ids) == sorted(changed), "what was deleted is not among them"
        assert limiter.acquired == 1
        assert [page.next for page in reading.pages] == [None]

    def test_changes_that_one_page_does_not_hold_are_read_by_queries(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        since = datetime.now(UTC) - timedelta(minutes=5)
        changed = company.create("customer", 3 * self.page_size)
        reading = read_all(connect(), "customer", Window(since=since))
        assert sorted(reading.ids) == sorted(changed) and len(reading.pages) >= 3

    def test_changes_that_were_cut_are_read_by_queries(
        self, connect: Connect, company: QuickBooksCompany, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut_at(monkeypatch, company, 4)
        since = datetime.now(UTC) - timedelta(minutes=5)
        changed = company.create("customer", 5)
        assert sorted(read_all(connect(), "customer", Window(since=since)).ids) == sorted(changed)

    def test_a_window_that_began_long_ago_is_not_asked_of_the_changes(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        since = datetime.now(UTC) - timedelta(days=31)  # QuickBooks refuses more than 30
        changed = company.create("customer", 1)
        assert read_all(connect(), "customer", Window(since=since)).ids == changed

    def test_a_second_whose_records_moved_is_read_again(self, connect: Connect, company: QuickBooksCompany) -> None:
        created = company.create("customer", 3 * self.page_size)
        company.share_one_instant("customer", created)
        moved = False

        def move(reading: Reading) -> None:
            nonlocal moved
            if not moved and created[1] in reading.ids:
                moved = True
                company.update("customer", created[0])
                company.update("customer", created[1])

        reading = read_all(connect(), "customer", after_page=move)
        assert moved
        assert set(reading.ids) == set(company.modified("customer"))

    def test_tokens_that_expire_at_page_57_of_100_are_renewed_once_and_the_read_goes_on_there(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        company.create("customer", 100 * self.page_size)
        pages = connect().read("customer", Window())
        read = [next(pages) for _ in range(57)]
        before = company.door("expire", {})["refreshes"]
        read += list(pages)
        assert company.door("expire", {})["refreshes"] == before + 1
        assert len(read) >= 100
        assert sum(page.count for page in read) == len(company.modified("customer"))

    def test_no_token_is_in_a_log_or_an_error(
        self,
        connect: Connect,
        company: QuickBooksCompany,
        caplog: pytest.LogCaptureFixture,
        events: list[MutableMapping[str, Any]],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        connector = connect()
        said = [repr(connector.check()), repr(read_all(connector, "customer").pages)]
        company.expire()
        with pytest.raises(AuthFailed) as raised:
            read_all(connector, "customer")
        told = "\n".join([*said, *traceback.format_exception(raised.value), caplog.text, repr(events)])
        assert "RT1-" not in told and "eyJ" not in told

    def test_another_company_than_the_consent_is_for_is_a_matter_of_permission(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        given = company.good()
        other = Credentials(given.login, given.password, {"realm_id": "1234567890"}, given.tokens)
        with pytest.raises(PermissionDenied, match="erpflow connect"):
            read_all(connect(other), "customer")

    def test_a_used_up_minute_pauses_the_company(
        self, connect: Connect, company: QuickBooksCompany, limiter: RecordingLimiter
    ) -> None:
        company.switch(per_minute=1)
        connector = connect()
        assert connector.check().success
        with pytest.raises(RateLimited, match="3001") as raised:
            read_all(connector, "customer")
        assert raised.value.retry_after == 60.0 and 60.0 in limiter.pauses

    # -- writing -------------------------------------------------------------------------------------------------------

    def test_many_updates_are_read_one_by_one_and_sent_in_one_batch(
        self, connect: Connect, company: QuickBooksCompany, limiter: RecordingLimiter
    ) -> None:
        names = company.create("customer", 30)
        connector = connect()
        limiter.acquired = 0
        write_all(connector, "customer", [update(name, {"Notes": "new"}) for name in names])
        assert limiter.acquired == 31

    def test_new_names_go_in_one_batch(
        self, connect: Connect, company: QuickBooksCompany, limiter: RecordingLimiter
    ) -> None:
        changes = [creation(company.values_for("customer")) for _ in range(30)]
        connector = connect()
        limiter.acquired = 0
        write_all(connector, "customer", changes)
        assert limiter.acquired == 1

    def test_a_sync_token_that_moved_by_itself_does_not_stand_in_the_way(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        connector = connect()
        (name,) = company.create("invoice", 1)
        version = version_of(connector, "invoice", name)
        company.door(
            "change", {"entity": "Invoice", "ids": [name], "set": {"EmailStatus": "EmailSent"}, "keep_time": True}
        )
        write_all(connector, "invoice", [update(name, {"PrivateNote": "ours"}, version=version)])
        stored = company.stored("invoice", name) or {}
        assert (stored["EmailStatus"], stored["PrivateNote"]) == ("EmailSent", "ours")

    @pytest.mark.parametrize("together", [1, 3])
    def test_what_changes_between_our_reading_and_our_writing_is_stale(
        self, connect: Connect, company: QuickBooksCompany, monkeypatch: pytest.MonkeyPatch, together: int
    ) -> None:
        connector = connect()
        names = company.create("customer", together)
        read = Company.record

        def read_and_lose(self: Company, kind: Kind, remote_id: str) -> bytes | None:
            found = read(self, kind, remote_id)
            if remote_id == names[0]:
                company.change("customer", names[0], {"Notes": "theirs"})
            return found

        monkeypatch.setattr(Company, "record", read_and_lose)
        results = write(connector, "customer", [update(name, {"Notes": "ours"}) for name in names])
        assert [result.outcome for result in results] == [Outcome.STALE, *[Outcome.DONE] * (together - 1)]
        assert (company.stored("customer", names[0]) or {})["Notes"] == "theirs"

    def test_what_is_deleted_between_our_reading_and_our_writing_is_missing(
        self, connect: Connect, company: QuickBooksCompany, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connector = connect()
        gone, here = company.create("invoice", 2)
        read = Company.record

        def read_and_lose(self: Company, kind: Kind, remote_id: str) -> bytes | None:
            found = read(self, kind, remote_id)
            if found is not None and remote_id == gone:
                company.delete("invoice", [gone])
            return found

        monkeypatch.setattr(Company, "record", read_and_lose)
        results = write(connector, "invoice", [update(name, {"PrivateNote": "ours"}) for name in (gone, here)])
        assert [result.outcome for result in results] == [Outcome.MISSING, Outcome.DONE]

    def test_a_batch_whose_records_refer_to_nothing_tells_of_each_even_when_nobody_can_be_asked_any_more(
        self, connect: Connect, company: QuickBooksCompany, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connector = connect()
        names = company.create("invoice", 2)
        read, asked = Company.record, []

        def read_twice(self: Company, kind: Kind, remote_id: str) -> bytes | None:
            asked.append(remote_id)
            if len(asked) > 2:
                raise VendorUnavailable("gone")
            return read(self, kind, remote_id)

        monkeypatch.setattr(Company, "record", read_twice)
        changes = [update(names[0], {"CustomerRef": {"value": "99999"}}), update(names[1], {"PrivateNote": "done"})]
        assert [result.outcome for result in write(connector, "invoice", changes)] == [Outcome.NOT_SENT, Outcome.DONE]

    def test_a_document_for_an_inactive_customer_is_refused_and_not_missing(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        (customer,) = company.create("customer", 1)
        (invoice,) = company.create("invoice", 1)
        company.change("customer", customer, {"Active": False})
        values = {"CustomerRef": {"value": customer}}
        changes = [update(invoice, values), creation({**company.values_for("invoice"), **values})]
        results = write(connect(), "invoice", changes)
        assert [result.outcome for result in results] == [Outcome.REJECTED] * 2
        assert {result.problems[0].rule for result in results} == {"lookup"}

    def test_a_part_of_an_address_is_changed_or_cleared_and_the_rest_of_it_stays(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        connector = connect()
        address = {"Line1": "1 Main Street", "City": "Bayshore", "Country": "USA"}
        (name,) = write_all(connector, "customer", [creation({**company.values_for("customer"), "BillAddr": address})])
        write_all(connector, "customer", [update(name, {"BillAddr": {"City": "Reno"}})])
        assert (company.stored("customer", name) or {})["BillAddr"] == {**address, "City": "Reno"}
        write_all(connector, "customer", [update(name, {"BillAddr": {"Line1": None}, "Notes": "kept"})])
        stored = company.stored("customer", name) or {}
        assert stored["BillAddr"] == {"City": "Reno", "Country": "USA"}
        assert stored["PrimaryEmailAddr"]["Address"].endswith("@larkspur.example"), "clearing one clears no other"
        assert stored["Notes"] == "kept"

    def test_a_customer_is_made_inactive_and_its_name_says_so(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        connector = connect()
        (name,) = company.create("customer", 1)
        write_all(connector, "customer", [update(name, {"Active": False})])
        found = read_back(connector, "customer", [name])[name]
        assert found["Active"] is False and found["DisplayName"].endswith(" (deleted)")

    def test_a_name_that_a_vendor_has_is_taken_for_customers_too(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        values = {**company.values_for("customer"), "DisplayName": "Ellis Equipment Rental"}
        (result,) = write(connect(), "customer", [creation(values)])
        assert result.problems[0].rule == "duplicate" and "Id=" in result.problems[0].message

    def test_an_update_without_a_change_is_not_sent(self, connect: Connect, company: QuickBooksCompany) -> None:
        (name,) = company.create("customer", 1)
        before = company.stored("customer", name)
        write_all(connect(), "customer", [update(name, {"SyncToken": "9", "MetaData": {}})])
        assert company.stored("customer", name) == before

    def test_a_payment_moves_the_time_of_its_invoice(self, connect: Connect, company: QuickBooksCompany) -> None:
        connector = connect()
        (invoice,) = company.create("invoice", 1)
        before = version_of(connector, "invoice", invoice)
        company.door("clock", {"seconds": 5})
        line = {"Amount": Decimal("30.55"), "LinkedTxn": [{"TxnId": invoice, "TxnType": "Invoice"}]}
        values = {**company.values_for("payment"), "TotalAmt": Decimal("30.55"), "Line": [line]}
        write_all(connector, "payment", [creation(values)])
        assert version_of(connector, "invoice", invoice) != before
        assert read_back(connector, "invoice", [invoice])[invoice]["Balance"] == 0

    # -- finding -------------------------------------------------------------------------------------------------------

    def test_a_key_that_no_query_can_ask_for_names_those_that_it_can(
        self, connect: Connect, company: QuickBooksCompany
    ) -> None:
        with pytest.raises(ConfigError, match=r"DisplayName.*match_on"):
            writer(connect()).find("customer", [{"Notes": "anything"}])

    def test_an_email_address_is_found_inside_its_object(self, connect: Connect, company: QuickBooksCompany) -> None:
        (name,) = company.create("customer", 1)
        company.change("customer", name, {"PrimaryEmailAddr": {"Address": "Who@Larkspur.example"}})
        found = writer(connect()).find("customer", [{"PrimaryEmailAddr": {"Address": "who@larkspur.example"}}])
        assert found == [[name]]

    # -- deletions -----------------------------------------------------------------------------------------------------

    def test_more_changes_than_an_answer_holds_are_asked_for_in_parts(
        self, connect: Connect, company: QuickBooksCompany, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut_at(monkeypatch, company, 6)
        created = company.create("invoice", 20)
        gone = created[::3]
        company.delete("invoice", gone)
        assert sorted(read_trash(connect(), "invoice").ids) == sorted(gone)

    @pytest.mark.parametrize("deleted", [4, 16])
    def test_an_answer_that_leaves_out_the_oldest_is_not_taken_for_all(
        self, connect: Connect, company: QuickBooksCompany, monkeypatch: pytest.MonkeyPatch, deleted: int
    ) -> None:
        cut_at(monkeypatch, company, 6, cut="oldest")
        created = company.create("invoice", 16)
        company.delete("invoice", created[:deleted])
        with pytest.raises(ProtocolError, match=r"find: sweep"):
            read_trash(connect(), "invoice")

    def test_a_change_between_two_answers_does_not_hide_that_the_oldest_were_left_out(
        self, connect: Connect, company: QuickBooksCompany, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut_at(monkeypatch, company, 6, cut="oldest")
        created = company.create("invoice", 16)
        company.delete("invoice", created[:2])
        capture = Company.changes

        def captured_and_changed(self: Company, kind: Kind, since: datetime) -> tuple[Answer, list[bytes]]:
            found = capture(self, kind, since)
            company.update("invoice", created[5])
            return found

        monkeypatch.setattr(Company, "changes", captured_and_changed)
        with pytest.raises(ProtocolError, match=r"find: sweep"):
            read_trash(connect(), "invoice")

    def test_deletions_of_more_than_30_days_ago_are_out_of_reach_and_a_warning_says_so(
        self, connect: Connect, company: QuickBooksCompany, events: list[MutableMapping[str, Any]]
    ) -> None:
        company.delete("invoice", company.create("invoice", 1))
        window = Window(since=datetime.now(UTC) - timedelta(days=40))
        assert len(read_trash(connect(), "invoice", window).ids) == 1
        assert "deletions_out_of_reach" in [event["event"] for event in events]


def cut_at(monkeypatch: pytest.MonkeyPatch, company: QuickBooksCompany, most: int, *, cut: str = "newest") -> None:
    """As if an answer of change data capture held so few."""
    company.switch(cdc_most=most, cdc_cut=cut)
    for module in ("quickbooks_deletions", "quickbooks_paging"):
        monkeypatch.setattr(f"erpflow.connectors.{module}.MOST", most)
