"""ERPNext's connector keeps the contract, against the sandbox's ERPNext site; and what only ERPNext does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import pytest

from erpflow.connectors.base import Outcome
from erpflow.errors import PermissionDenied, RateLimited, VendorUnavailable
from erpflow.testing import ConnectorContract, RecordingLimiter, WritableVendor
from erpflow.testing.base import Connect
from erpflow.testing.changes import creation, deletion, read_back, update, version_of, write, write_all
from erpflow.testing.deleting import read_trash
from erpflow.testing.reading import read_all
from erpflow.testing.vendor import Credentials
from erpflow.vocabulary import RemoteId

if TYPE_CHECKING:
    from tests.contract.conftest import ErpNextSite

NO_ROLES = Credentials("sandbox-noroles-key", "sandbox-noroles-secret")
SALES_USER = Credentials("sandbox-limited-key", "sandbox-limited-secret")  # may not delete, nor touch items
ODD_NAMES = (
    "A/B?C#D%E&F",
    "Żółć 🎈 Sp. z o.o.",
    "100% cotton + silk",
    'quote " and \\ backslash',
    "comma, and 'quote'",
)


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
        for title in ODD_NAMES:
            docs = [{"customer_name": title, "customer_type": "Company"}]
            (name,) = erpnext_site.door("erpnext/insert", {"doctype": "Customer", "docs": docs})["names"]
            one = connector.read_one("customer", name)
            assert one is not None and one["customer_name"] == title

    # -- writing -------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_documents_are_written_and_read_by_their_names_whatever_is_in_them(
        self, connect: Connect, name: str
    ) -> None:
        connector = connect()
        values = {"customer_name": name, "customer_type": "Company"}
        (made,) = write_all(connector, "customer", [creation(values)])
        assert made == name
        write_all(connector, "customer", [update(made, {"tax_id": "T-1"})])
        assert read_back(connector, "customer", [made, *map(RemoteId, ODD_NAMES)])[made]["tax_id"] == "T-1"
        write_all(connector, "customer", [deletion(made, version=version_of(connector, "customer", made))])
        assert read_back(connector, "customer", [made]) == {}

    def test_a_second_customer_of_a_name_gets_a_number_and_is_no_error(
        self, connect: Connect, erpnext_site: ErpNextSite
    ) -> None:
        values = erpnext_site.values_for("customer")
        del values["custom_erpflow_id"]  # what the documentation advises against this very thing
        names = write_all(connect(), "customer", [creation(values), creation(values)])
        assert names == [values["customer_name"], f"{values['customer_name']} - 1"]

    def test_an_order_is_submitted_cancelled_and_deleted(self, connect: Connect, erpnext_site: ErpNextSite) -> None:
        connector = connect()
        draft, submitted = write_all(
            connector,
            "order",
            [
                creation(erpnext_site.values_for("order")),
                creation({**erpnext_site.values_for("order"), "docstatus": 1}),
            ],
        )
        write_all(connector, "order", [update(draft, {"docstatus": 1})])
        assert [order["docstatus"] for order in read_back(connector, "order", [draft, submitted]).values()] == [1, 1]
        (refused,) = write(connector, "order", [deletion(draft)])
        assert refused.outcome is Outcome.REJECTED and "Submitted Record cannot be deleted" in str(refused.problems)
        write_all(connector, "order", [update(draft, {"docstatus": 2}), deletion(draft)])
        assert list(read_back(connector, "order", [draft, submitted])) == [submitted]

    def test_lines_that_are_sent_replace_all_lines(self, connect: Connect, erpnext_site: ErpNextSite) -> None:
        connector, values = connect(), erpnext_site.values_for("order")
        (name,) = write_all(connector, "order", [creation(values)])
        before = [line["name"] for line in read_back(connector, "order", [name])[name]["items"]]
        write_all(connector, "order", [update(name, {"items": [{**values["items"][0], "qty": 7}]})])
        (line,) = read_back(connector, "order", [name])[name]["items"]
        assert line["qty"] == 7 and line["name"] not in before

    def test_an_order_for_an_item_that_is_not_there_is_refused_and_not_missing(
        self, connect: Connect, erpnext_site: ErpNextSite
    ) -> None:
        connector = connect()
        (name,) = erpnext_site.create("order", 1)
        lines = [{"item_code": "NO-SUCH-ITEM", "qty": 1, "rate": 1}]  # answered with 404, as a missing order is
        results = write(
            connector, "order", [update(name, {"items": lines}), update(RemoteId("SAL-ORD-NONE"), {"items": lines})]
        )
        assert [result.outcome for result in results] == [Outcome.REJECTED, Outcome.MISSING]
        assert results[0].problems[0].message == "Item NO-SUCH-ITEM not found"

    def test_a_document_that_others_link_to_is_refused_in_the_sites_words(
        self, connect: Connect, erpnext_site: ErpNextSite
    ) -> None:
        (name,) = erpnext_site.create("order", 1)
        customer = read_back(connect(), "order", [name])[name]["customer"]
        (result,) = write(connect(), "customer", [deletion(customer)])
        (problem,) = result.problems
        assert (result.outcome, problem.rule) == (Outcome.REJECTED, "in_use")
        assert problem.message.endswith("You can disable this Customer instead of deleting it.")
        assert "is linked with Sales Order SAL-ORD" in problem.message

    def test_a_locked_document_is_left_for_later_and_the_others_are_written(
        self, connect: Connect, erpnext_site: ErpNextSite
    ) -> None:
        first, locked, last = erpnext_site.create("customer", 3)
        erpnext_site.door("erpnext/lock", {"doctype": "Customer", "names": [locked]})
        changes = [update(name, {"tax_id": "NEW"}) for name in (first, locked, last)]
        outcomes = [result.outcome for result in write(connect(), "customer", changes)]
        assert outcomes == [Outcome.DONE, Outcome.NOT_SENT, Outcome.DONE]
        with pytest.raises(VendorUnavailable, match="QueryTimeoutError"):
            write(connect(), "customer", changes[1:2])

    @pytest.mark.parametrize("switch", ["maintenance", "read_only", "database_down"])
    def test_a_site_under_repair_takes_no_write_and_says_that_none_was_done(
        self, connect: Connect, erpnext_site: ErpNextSite, switch: str
    ) -> None:
        values = erpnext_site.values_for("customer")
        erpnext_site.door("erpnext/switches", {switch: True})
        with pytest.raises(VendorUnavailable) as raised:
            write(connect(), "customer", [creation(values)])
        assert not raised.value.maybe_done

    def test_a_user_who_may_not_delete_is_told_so(self, connect: Connect, erpnext_site: ErpNextSite) -> None:
        (name,) = erpnext_site.create("customer", 1)
        with pytest.raises(PermissionDenied, match="a role that may delete it"):
            write(connect(SALES_USER), "customer", [deletion(name)])

    def test_what_a_user_may_not_do_does_not_keep_others_waiting(
        self, connect: Connect, erpnext_site: ErpNextSite
    ) -> None:
        first, forbidden, last = erpnext_site.create("customer", 3)
        changes = [update(first, {"tax_id": "A"}), deletion(forbidden), update(last, {"tax_id": "B"})]
        results = write(connect(SALES_USER), "customer", changes)
        assert [result.outcome for result in results] == [Outcome.DONE, Outcome.REJECTED, Outcome.DONE]
        assert results[1].problems[0].rule == "permission"

    def test_a_user_who_may_create_nothing_is_told_so_after_a_few_requests(
        self, connect: Connect, erpnext_site: ErpNextSite, limiter: RecordingLimiter
    ) -> None:
        changes = [creation(erpnext_site.values_for("product")) for _ in range(40)]
        with pytest.raises(PermissionDenied, match="a role that may create it"):
            write(connect(SALES_USER), "product", changes)
        assert limiter.acquired <= 12

    # -- deletions -----------------------------------------------------------------------------------------------------

    def test_only_a_system_manager_may_read_deletions_and_the_message_says_so(self, connect: Connect) -> None:
        with pytest.raises(PermissionDenied, match="System Manager") as raised:
            read_trash(connect(SALES_USER), "customer")
        assert "deletes: {pull: ignore}" in str(raised.value) and "full sync" in str(raised.value)

    def test_a_restored_document_is_not_reported(self, connect: Connect, erpnext_site: ErpNextSite) -> None:
        restored, gone = erpnext_site.create("customer", 2)
        erpnext_site.delete("customer", [restored, gone])
        filters = f'[["deleted_name","=","{restored}"]]'
        (row,) = erpnext_site.api("resource/Deleted Document", filters=filters)["data"]
        path = "api/method/frappe.core.doctype.deleted_document.deleted_document.restore"
        erpnext_site.session.post(
            f"{erpnext_site.base_url}/{path}", json=row, headers=erpnext_site.token
        ).raise_for_status()
        assert read_trash(connect(), "customer").ids == [gone]

    def test_a_document_made_again_in_other_letters_is_not_reported(
        self, connect: Connect, erpnext_site: ErpNextSite
    ) -> None:
        docs = [{"customer_name": "Müller & Söhne"}]
        (name,) = erpnext_site.door("erpnext/insert", {"doctype": "Customer", "docs": docs})["names"]
        erpnext_site.delete("customer", [name])
        erpnext_site.door("erpnext/insert", {"doctype": "Customer", "docs": [{"customer_name": "MULLER & SOHNE"}]})
        assert read_trash(connect(), "customer").ids == []

    def test_many_deletions_at_one_instant_are_all_read(self, connect: Connect, erpnext_site: ErpNextSite) -> None:
        gone = erpnext_site.create("customer", 4 * self.page_size)
        erpnext_site.delete("customer", gone)
        rows = erpnext_site.api("resource/Deleted Document", limit_page_length=0)["data"]
        names = [row["name"] for row in rows]
        erpnext_site.door("erpnext/touch", {"doctype": "Deleted Document", "names": names, "same_modified": True})
        assert sorted(read_trash(connect(), "customer").ids) == sorted(gone)
