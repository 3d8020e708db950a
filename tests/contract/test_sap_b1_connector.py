"""SAP Business One's connector keeps the contract over both versions of the Service Layer; and what only it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

import pytest
import requests

from erpflow.connectors.base import Outcome
from erpflow.errors import AuthFailed, ConfigError, PermissionDenied, RateLimited, VendorUnavailable
from erpflow.testing import ConnectorContract, RecordingLimiter
from erpflow.testing.base import Connect
from erpflow.testing.changes import creation, newcomers, read_back, update, version_of, write, write_all, writer
from erpflow.testing.reading import read_all
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId, Window
from tests.contract.sandboxes import sandbox
from tests.contract.sap_b1_vendor import SIZES, SapB1Company


@pytest.fixture(scope="session")
def sap_b1_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("sap_b1", "--customers", "1", folder=tmp_path_factory.mktemp("sap_b1")) as url:
        yield url


@pytest.fixture
def company(sap_b1_url: str) -> Iterator[SapB1Company]:
    """The company, put back to its first state."""
    with requests.Session() as session:
        company = SapB1Company(sap_b1_url, session)
        company.post("reset", {"vendor": "sap_b1", "sizes": SIZES})
        yield company


class TestSapB1(ConnectorContract):
    system = "sap_b1"
    writable = ("customer", "contact", "product", "order", "invoice", "payment")
    unique: ClassVar[Mapping[str, str]] = {"customer": "CardCode", "product": "ItemCode"}
    amountless = ("contact",)

    @pytest.fixture
    def vendor(self, company: SapB1Company) -> SapB1Company:
        return company

    # -- the session -------------------------------------------------------------------------------------------------

    def test_a_session_that_ends_mid_page_is_opened_again_and_the_reading_goes_on(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        company.create("order", 3 * self.page_size)
        connector = connect()
        reading = read_all(connector, "order", after_page=lambda _: company.door("sessions", {}))
        assert sorted(reading.ids) == sorted(company.modified("order"))
        assert company.ask("sessions", {})["logins"] == len(reading.pages), "one login for each session that ended"

    def test_a_session_that_ends_before_a_write_does_not_lose_or_repeat_it(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        connector, values = connect(), company.values_for("order")
        assert connector.check().success
        new = newcomers(company, "order")
        company.door("sessions", {})
        assert write_all(connector, "order", [creation(values)]) == new(values)

    def test_a_write_whose_session_cannot_be_opened_again_was_not_done(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        connector, values = connect(), company.values_for("order")
        assert connector.check().success
        company.door("sessions", {})
        company.post("faults", {"kind": "status", "status": 503, "path": "Login"})
        before = set(company.modified("order"))
        with pytest.raises(VendorUnavailable) as raised:
            write(connector, "order", [creation(values)])
        assert not raised.value.maybe_done and set(company.modified("order")) == before

    def test_connectors_of_one_account_share_a_session_and_the_last_one_closes_it(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        first, second = connect(), connect()
        read_all(first, "customer")
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: read_all(second, "customer").ids, range(4)))
        assert company.ask("sessions", {}) == {"open": 1, "logins": 1, "most": 200}
        first._transport._session.close()
        assert company.ask("sessions", {})["open"] == 1, "the other one still needs it"
        second._transport._session.close()
        assert company.ask("sessions", {})["open"] == 0

    def test_a_password_that_is_refused_while_reading_is_sent_once(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        company.create("customer", 2 * self.page_size)
        connector = connect()
        pages = connector.read("customer", Window())
        next(pages)
        company.expire()
        company.session.delete(f"{company.url}/_sandbox/stats").raise_for_status()
        for _ in range(3):
            with pytest.raises(AuthFailed, match="refuses the login"):
                connector._transport.request("GET", "/b1s/v2/Items")
        logins = company.session.get(f"{company.url}/_sandbox/stats").text.count("Login")
        assert logins == 1, "so many of them would lock the user out"

    def test_a_company_that_is_not_there_is_told_from_a_wrong_password(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        result = connect(company.credentials(company_db="NOSUCHDB")).check()
        assert not result.success and "Fail to get DB Credentials" in result.message
        result = connect(Credentials("manager", "x", {"time_zone": "UTC"})).check()
        assert not result.success and "company_db" in result.message

    def test_too_many_sessions_are_waited_for(self, connect: Connect, company: SapB1Company) -> None:
        company.door("sessions", {"most": 0})
        with pytest.raises(RateLimited, match="no more sessions"):
            read_all(connect(), "customer")

    def test_without_a_time_zone_nothing_is_read_and_the_check_says_so(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        connector = connect(company.credentials(time_zone=""))
        assert "time_zone" in connector.check().message
        with pytest.raises(ConfigError, match="time_zone"):
            read_all(connector, "customer")

    def test_what_a_user_may_not_see_names_the_authorisation(self, connect: Connect, company: SapB1Company) -> None:
        sales = connect(company.credentials("sandbox-sales-password", user="sales"))
        assert sales.check().success
        with pytest.raises(PermissionDenied, match="Authorizations"):
            read_all(sales, "payment")

    # -- reading -------------------------------------------------------------------------------------------------------

    def test_a_server_that_sends_smaller_pages_than_asked_for_hides_nothing(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        company.door("switches", {"largest_page": 3})
        connector = connect()
        for entity in ("customer", "payment", "order"):
            names = sorted(read_all(connector, entity).ids)
            assert names == sorted(company.modified(entity))
            assert sorted(read_back(connector, entity, names)) == names
        names = company.create("contact", 7)
        assert sorted(read_back(connector, "contact", names)) == sorted(names)
        emails = [{"E_Mail": str((company.stored("contact", name) or {})["E_Mail"])} for name in names]
        assert writer(connector).find("contact", emails) == [[name] for name in names]

    def test_a_document_is_found_by_its_day_too(self, connect: Connect, company: SapB1Company) -> None:
        (name,) = company.create("order", 1)
        company.change("order", name, {"NumAtCard": "N-DAY"})
        wanted, other = ({"NumAtCard": "N-DAY", "DocDueDate": day} for day in ("2099-12-31", "2099-12-30"))
        assert writer(connect()).find("order", [wanted, other]) == [[name], []]

    def test_rows_that_were_never_updated_are_read_first_and_again_while_they_are_new(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        company.post("reset", {"vendor": "sap_b1", "sizes": {**SIZES, "never_updated": 7}})
        connector = connect()
        reading = read_all(connector, "customer")
        assert sorted(reading.ids) == sorted(company.modified("customer"))
        assert [record["ModifiedAt"] for record in reading.records[:7]] == [None] * 7
        oldest = min(record["CreateDate"] for record in reading.records[:7])
        window = Window(since=datetime.fromisoformat(oldest).astimezone(UTC) - timedelta(days=1))
        assert set(reading.ids[:7]) <= set(read_all(connector, "customer", window).ids)
        assert set(reading.ids[:7]).isdisjoint(read_all(connector, "customer", Window(since=datetime.now(UTC))).ids)

    def test_only_customers_and_their_contacts_are_read(self, connect: Connect) -> None:
        assert not [name for name in read_all(connect(), "customer").ids if name[0] in "SL"]
        assert {record["CardCode"][0] for record in read_all(connect(), "contact").records} <= set("CHK")

    def test_fields_of_the_connection_are_read_too_and_unknown_ones_are_named(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        connector = connect(company.credentials(fields="customer: U_ExtId, Fax; order: U_ExtId"))
        assert {"U_ExtId", "Fax"} <= set(read_all(connector, "customer").records[0])
        with pytest.raises(ConfigError, match="'U_Nope'"):
            read_all(connect(company.credentials(fields="customer: U_Nope")), "customer")
        with pytest.raises(ConfigError, match="custmer"):
            read_all(connect(company.credentials(fields="custmer: Fax")), "customer")

    def test_payments_are_read_from_the_day_the_connection_names(self, connect: Connect, company: SapB1Company) -> None:
        company.inserted("IncomingPayments", [{**company.record("payment"), "DocDate": "2024-12-31"}])
        (late,) = company.inserted("IncomingPayments", [{**company.record("payment"), "DocDate": "2026-02-01"}])
        assert read_all(connect(company.credentials(payments_from="2026-01-01")), "payment").ids == [late]

    def test_codes_that_need_quoting_are_read_and_written_by_them(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        connector = connect()
        for code in ("HOSTILE-QUOTE'", "HOSTILE/A B&C"):
            name = RemoteId(code)
            write_all(connector, "customer", [update(name, {"Phone1": "1"})])
            one = connector.read_one("customer", name)
            assert one is not None and one["Phone1"] == "1"

    def test_hundreds_of_records_are_read_by_their_ids_within_the_length_of_an_address(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        names = company.create("product", 400)
        assert len(read_back(connect(), "product", names)) == 400

    @pytest.mark.parametrize("ignore_case", [False, True])
    def test_a_value_is_found_as_the_database_compares(
        self, connect: Connect, company: SapB1Company, ignore_case: bool
    ) -> None:
        company.door("switches", {"ignore_case": ignore_case})
        (small,) = company.create("customer", 1)
        company.change("customer", small, {"CardName": "mixed Case"})
        found = writer(connect()).find("customer", [{"CardName": "MIXED case"}, {"CardName": "mixed Case"}])
        assert found[1] == [small]
        assert writer(connect()).find("customer", [{"CardName": "MIXED case"}]) == [[small] if ignore_case else []]

    def test_contacts_of_a_named_customer_are_found_without_going_through_all(
        self, connect: Connect, company: SapB1Company, limiter: RecordingLimiter
    ) -> None:
        (contact,) = company.create("contact", 1)
        company.change("contact", contact, {"E_Mail": "one@example.com"})
        connector = connect()
        assert connector.check().success
        limiter.acquired = 0
        keys = [{"CardCode": contact.partition(":")[2], "E_Mail": "one@example.com"}]
        assert writer(connector).find("contact", keys) == [[contact]]
        assert limiter.acquired == 1

    # -- writing -------------------------------------------------------------------------------------------------------

    def test_a_batch_with_bad_records_costs_one_request_more_for_each_of_them(
        self, connect: Connect, company: SapB1Company, limiter: RecordingLimiter
    ) -> None:
        changes = [creation(company.values_for("customer")) for _ in range(50)]
        for place in (0, 20, 49):
            changes[place] = creation(company.bad_values("customer"))
        connector = connect()
        assert connector.check().success
        limiter.acquired = 0
        outcomes = [result.outcome for result in write(connector, "customer", changes)]
        assert [place for place, outcome in enumerate(outcomes) if outcome is not Outcome.DONE] == [0, 20, 49]
        assert limiter.acquired == 3

    def test_a_patch_leaves_alone_the_rows_it_does_not_name(self, connect: Connect, company: SapB1Company) -> None:
        before = company.row("BusinessPartners", "C00001") or {}
        address = {"AddressName": "Head office", "AddressType": "bo_BillTo", "City": "Graz"}
        changes = [update(RemoteId("C00001"), {"BPAddresses": [address], "Phone2": "2"})]
        write_all(connect(), "customer", changes)
        after = company.row("BusinessPartners", "C00001") or {}
        assert [row["City"] for row in after["BPAddresses"]] == ["Graz", before["BPAddresses"][1]["City"]]
        assert after["ContactEmployees"] == before["ContactEmployees"]

    def test_a_row_that_does_not_say_which_it_is_is_not_added_silently(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        (result,) = write(connect(), "customer", [update(RemoteId("C00001"), {"BPAddresses": [{"City": "Graz"}]})])
        assert result.outcome is Outcome.REJECTED
        assert (result.problems[0].field, result.problems[0].rule) == ("BPAddresses[0].AddressName", "required")

    def test_lines_of_an_order_that_are_sent_are_all_its_lines(self, connect: Connect, company: SapB1Company) -> None:
        (name,) = company.create("order", 1)
        write_all(connect(), "order", [update(name, {"DocumentLines": [{"LineNum": 1, "Quantity": 7}]})])
        (line,) = (company.stored("order", name) or {})["DocumentLines"]
        assert (line["LineNum"], line["Quantity"], line["UnitPrice"]) == (1, 7, Decimal("10.5"))

    def test_a_document_is_closed_to_changes_and_says_so(self, connect: Connect, company: SapB1Company) -> None:
        (name,) = company.create("invoice", 1)
        (result,) = write(connect(), "invoice", [update(name, {"CardCode": "C00001"})])
        assert (result.outcome, result.problems[0].rule) == (Outcome.REJECTED, "operation")

    def test_a_document_that_waits_for_approval_is_a_draft_and_no_missing_reference(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        company.door("switches", {"approval": True})
        (result,) = write(connect(), "order", [creation(company.values_for("order"))])
        assert (result.outcome, result.problems[0].rule) == (Outcome.REJECTED, "approval")
        assert "draft 1" in result.problems[0].message
        company.door("switches", {"approval": False})
        (result,) = write(connect(), "order", [creation(company.bad_values("order"))])
        assert result.problems[0].rule == "lookup"

    def test_a_record_that_another_transaction_holds_is_left_for_later(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        first, held, last = company.create("customer", 3)
        company.door("lock", {"set": "BusinessPartners", "keys": [held]})
        changes = [update(name, {"Phone1": "9"}) for name in (first, held, last)]
        outcomes = [result.outcome for result in write(connect(), "customer", changes)]
        assert outcomes == [Outcome.DONE, Outcome.NOT_SENT, Outcome.DONE]
        with pytest.raises(VendorUnavailable) as raised:
            write(connect(), "customer", changes[1:2])
        assert not raised.value.maybe_done

    def test_a_patch_without_etags_is_compared_by_its_stamp(self, connect: Connect, company: SapB1Company) -> None:
        company.door("switches", {"etags": False})
        connector = connect()
        stale, current = company.create("customer", 2)
        old = {"UpdateDate": "2025-01-31", "UpdateTime": "08:00:00"}
        company.door("update", {"set": "BusinessPartners", "keys": [stale, current], "values": old, "bump": False})
        versions = {name: version_of(connector, "customer", name) for name in (stale, current)}
        assert set(versions.values()) == {"2025-01-31T08:00:00"}
        company.change("customer", stale, {"Phone1": "by a person"})
        changes = [update(name, {"Phone1": "9"}, version=versions[name]) for name in (stale, current)]
        assert [result.outcome for result in write(connector, "customer", changes)] == [Outcome.STALE, Outcome.DONE]

    def test_contacts_of_one_partner_are_changed_and_made_in_one_call(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        (contact,) = company.create("contact", 1)
        code = contact.partition(":")[2]
        gone = RemoteId(f"99999:{code}")
        new = {"CardCode": code, "Name": "Second of them", "E_Mail": "second@example.com"}
        results = write(
            connect(),
            "contact",
            [update(contact, {"Position": "A"}), creation(new), update(gone, {"Position": "B"}),
             creation({**new, "Name": "Third of them"}), update(contact, {"Phone1": "3"}),
             creation({**new, "CardCode": "NOBODY"})],
        )  # fmt: skip
        done, missing, rejected = Outcome.DONE, Outcome.MISSING, Outcome.REJECTED
        assert [result.outcome for result in results] == [done, done, missing, done, done, rejected]
        rows = (company.row("BusinessPartners", code) or {})["ContactEmployees"]
        assert [(row["Name"], row["Position"], row["Phone1"]) for row in rows] == [
            ("Contact 0002", "A", "3"), ("Second of them", None, None), ("Third of them", None, None),
        ]  # fmt: skip
        assert [f"{row['InternalCode']}:{code}" for row in rows[1:]] == [results[1].remote_id, results[3].remote_id]

    def test_a_change_of_the_key_is_refused_and_not_silently_ignored(
        self, connect: Connect, company: SapB1Company
    ) -> None:
        (name,) = company.create("customer", 1)
        (result,) = write(connect(), "customer", [update(name, {"CardCode": "OTHER"})])
        assert (result.outcome, result.problems[0].rule) == (Outcome.REJECTED, "readonly")


class TestSapB1OverVersion1(ConnectorContract):
    """The older version: other annotations, error bodies, dates and batch answers. Two entities tell."""

    system = "sap_b1"
    entities = ("order", "contact")
    writable = ("order",)

    @pytest.fixture
    def vendor(self, company: SapB1Company) -> SapB1Company:
        company.version = "v1"
        return company
