"""Tally's connector keeps the contract, against the sandbox's Tally; and what only Tally does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
import requests

from erpflow.connectors.base import Outcome, PageToken
from erpflow.connectors.registry import connector_class
from erpflow.connectors.tally_gateway import Gateway
from erpflow.connectors.transport import Timeouts
from erpflow.errors import AuthFailed, ConfigError, ProtocolError, VendorUnavailable
from erpflow.testing import ConnectorContract, RecordingLimiter
from erpflow.testing.base import Connect
from erpflow.testing.changes import creation, deletion, read_back, update, version_of, write, write_all, writer
from erpflow.testing.reading import read_all
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, Window
from tests.contract.sandboxes import sandbox
from tests.contract.tally_vendor import COMPANY, SMALL, TallyOffice


@pytest.fixture(scope="module")
def tally_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox with small books, on a free port."""
    with sandbox("tally", *SMALL, folder=tmp_path_factory.mktemp("sandbox")) as url:
        yield url


@pytest.fixture
def office(tally_url: str) -> Iterator[TallyOffice]:
    """The company, put back to its first state."""
    with requests.Session() as session:
        found = TallyOffice(tally_url, session)
        session.post(f"{tally_url}/_sandbox/reset", json={"vendor": "tally"}).raise_for_status()
        yield found


