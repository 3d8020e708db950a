"""Zoho CRM's connector keeps the contract, against the sandbox's organisation; and what only Zoho does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
import requests

from erpflow.connectors import zoho_crm_bulk, zoho_crm_org
from erpflow.connectors.account import Account
from erpflow.connectors.base import Outcome, Page, PageToken
from erpflow.connectors.zoho_crm import ZohoCrm
from erpflow.errors import PermissionDenied, ProtocolError, RateLimited
from erpflow.testing import ConnectorContract, RecordingLimiter, WritableVendor
from erpflow.testing.base import Connect
from erpflow.testing.changes import creation, read_back, update, version_of, write, write_all
from erpflow.testing.deleting import read_trash
from erpflow.testing.reading import Reading, read_all
from erpflow.vocabulary import RemoteId, Window
from tests.contract.sandboxes import sandbox
from tests.contract.zoho_crm_vendor import EXTERNAL_ID, SIZES, ZohoOrganisation

EVER = Window(since=datetime(2000, 1, 1, tzinfo=UTC))
"""A window that holds everything, and is no first load."""


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


def _first_ids(pages: Sequence[Page]) -> list[str]:
    """The ids of the first page that holds some."""
    filled = (ZohoCrm.split("customer", page.raw) for page in pages if page.count)
    return [json.loads(bytes(raw))["id"] for raw in next(filled, [])]


def asked(organisation: ZohoOrganisation) -> dict[str, int]:
    """The requests since the last reset, by method and path."""
    answer = organisation.session.get(f"{organisation.url}/_sandbox/stats")
    found: dict[str, int] = answer.json()["by_path"]
    return found


class TestZohoCrm(ConnectorContract):
    system = "zoho_crm"
    writable = ("customer", "contact", "lead", "product", "deal", "order", "invoice")
    amountless = ("contact",)
    unique: ClassVar[Mapping[str, str]] = {"customer": EXTERNAL_ID, "product": "Product_Code", "order": EXTERNAL_ID}

    @pytest.fixture
    def vendor(self, organisation: ZohoOrganisation) -> WritableVendor:
        return organisation

    # -- tokens ------------------------------------------------------------------------------------------------------

    def test_a_token_that_expires_at_page_57_of_100_is_renewed_once_and_the_read_goes_on_there(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        organisation.create("customer", 100 * self.page_size - len(organisation.modified("customer")))

        def expire(reading: Reading) -> None:
            if len(reading.pages) == 57:
                organisation.door("tokens", {"expire": True})

        reading = read_all(connect(), "customer", after_page=expire)
        assert len(reading.pages) >= 100
        assert sorted(reading.ids) == sorted(organisation.modified("customer"))
        assert organisation.tokens[next(iter(organisation.tokens))].refreshes == 2

    def test_too_many_refreshes_are_a_matter_of_time_and_not_of_consent(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        connector = connect()
        for _ in range(9):
            read_all(connector, "deal")
            organisation.door("tokens", {"expire": True})
        read_all(connector, "deal")
        organisation.door("tokens", {"expire": True})
        with pytest.raises(RateLimited) as raised:
            read_all(connector, "deal")
        assert raised.value.retry_after == 600

    def test_the_records_are_where_the_tokens_say(self, connect: Connect, organisation: ZohoOrganisation) -> None:
        good = organisation.good()
        account = Account("https://www.zohoapis.eu", good.login, good.password, tokens=good.tokens)
        assert ZohoCrm.address(account) == organisation.base_url

    def test_a_consent_without_a_scope_is_named_and_is_not_a_refused_token(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        connector = connect(organisation.reader())
        assert read_all(connector, "customer").ids
        with pytest.raises(PermissionDenied, match=r"ZohoCRM\.coql\.READ"):
            connector.find("customer", [{"Account_Name": "x"}])  # type: ignore[attr-defined]
        (name,) = organisation.create("customer", 1)
        with pytest.raises(PermissionDenied, match=r"ZohoCRM\.modules\.ALL"):
            write(connector, "customer", [update(name, {"Phone": "1"})])

    # -- lists -------------------------------------------------------------------------------------------------------

    def test_custom_fields_come_as_the_organisation_describes_them(self, connect: Connect) -> None:
        records = read_all(connect(), "customer").records
        assert all("Tax_Id" in record and EXTERNAL_ID in record for record in records)

    def test_more_fields_than_a_request_may_name_are_read_in_parts(
        self, connect: Connect, organisation: ZohoOrganisation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        organisation.create("customer", self.page_size)
        whole = {entity: read_all(connect(), entity).records for entity in ("customer", "order")}
        monkeypatch.setattr(zoho_crm_org, "MOST_FIELDS", 9)
        for entity, records in whole.items():
            assert read_all(connect(), entity).records == records

    def test_a_module_that_this_edition_lacks_is_named(self, connect: Connect, organisation: ZohoOrganisation) -> None:
        organisation.door("switches", {"refused_modules": ["Invoices"]})
        with pytest.raises(ProtocolError, match="edition"):
            read_all(connect(), "invoice")

    @pytest.mark.parametrize("inclusive", [False, True])
    def test_a_second_that_fills_many_pages_is_read_whole_while_its_records_are_saved(
        self, connect: Connect, organisation: ZohoOrganisation, inclusive: bool
    ) -> None:
        organisation.door("switches", {"since_is_inclusive": inclusive})
        created = organisation.create("customer", 6 * self.page_size)
        organisation.share_one_instant("customer", created)
        organisation.create("customer", 3)

        def save(reading: Reading) -> None:
            if 4 <= len(reading.pages) <= 8:  # what was read leaves its second, and the rest of the second moves up
                for name in reading.ids[-2:]:
                    organisation.update("customer", name)

        reading = read_all(connect(), "customer", after_page=save)
        assert set(reading.ids) == set(organisation.modified("customer"))
        assert reading.instants() == dict(organisation.modified("customer"))

    @pytest.mark.parametrize("worn", ["", "expired", "altered"])
    def test_a_second_of_more_records_than_page_numbers_reach_is_read_by_token(
        self, connect: Connect, organisation: ZohoOrganisation, worn: str
    ) -> None:
        organisation.door("clock", {"apart": 0})
        records = [{"Last_Name": f"Imported {number}", "Company": "Import"} for number in range(2_600)]
        ids = organisation.door("insert", {"module": "Leads", "records": records})["ids"]
        organisation.share_one_instant("lead", ids)
        tokens: list[PageToken] = []

        def wear(reading: Reading) -> None:
            token = reading.pages[-1].next
            if token is not None and json.loads(token)["list"]["page_token"]:
                tokens.append(token)
                if worn == "expired" and len(tokens) == 1:
                    organisation.door("clock", {"advance_s": 90_000})

        connector = connect(page_size=200)
        reading = read_all(connector, "lead", EVER, after_page=wear)
        assert tokens, "no page was asked for by token"
        assert sorted(reading.ids) == sorted(organisation.modified("lead"))
        if worn == "altered":
            saved = json.loads(tokens[0])
            saved["list"]["page_token"] = "0" * 80
            rest = read_all(connect(page_size=200), "lead", EVER, resume=PageToken(json.dumps(saved)))
            # What the token stood for is begun anew, so nothing before it has to come again.
            first = reading.pages[: [page.next for page in reading.pages].index(tokens[0]) + 1]
            assert sorted([*Reading(connector, "lead", first).ids, *rest.ids]) == sorted(reading.ids)

    def test_converted_leads_are_read_too(self, connect: Connect, organisation: ZohoOrganisation) -> None:
        converted, _ = organisation.create("lead", 2)
        organisation.change("lead", converted, {"Converted__s": True})
        records = {record["id"]: record for record in read_all(connect(), "lead").records}
        assert records[converted]["Converted__s"] is True

    def test_a_list_that_does_not_heed_its_header_ends_the_read(
        self, connect: Connect, organisation: ZohoOrganisation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        organisation.create("customer", 2)
        connector = connect()
        ask = connector._org.ask  # type: ignore[attr-defined]
        monkeypatch.setattr(connector._org, "ask", lambda path, query=None, **_: ask(path, query))  # type: ignore[attr-defined]
        with pytest.raises(ProtocolError, match="If-Modified-Since"):
            read_all(connector, "customer", Window(since=max(organisation.modified("customer").values())))

    # -- documents ---------------------------------------------------------------------------------------------------

    def test_a_page_of_documents_with_their_lines_costs_two_requests(
        self, connect: Connect, organisation: ZohoOrganisation, limiter: RecordingLimiter
    ) -> None:
        organisation.create("order", 3 * self.page_size)
        pages = [page for page in read_all(connect(), "order").pages if page.count]
        assert limiter.acquired <= 1 + 2 * len(pages) + 1  # the fields, and a last look that may find nothing

    @pytest.mark.parametrize("by_ids", [True, False])
    def test_lines_come_in_their_order_and_say_it(
        self, connect: Connect, organisation: ZohoOrganisation, by_ids: bool
    ) -> None:
        organisation.door("switches", {"lines_by_ids": by_ids})
        created = organisation.create("order", self.page_size + 1)
        connector = connect()
        orders = {order["id"]: order for order in read_all(connector, "order").records}
        for name in created:
            assert [(line["$line"], line["Quantity"]) for line in orders[name]["Ordered_Items"]] == [(1, 1), (2, 2)]
            one = connector.read_one("order", name)
            assert one is not None
            assert [line["id"] for line in one["Ordered_Items"]] == [
                line["id"] for line in orders[name]["Ordered_Items"]
            ]

    def test_a_document_is_the_same_bytes_whether_its_lines_come_by_ids_or_one_by_one(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        by_ids = read_all(connect(), "invoice").records
        organisation.door("switches", {"lines_by_ids": False})
        assert read_all(connect(), "invoice").records == by_ids

    @pytest.mark.parametrize("is_error", [False, True])
    def test_an_id_that_is_none_is_no_record_however_zoho_says_it(
        self, connect: Connect, organisation: ZohoOrganisation, is_error: bool
    ) -> None:
        organisation.door("switches", {"unknown_id_is_400": is_error, "lines_by_ids": False})
        (here,) = organisation.create("order", 1)
        unknown = RemoteId("554023000000999999")
        assert connect().read_one("order", unknown) is None
        assert set(read_back(connect(), "order", [unknown, here])) == {here}

    # -- first loads by Bulk Read ------------------------------------------------------------------------------------

    @pytest.fixture
    def many(self, organisation: ZohoOrganisation, monkeypatch: pytest.MonkeyPatch) -> ZohoOrganisation:
        """More customers than a list is worth asking for."""
        monkeypatch.setattr(zoho_crm_bulk, "ABOVE", 20)
        monkeypatch.setattr("erpflow.connectors.zoho_crm.ABOVE", 20)
        monkeypatch.setattr(zoho_crm_bulk, "ROWS_A_PAGE", 10)
        organisation.door("switches", {"bulk_rows": 25})
        organisation.create("customer", 50)
        return organisation

    def test_a_first_load_of_many_records_is_read_from_csv_files_in_the_shape_of_lists(
        self, connect: Connect, many: ZohoOrganisation, slept: list[float]
    ) -> None:
        connector = connect()
        loaded = {record["id"]: record for record in read_all(connector, "customer").records}
        listed = {record["id"]: record for record in read_all(connector, "customer", EVER).records}
        assert set(loaded) == set(listed) == set(many.modified("customer"))
        for name, record in listed.items():
            parent = record["Parent_Account"]
            expected = {**record, "Parent_Account": None if parent is None else {"id": parent["id"]}}
            assert loaded[name] == expected
        assert slept and asked(many)["POST /zoho_crm/crm/bulk/v8/read"] == 3, "a job for each 25 of 64"

    def test_hostile_records_survive_a_csv(self, connect: Connect, many: ZohoOrganisation) -> None:
        texts = ['"', ",", "line\nbreak", "\r\n", "שלום", "🎈", "=1+1", " blank ", "O'Brien; \\ "]
        names = {many.write_text("customer", text)[0]: text for text in texts}
        loaded = {record["id"]: record for record in read_all(connect(), "customer").records}
        assert {name: loaded[RemoteId(name)]["Billing_Street"] for name in names} == names

    def test_a_first_load_resumes_behind_every_page_and_reads_what_changed_meanwhile(
        self, connect: Connect, many: ZohoOrganisation
    ) -> None:
        whole = read_all(connect(), "customer")
        assert whole.pages[0].count == 0 and whole.pages[0].next is not None, "the job lands at once"
        for number, page in enumerate(whole.pages, start=1):
            if page.next is not None:
                rest = read_all(connect(), "customer", resume=page.next)
                before = Reading(rest.connector, "customer", whole.pages[:number]).ids
                assert sorted({*before, *rest.ids}) == sorted(set(whole.ids)), f"resumed behind page {number}"
                assert _first_ids(rest.pages) == _first_ids(whole.pages[number:]), "nothing comes twice"
        (changed,) = many.create("customer", 1)
        many.update("customer", whole.ids[0])
        rest = read_all(connect(), "customer", resume=whole.pages[1].next)
        assert {changed, whole.ids[0]} <= set(rest.ids)
        assert rest.instants()[whole.ids[0]] == many.modified("customer")[whole.ids[0]]

    def test_a_job_that_takes_long_frees_the_worker_and_is_found_again(
        self, connect: Connect, many: ZohoOrganisation
    ) -> None:
        many.door("switches", {"bulk_polls": 30, "bulk_rows": 1_000})
        reading = Reading(connect(), "customer")
        with pytest.raises(RateLimited, match="the same job") as raised:
            reading.pages += reading.connector.read("customer", Window())
        assert raised.value.retry_after == 60
        first = next(iter(connect().read("customer", Window())))
        for _ in range(10):
            try:
                rest = read_all(connect(), "customer", resume=first.next)
                break
            except RateLimited:
                continue
        assert set(rest.ids) == set(many.modified("customer"))

    def test_a_module_that_bulk_read_does_not_have_is_read_from_its_list(
        self, connect: Connect, many: ZohoOrganisation
    ) -> None:
        many.door("switches", {"no_bulk": True})
        reading = read_all(connect(), "customer")
        assert sorted(reading.ids) == sorted(many.modified("customer"))

    def test_a_small_module_is_not_worth_a_job(self, connect: Connect, organisation: ZohoOrganisation) -> None:
        read_all(connect(), "customer")
        assert not [path for path in asked(organisation) if "bulk" in path]

    def test_a_first_load_up_to_a_moment_leaves_out_what_is_later(
        self, connect: Connect, many: ZohoOrganisation
    ) -> None:
        times = many.modified("customer")
        until = sorted(times.values())[len(times) // 2]
        found = read_all(connect(), "customer", Window(until=until)).ids
        assert set(found) == {name for name, time in times.items() if time < until}

    # -- writing -----------------------------------------------------------------------------------------------------

    def test_a_hundred_records_go_in_one_request_each_with_its_outcome(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        changes = [creation(organisation.values_for("product")) for _ in range(100)]
        changes[40] = creation(organisation.bad_values("product"))
        changes[60] = creation(
            {**organisation.values_for("product"), "Product_Code": changes[0].values["Product_Code"]}
        )
        results = write(connect(), "product", changes)
        told = {place: result.problems[0].rule for place, result in enumerate(results) if result.problems}
        assert told == {40: "type", 60: "duplicate"}
        assert sum(result.outcome is Outcome.DONE for result in results) == 98
        assert asked(organisation)["POST /zoho_crm/crm/v8/Products"] == 1

    def test_a_create_that_carries_its_mark_makes_one_record_however_often_it_is_sent(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        change = creation(organisation.values_for("customer"))
        marked = creation({**change.values, EXTERNAL_ID: "erp-mark"})
        marked = type(marked)(marked.operation, "erp-mark", None, marked.values)
        first, second = (write_all(connect(), "customer", [marked]) for _ in range(2))
        assert first == second
        assert asked(organisation)["POST /zoho_crm/crm/v8/Accounts/upsert"] == 2

    def test_a_create_without_a_mark_never_changes_a_record_of_the_same_name(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        values = {"Account_Name": "The same name"}
        first, second = write_all(connect(), "customer", [creation(values), creation(values)])
        assert first != second

    @pytest.mark.parametrize("whole_request", [True, False])
    def test_a_record_that_changes_between_the_look_and_the_write_is_stale_and_alone(
        self, connect: Connect, organisation: ZohoOrganisation, whole_request: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        organisation.door("switches", {"batch_412": whole_request})
        names = organisation.create("customer", 4)
        connector = connect()
        versions = {name: version_of(connector, "customer", name) for name in names}
        org = connector._org  # type: ignore[attr-defined]
        tell = org.tell
        done: list[str] = []

        def tell_late(*given: Any, **options: Any) -> Any:
            if not done:  # somebody saves it in the very moment before our write
                done.append(names[2])
                organisation.change("customer", names[2], {"Fax": "theirs"})
            return tell(*given, **options)

        monkeypatch.setattr(org, "tell", tell_late)
        changes = [update(name, {"Fax": "ours"}, version=versions[name]) for name in names]
        outcomes = [result.outcome for result in write(connector, "customer", changes)]
        assert outcomes == [Outcome.DONE, Outcome.DONE, Outcome.STALE, Outcome.DONE]
        assert (organisation.stored("customer", names[2]) or {})["Fax"] == "theirs"

    def test_a_locked_record_is_left_for_later_and_the_others_are_written(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        first, locked, last = organisation.create("customer", 3)
        organisation.door("switches", {"locked": [locked]})
        results = write(connect(), "customer", [update(name, {"Fax": "new"}) for name in (first, locked, last)])
        assert [result.outcome for result in results] == [Outcome.DONE, Outcome.NOT_SENT, Outcome.DONE]

    def test_lines_that_are_sent_are_all_lines_and_keep_their_ids_by_their_places(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        connector, values = connect(), organisation.values_for("order")
        (name,) = write_all(connector, "order", [creation(values)])
        first, second = read_back(connector, "order", [name])[name]["Ordered_Items"]
        product = {"id": first["Product_Name"]["id"]}
        lines = [{"$line": 1, "Quantity": 9}, {"Product_Name": product, "Quantity": 4, "List_Price": 1}]
        write_all(connector, "order", [update(name, {"Ordered_Items": lines})])
        changed, new = read_back(connector, "order", [name])[name]["Ordered_Items"]
        assert (changed["id"], changed["Quantity"], changed["List_Price"]) == (first["id"], 9, first["List_Price"])
        assert new["id"] not in (first["id"], second["id"]) and new["Quantity"] == 4

    def test_a_look_up_that_leads_nowhere_is_refused_and_the_record_is_not_called_missing(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        (name,) = organisation.create("deal", 1)
        nowhere = {"Account_Name": {"id": "999999999999999999"}}
        changes = [update(name, nowhere), update(RemoteId("999999999999999998"), nowhere)]
        results = write(connect(), "deal", changes)
        assert [result.outcome for result in results] == [Outcome.REJECTED, Outcome.MISSING]
        assert (results[0].problems[0].field, results[0].problems[0].rule) == ("Account_Name", "lookup")

    def test_a_text_that_is_too_long_is_refused_with_the_length(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        (name,) = organisation.create("customer", 1)
        (result,) = write(connect(), "customer", [update(name, {"Fax": "9" * 31})])
        (problem,) = result.problems
        assert (problem.rule, problem.field) == ("max_length", "Fax") and "30" in problem.message

    def test_an_update_of_nothing_is_not_sent(self, connect: Connect, organisation: ZohoOrganisation) -> None:
        (name,) = organisation.create("customer", 1)
        before = organisation.modified("customer")[name]
        write_all(connect(), "customer", [update(name, {"Modified_Time": "2020-01-01T00:00:00Z"})])
        assert organisation.modified("customer")[name] == before

    # -- limits ------------------------------------------------------------------------------------------------------

    def test_used_up_credits_pause_the_connection_for_long(
        self, connect: Connect, organisation: ZohoOrganisation, limiter: RecordingLimiter
    ) -> None:
        connector = connect()
        read_all(connector, "customer")
        organisation.door("credits", {"most": organisation.door("credits", {})["spent"]})
        with pytest.raises(RateLimited) as raised:
            read_all(connector, "customer")
        assert raised.value.retry_after == 900 and 900 in limiter.pauses

    def test_too_many_at_once_is_a_matter_of_seconds(
        self, connect: Connect, organisation: ZohoOrganisation, slept: list[float], limiter: RecordingLimiter
    ) -> None:
        connector = connect()
        organisation.door("credits", {"most_at_once": 0})
        with pytest.raises(RateLimited):
            read_all(connector, "customer")
        assert set(slept) == {10.0} == set(limiter.pauses)

    # -- deletions ---------------------------------------------------------------------------------------------------

    def test_what_was_deleted_past_the_recycle_bin_is_reported_too(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        binned, gone = organisation.create("customer", 2)
        organisation.delete("customer", [binned])
        organisation.door("delete", {"module": "Accounts", "ids": [gone], "permanent": True})
        assert sorted(read_trash(connect(), "customer").ids) == sorted([binned, gone])

    def test_a_restored_record_is_not_reported_though_it_stays_in_the_list(
        self, connect: Connect, organisation: ZohoOrganisation
    ) -> None:
        organisation.door("switches", {"restored_stay_listed": True})
        back, gone = organisation.create("customer", 2)
        organisation.delete("customer", [back, gone])
        organisation.bring_back("customer", back)
        assert read_trash(connect(), "customer").ids == [gone]

    def test_a_deletion_that_slips_while_another_record_is_restored_is_found(
        self, connect: Connect, organisation: ZohoOrganisation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("erpflow.connectors.zoho_crm_deletions._PAGE", 4)
        gone = organisation.create("customer", 12)
        organisation.delete("customer", gone)
        connector = connect()
        org = connector._org  # type: ignore[attr-defined]
        ask, lists = org.ask, [0]

        def ask_slowly(path: str, *given: Any, **options: Any) -> Any:
            answer = ask(path, *given, **options)
            if path.endswith("/deleted"):
                lists[0] += 1
                if lists[0] == 1:  # the latest one goes, and the fifth row becomes the fourth
                    organisation.bring_back("customer", gone[-1])
            return answer

        monkeypatch.setattr(org, "ask", ask_slowly)
        assert sorted(read_trash(connector, "customer").ids) == sorted(gone[:-1])