class TestTally(ConnectorContract):
    system = "tally"
    writable = ("customer", "product", "order", "invoice", "payment")
    unique: ClassVar[Mapping[str, str]] = {"customer": "NAME", "product": "NAME"}
    amountless = ("order", "invoice", "payment")  # no amount of a voucher stands alone: its entries have to balance

    @pytest.fixture
    def vendor(self, office: TallyOffice) -> TallyOffice:
        return office

    # -- one at a time ---------------------------------------------------------------------------------------------

    def test_a_dialogue_on_the_screen_is_an_outage_that_is_left_alone(
        self, connect: Connect, office: TallyOffice, limiter: RecordingLimiter
    ) -> None:
        office.door("switches", {"modal": True})
        try:
            with pytest.raises(VendorUnavailable, match="did not answer in time"):
                read_all(connect(timeouts=Timeouts(read=0.2, total=0.4, rest=120.0)), "customer")
        finally:
            office.door("switches", {"modal": False})
        assert limiter.acquired == 1 and limiter.pauses == [120.0], "asking again would only wait in its queue"

    def test_the_data_sheet_asks_for_one_request_at_a_time_and_much_patience(self) -> None:
        spec = connector_class("tally").spec
        assert spec.limits.concurrent == 1
        assert spec.timeouts is not None and spec.timeouts.read >= 180 and spec.timeouts.rest > 30

    def test_a_small_increment_costs_two_requests_and_none_of_them_all_objects(
        self, connect: Connect, office: TallyOffice, limiter: RecordingLimiter
    ) -> None:
        connector = connect(page_size=100)
        before = max(office.modified("product").values())
        (name,) = office.create("product", 1)
        limiter.acquired = 0
        assert read_all(connector, "product", Window(since=before + timedelta(seconds=1))).ids == [name]
        assert limiter.acquired == 3  # how far, what is new, and whether more came meanwhile

    # -- companies -------------------------------------------------------------------------------------------------

    def test_a_company_is_found_by_its_name_without_case_and_an_ampersand_is_no_markup(self, connect: Connect) -> None:
        result = connect(Credentials(None, None, {"company": COMPANY.upper()})).check()
        assert result.success and result.account == COMPANY

    def test_a_check_without_a_company_lists_those_that_are_open(self, connect: Connect) -> None:
        message = connect(Credentials(None, None)).check().message
        assert COMPANY in message and "Nilgiri Tools (2019-20)" in message and "Nilgiri Holdings" not in message

    def test_another_company_of_that_name_is_refused(self, connect: Connect) -> None:
        connector = connect(Credentials(None, None, {"company": COMPANY, "company_guid": "5d0f0000-1111"}))
        with pytest.raises(AuthFailed, match="another company of that name"):
            read_all(connector, "customer")

    def test_a_company_closed_between_two_requests_is_not_taken_for_an_empty_one(
        self, connect: Connect, office: TallyOffice
    ) -> None:
        connector = connect()
        pages = connector.read("invoice", Window())
        next(pages)
        office.expire()
        with pytest.raises(AuthFailed, match="not open at Tally"):
            list(pages)
        office.renew()

    @pytest.mark.parametrize("until", [None, datetime(2099, 1, 1, tzinfo=UTC)])
    def test_a_company_closed_just_before_the_first_look_at_its_objects_is_told(
        self, connect: Connect, office: TallyOffice, monkeypatch: pytest.MonkeyPatch, until: datetime | None
    ) -> None:
        rows = Gateway.rows

        def closing(gateway: Gateway, kind: str, *given: Any, **more: Any) -> int:
            if kind == "Ledger":
                office.expire()
            return rows(gateway, kind, *given, **more)

        monkeypatch.setattr(Gateway, "rows", closing)
        with pytest.raises(AuthFailed, match="not open at Tally"):
            read_all(connect(), "customer", Window(until=until))

    def test_a_company_restored_while_it_is_read_is_told(self, connect: Connect, office: TallyOffice) -> None:
        office.create("customer", 2 * self.page_size)
        first = next(connect().read("customer", Window()))
        office.session.post(f"{office.url}/_sandbox/reset", json={"vendor": "tally"}).raise_for_status()
        with pytest.raises(ProtocolError, match="restored from a backup"):
            read_all(connect(), "customer", resume=first.next)

    # -- what is read ----------------------------------------------------------------------------------------------

    def test_only_customers_are_customers_whatever_group_below_debtors_they_are_in(
        self, connect: Connect, office: TallyOffice
    ) -> None:
        parents = {record["PARENT"] for record in read_all(connect(), "customer").records}
        assert parents == {"Sundry Debtors", "South Debtors", "West Debtors", "Kochi Walk-ins"}
        kinds = {record["VOUCHERTYPENAME"] for record in read_all(connect(), "invoice").records}
        assert kinds == {"Sales", "Counter Sales"}

    def test_a_group_whose_name_may_not_stand_in_a_formula_is_read_all_the_same(
        self, connect: Connect, office: TallyOffice
    ) -> None:
        group = {"NAME": "Debtors \"A\" & 'B'", "PARENT": "Sundry Debtors"}
        office.door("insert", {"kind": "GROUP", "objects": [group]})
        ledger = {"NAME": "Odd group", "PARENT": group["NAME"]}
        (guid,) = office.door("insert", {"kind": "LEDGER", "objects": [ledger]})["guids"]
        assert guid in read_all(connect(), "customer").ids

    def test_an_unchanged_object_is_the_same_bytes_however_it_is_read(
        self, connect: Connect, office: TallyOffice
    ) -> None:
        connector = connect()
        for entity in ("customer", "product", "order", "invoice", "payment"):
            landed = {
                json.loads(bytes(raw))["GUID"]: bytes(raw)
                for page in connector.read(entity, Window())
                for raw in connector.split(entity, page.raw)
            }
            for size in (10, 60):  # a few by their GUIDs, many by the range they lie in
                some = [RemoteId(guid) for guid in list(landed)[:size]]
                page = writer(connector).read_many(entity, some)
                assert {bytes(raw) for raw in connector.split(entity, page.raw)} == {landed[guid] for guid in some}

    def test_a_cancelled_voucher_comes_with_the_next_increment(self, connect: Connect, office: TallyOffice) -> None:
        (name,) = office.create("invoice", 1)
        since = office.modified("invoice")[name]
        (result,) = write(connect(), "invoice", [update(name, {"ISCANCELLED": "Yes"})])
        assert result.outcome is Outcome.DONE
        reading = read_all(connect(), "invoice", Window(since=since + timedelta(seconds=1)))
        (record,) = reading.records
        assert record["GUID"] == name and record["DERIVED"]["status"] == "cancelled"
        assert record["DERIVED"]["total"] is None, "its entries are gone, and nothing is made up"

    def test_numbers_that_tally_gave_anew_come_with_a_whole_read_and_not_before(
        self, connect: Connect, office: TallyOffice
    ) -> None:
        before = {record["GUID"]: record["VOUCHERNUMBER"] for record in read_all(connect(), "order").records}
        since = max(office.modified("order").values())
        early = {**office.values_for("order"), "DATE": "20240401"}
        (name,) = write_all(connect(), "order", [creation(early)])
        assert read_all(connect(), "order", Window(since=since + timedelta(seconds=1))).ids == [name]
        after = {record["GUID"]: record["VOUCHERNUMBER"] for record in read_all(connect(), "order").records}
        assert after[name] == "SO/00001" and all(after[guid] != number for guid, number in before.items())

    def test_a_filter_that_tally_ignores_is_found_out(self, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("erpflow.connectors.tally_paging.altered", lambda low, high: "$ALTERID > 0")
        with pytest.raises(ProtocolError, match="ignores the filter"):
            read_all(connect(), "customer")

    def test_a_page_token_of_somebody_else_is_refused(self, connect: Connect) -> None:
        for token in ("", "{}", '{"after":1}', '{"after":-5,"upto":1}', '{"after":1,"upto":2,"round":9}', "[" * 9999):
            with pytest.raises(ConfigError, match="page token"):
                read_all(connect(), "customer", resume=PageToken(token or "x"))

    # -- what is written -------------------------------------------------------------------------------------------

    def test_an_item_invoice_is_written_whole_and_altered_without_losing_its_goods(
        self, connect: Connect, office: TallyOffice
    ) -> None:
        connector, (item, values) = connect(), item_invoice(office, amount="1999.99")
        (result,) = write(connector, "invoice", [creation(values)])
        assert result.outcome is Outcome.DONE and result.remote_id and result.record
        assert json.loads(result.record)["DERIVED"]["total"] == "1999.99"
        (altered,) = write(connector, "invoice", [update(result.remote_id, {"NARRATION": "second"})])
        record = json.loads(altered.record or b"{}")
        assert record["NARRATION"] == "second" and record["REFERENCE"] == "PO 9"
        assert [line["STOCKITEMNAME"] for line in record["ALLINVENTORYENTRIES_LIST"]] == [item]
        ledgers = [entry["LEDGERNAME"] for entry in record["ALLLEDGERENTRIES_LIST"]]
        assert ledgers == [values["PARTYLEDGERNAME"], "Sales"], "no entry twice"

    @pytest.mark.parametrize("amount", ["0.10", "10.10", "12345678.91"])
    def test_amounts_of_a_voucher_arrive_with_exactly_their_digits(
        self, connect: Connect, office: TallyOffice, amount: str
    ) -> None:
        values = office.values_for("payment")
        party, cash = values["ALLLEDGERENTRIES_LIST"]
        sent = [{**party, "AMOUNT": Decimal(amount)}, {**cash, "AMOUNT": -Decimal(amount)}]
        (name,) = write_all(connect(), "payment", [creation({**values, "ALLLEDGERENTRIES_LIST": sent})])
        record = read_back(connect(), "payment", [name])[name]
        assert [entry["AMOUNT"] for entry in record["ALLLEDGERENTRIES_LIST"]] == [amount, f"-{amount}"]

    def test_the_other_shape_of_answers_to_imports_is_understood(self, connect: Connect, office: TallyOffice) -> None:
        office.door("switches", {"wrapped": True})
        good, bad = office.values_for("customer"), office.bad_values("customer")
        results = write(connect(), "customer", [creation(good), creation(bad)])
        assert [result.outcome for result in results] == [Outcome.DONE, Outcome.REJECTED]
        assert "Group 'No Such Group' does not exist!" in str(results[1].problems)

    def test_a_create_with_the_name_of_any_ledger_alters_nothing(self, connect: Connect, office: TallyOffice) -> None:
        rows = office.session.get(f"{office.url}/_sandbox/tally/list", params={"kind": "LEDGER"}).json()["objects"]
        bank = next(row for row in rows if row["name"] == "HDFC Bank")
        (result,) = write(connect(), "customer", [creation({"NAME": "hdfc BANK", "PARENT": "Sundry Debtors"})])
        assert result.outcome is Outcome.REJECTED and result.problems[0].rule == "duplicate"
        after = office.session.get(f"{office.url}/_sandbox/tally/list", params={"kind": "LEDGER"}).json()["objects"]
        assert bank in after and len(after) == len(rows)

    def test_a_rename_keeps_the_record_and_its_aliases(self, connect: Connect, office: TallyOffice) -> None:
        connector = connect()
        values = {**office.values_for("product"), "NAME_LIST": ["ALIAS-1", "ALIAS-2"]}
        (name,) = write_all(connector, "product", [creation(values)])
        write_all(connector, "product", [update(name, {"NAME": "Renamed & new"})])
        record = read_back(connector, "product", [name])[name]
        assert record["NAME"] == "Renamed & new"
        assert record["LANGUAGENAME_LIST"][0]["NAME_LIST"] == ["Renamed & new", "ALIAS-1", "ALIAS-2"]
        (taken,) = write(connector, "product", [update(office.create("product", 1)[0], {"NAME": "alias-2"})])
        assert taken.outcome is Outcome.REJECTED and taken.problems[0].rule == "duplicate"

    def test_nothing_is_deleted_that_was_not_seen(self, connect: Connect, office: TallyOffice) -> None:
        gone, here = office.create("product", 2)
        office.delete("product", [gone])
        office.door("switches", {"crash_on_missing": True})
        results = write(connect(), "product", [deletion(gone), deletion(here)])
        assert [result.outcome for result in results] == [Outcome.MISSING, Outcome.DONE]

    def test_a_ledger_that_vouchers_use_is_refused_without_a_word_and_that_is_said(
        self, connect: Connect, office: TallyOffice
    ) -> None:
        (invoice,) = office.create("invoice", 1)
        used = read_back(connect(), "invoice", [invoice])[invoice]["DERIVED"]["party_guid"]
        (result,) = write(connect(), "customer", [deletion(used)])
        assert result.outcome is Outcome.REJECTED and "does not say why" in result.problems[0].message

    def test_a_change_based_on_an_outdated_count_is_stale(self, connect: Connect, office: TallyOffice) -> None:
        connector = connect()
        for entity in ("customer", "invoice"):
            (name,) = office.create(entity, 1)
            version = version_of(connector, entity, name)
            office.change(entity, name, {"NARRATION": "by a person"})
            (stale,) = write(connector, entity, [update(name, {"NARRATION": "late"}, version=version)])
            assert stale.outcome is Outcome.STALE
            fresh = version_of(connector, entity, name)
            assert write_all(connector, entity, [update(name, {"NARRATION": "now"}, version=fresh)]) == [name]

    def test_what_a_person_changes_between_two_alters_of_one_call_is_not_undone(
        self, connect: Connect, office: TallyOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = office.create("invoice", 2)
        tell = Gateway.tell

        def told(gateway: Gateway, envelope: str) -> Any:
            answer = tell(gateway, envelope)
            if "first change" in envelope:
                office.change("invoice", second, {"REFERENCE": "by a person"})
            return answer

        monkeypatch.setattr(Gateway, "tell", told)
        changes = [update(first, {"NARRATION": "first change"}), update(second, {"NARRATION": "second change"})]
        write_all(connect(), "invoice", changes)
        stored = office.stored("invoice", second) or {}
        assert (stored["REFERENCE"], stored["NARRATION"]) == ("by a person", "second change")

    def test_a_number_that_is_taken_is_refused(self, connect: Connect, office: TallyOffice) -> None:
        values = office.values_for("invoice")
        results = write(connect(), "invoice", [creation(values), creation(values)])
        assert [result.outcome for result in results] == [Outcome.DONE, Outcome.REJECTED]
        assert "number is taken" in results[1].problems[0].message


def item_invoice(office: TallyOffice, *, amount: str) -> tuple[str, dict[str, Any]]:
    """The item, and a sale of it for so much, as a mapping that pushes would make it."""
    item = str((office.stored("product", next(iter(office.modified("product")))) or {})["NAME"])
    values = office.values_for("invoice")
    party = values["PARTYLEDGERNAME"]
    line = {
        "STOCKITEMNAME": item, "ISDEEMEDPOSITIVE": "No", "RATE": f"{amount}/Nos", "AMOUNT": amount,
        "ACTUALQTY": "1 Nos", "BILLEDQTY": "1 Nos",
        "ACCOUNTINGALLOCATIONS_LIST": [{"LEDGERNAME": "Sales", "ISDEEMEDPOSITIVE": "No", "AMOUNT": amount}],
    }  # fmt: skip
    entries = [{"LEDGERNAME": party, "ISDEEMEDPOSITIVE": "Yes", "AMOUNT": f"-{amount}"}]
    lists = {"ALLLEDGERENTRIES_LIST": entries, "ALLINVENTORYENTRIES_LIST": [line]}
    return item, {**values, "REFERENCE": "PO 9", **lists}
