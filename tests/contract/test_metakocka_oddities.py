"""What only Metakocka does: changes nothing dates, inserts that would repeat, products and partners made silently."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from erpflow.connectors.base import Connector, Outcome, WriteResult
from erpflow.connectors.metakocka_documents import RESCAN
from erpflow.errors import AuthFailed, ConfigError, RateLimited
from erpflow.testing import RecordingLimiter
from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.changes import creation, deletion, read_back, update, write, write_all
from erpflow.testing.reading import read_all
from erpflow.vocabulary import RemoteId, Window
from tests.contract.metakocka_vendor import MetakockaCompany

LONG_AGO = (datetime.now(UTC) - RESCAN - timedelta(days=10)).date().isoformat()
LATELY = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()


class MetakockaTests(ContractBase):
    """What tests of Metakocka's connector are given."""

    system = "metakocka"

    @pytest.fixture
    def vendor(self, metakocka: MetakockaCompany) -> MetakockaCompany:
        return metakocka

    @pytest.fixture
    def company(self, metakocka: MetakockaCompany) -> MetakockaCompany:
        return metakocka


def since_now() -> Window:
    return Window(since=datetime.now(UTC))


def refusal(results: list[WriteResult]) -> tuple[str, str, str]:
    """Field, rule and message of the one problem of the one result."""
    ((problem,),) = [result.problems for result in results]
    assert results[0].outcome is Outcome.REJECTED
    return problem.field, problem.rule, problem.message


class TestWhatChanged(MetakockaTests):
    def test_a_payment_of_a_bill_is_met_though_nothing_dates_it(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        bill = company.new_document(doc_type="sales_bill_domestic", doc_date=LATELY)
        window = since_now()
        company.door("metakocka/pay", {"id": bill.rpartition(":")[2], "amount": "1.234,5"})
        found = {record["id"]: record for record in read_all(connect(), "document", window).records}
        assert Decimal(str(found[bill]["sum_paid"])) == Decimal("1234.5")
        assert [payment["amount"] for payment in found[bill]["mark_paid"]] == [1234.5]
        assert Decimal(str(found[bill]["sum_open"])) == Decimal(str(found[bill]["sum_all"])) - Decimal("1234.5")

    def test_a_bill_older_than_the_rescan_is_met_by_a_full_read_alone(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        bill = company.new_document(doc_type="sales_bill_domestic", doc_date=LONG_AGO)
        window = since_now()
        company.update("document", bill)
        assert bill not in read_all(connect(), "document", window).ids
        assert bill in read_all(connect(), "document").ids

    def test_an_order_of_any_age_is_met_when_it_changes_and_not_otherwise(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        orders = [company.new_document(doc_type="sales_order", doc_date="1999-12-31") for _ in range(2)]
        company.age("document", orders)
        changed, unchanged = orders
        window = since_now()
        company.update("document", changed)
        found = read_all(connect(), "document", window).ids
        assert changed in found and unchanged not in found

    def test_offers_are_read_every_time(self, connect: Connect, company: MetakockaCompany) -> None:
        offer = company.new_document(doc_type="sales_offer", doc_date=LONG_AGO)
        assert offer in read_all(connect(), "document", since_now()).ids

    def test_a_partner_is_read_again_when_a_document_of_his_changes_and_not_when_he_does_alone(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        alone, with_order = company.create("contact", 2)
        order = company.new_document(doc_type="sales_order", partner=with_order)
        company.age("document", [name for name in company.modified("document") if name.startswith("sales_order")])
        window = since_now()
        for partner in (alone, with_order):
            company.update("contact", partner)
        company.update("document", order)
        found = read_all(connect(), "contact", window).ids
        assert with_order in found and alone not in found
        assert alone in read_all(connect(), "contact").ids

    def test_a_partner_on_no_document_is_not_met_and_yet_found_by_its_id(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        mk_id = company.call("add_partner", partner={"customer": "Nobody's customer"})["mk_id"]
        connector = connect()
        assert mk_id not in read_all(connector, "contact").ids
        assert (connector.read_one("contact", RemoteId(mk_id)) or {})["customer"] == "Nobody's customer"

    @pytest.mark.parametrize("kind", ["product", "document"])
    def test_nothing_is_missed_while_others_delete(
        self, connect: Connect, company: MetakockaCompany, kind: str
    ) -> None:
        created = company.create(kind, 6 * self.page_size)
        gone, kept = created[: 2 * self.page_size], created[2 * self.page_size :]

        def delete_some(_: Any) -> None:
            company.delete(kind, [gone.pop(0) for _ in range(min(3, len(gone)))])

        assert set(kept) <= set(read_all(connect(), kind, after_page=delete_some).ids)

    def test_a_page_token_of_something_else_is_refused(self, connect: Connect) -> None:
        for token in ("{", '{"part":"complaint"}', '{"part":"product","offset":-1}', "null"):
            with pytest.raises(ConfigError, match="page token"):
                read_all(connect(), "product", resume=token)  # type: ignore[arg-type]


class TestWhatARecordIs(MetakockaTests):
    def test_a_single_line_is_a_list_of_one(self, connect: Connect, company: MetakockaCompany) -> None:
        made = [company.new_document(doc_type="sales_order") for _ in range(2)]  # one of both comes without its list
        for record in read_back(connect(), "document", made).values():
            (line,) = record["product_list"]
            assert (line["line_no"], line["net_price"], line["net_amount"]) == (1, 10.5, 10.5)

    def test_decimals_with_a_comma_are_numbers(self, connect: Connect, company: MetakockaCompany) -> None:
        (product,) = company.create("product", 1)
        company.change("product", product, {"weight": "1895.01"})
        assert read_back(connect(), "product", [product])[product]["weight"] == 1895.01

    def test_a_record_has_the_same_bytes_whichever_call_brings_it(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        connector = connect()
        for entity in ("product", "contact", "document", "inventory"):
            for _ in range(2):  # answers tell how long they took
                page = next(iter(connector.read(entity, Window())))
                split = type(connector).split(entity, page.raw)
                key = connector.spec.entities[entity].key
                ids = [RemoteId(str(record[key])) for record in _decoded(split)]
                again = type(connector).split(entity, connector.read_many(entity, ids).raw)  # type: ignore[attr-defined]
                assert sorted(map(bytes, split)) == sorted(map(bytes, again))

    def test_rows_of_one_product_in_one_warehouse_are_added_up(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        (level,) = company.create("inventory", 1)
        house, mk_id = level.split(":")
        for amount in ("1.895,01", "-3"):
            company.door("metakocka/stock", {"warehouse_id": house, "mk_id": mk_id, "amount": amount})
        record = connect().read_one("inventory", level)
        assert record is not None
        assert [record[name] for name in ("amount", "reserved_amount", "free_amount")] == [1899.31, 1, 1898.31]
        assert record["warehouse_mark"] == "glavni"

    def test_what_is_sold_out_has_a_level_of_nothing_in_every_active_warehouse(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        goods, service = (
            company.new_product(),
            company.call("json/product_add", code="DOSTAVA", name="Dostava", unit="kos", service="true")["mk_id"],
        )
        found = {record["id"]: record for record in read_all(connect(), "inventory").records}
        levels = [record for record in found.values() if record["mk_id"] == goods]
        assert [(record["warehouse_mark"], record["amount"]) for record in levels] == [("glavni", 0), ("mb", 0)]
        assert not [record for record in found.values() if record["mk_id"] == service]


class TestRefusals(MetakockaTests):
    def test_a_used_up_quota_pauses_the_connection(
        self, connect: Connect, company: MetakockaCompany, limiter: RecordingLimiter
    ) -> None:
        company.door("metakocka/switches", {"quota": 1})
        with pytest.raises(RateLimited, match="Quote exceeds") as raised:
            read_all(connect(), "product")
        assert raised.value.retry_after in limiter.pauses

    def test_a_blocked_address_is_told_from_a_bad_key(self, connect: Connect, company: MetakockaCompany) -> None:
        company.door("metakocka/switches", {"address_blocked": True})
        with pytest.raises(AuthFailed, match=r"IP address '127\.0\.0\.1' is not allowed.*Add this machine's"):
            read_all(connect(), "product")

    def test_an_internal_error_is_waited_out_by_a_question(
        self, connect: Connect, company: MetakockaCompany, slept: list[float]
    ) -> None:
        company.door("metakocka/switches", {"internal_errors": 2})
        assert sorted(read_all(connect(), "product").ids) == sorted(company.modified("product"))
        assert len(slept) == 2

    def test_an_internal_error_leaves_a_write_unknown(self, connect: Connect, company: MetakockaCompany) -> None:
        (order,) = company.create("document", 1)
        company.door("metakocka/switches", {"internal_errors": 1})
        (result,) = write(connect(), "document", [update(order, {"notes": "new"})])
        assert result.outcome is Outcome.UNKNOWN

    def test_stock_is_only_read(self, connect: Connect) -> None:
        with pytest.raises(ConfigError, match="only read"):
            write(connect(), "inventory", [creation({})])


class TestWritingDocuments(MetakockaTests):
    def test_a_document_with_an_unknown_product_is_refused_and_no_product_is_made(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        before = set(company.modified("product"))
        line = {"code": "NO-SUCH", "name": "No such", "unit": "kos", "amount": Decimal(1), "price": Decimal(1)}
        results = write(connect(), "document", [creation({**company.values_for("document"), "product_list": [line]})])
        field, rule, message = refusal(results)
        assert (field, rule) == ("product_list", "lookup") and "NO-SUCH not found" in message
        assert set(company.modified("product")) == before

    def test_a_line_without_a_code_says_what_to_do(self, connect: Connect, company: MetakockaCompany) -> None:
        line = {"mk_id": company.ware["mk_id"], "amount": Decimal(1), "price": Decimal(1)}
        results = write(connect(), "document", [creation({**company.values_for("document"), "product_list": [line]})])
        assert refusal(results) == (
            "product_list.0.code", "lookup", "A line needs the code of a product: sync products first.",
        )  # fmt: skip

    def test_a_partner_that_is_not_there_is_made_once_and_not_for_each_document(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        before = set(company.modified("contact"))
        block = {"customer": "Novi kupec d.o.o.", "tax_id_number": "SI77777777", "street": "Nova 1", "place": "Ptuj"}
        changes = [creation({**company.values_for("document"), "partner": dict(block)}) for _ in range(2)]
        made = write_all(connect(), "document", changes)
        (partner,) = set(company.modified("contact")) - before
        records = read_back(connect(), "document", made).values()
        assert [record["partner"]["mk_id"] for record in records] == [partner, partner]

    def test_a_partner_nobody_knows_is_refused(self, connect: Connect, company: MetakockaCompany) -> None:
        values = {**company.values_for("document"), "partner": {"mk_id": "1599999999"}}
        field, rule, message = refusal(write(connect(), "document", [creation(values)]))
        assert (field, rule) == ("partner.mk_id", "lookup") and "sync contacts first" in message

    def test_a_new_document_never_replaces_one(self, connect: Connect, company: MetakockaCompany) -> None:
        (order,) = company.create("document", 1)
        before = company.stored("document", order)
        values = {**company.values_for("document"), "id": order, "mk_id": order.rpartition(":")[2]}
        (made,) = write_all(connect(), "document", [creation(values)])
        assert made != order and company.stored("document", order) == before

    def test_a_bill_with_a_number_of_its_year_is_a_duplicate_and_one_of_another_year_is_not(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        company.new_document(doc_type="sales_bill_domestic", count_code="1-MK-9000", doc_date="2025-02-01")
        values = {**company.values_for("document"), "doc_type": "sales_bill_domestic", "count_code": "1-MK-9000"}
        same = creation({**values, "doc_date": "2025-12-31"})
        field, rule, _ = refusal(write(connect(), "document", [same]))
        assert (field, rule) == ("count_code", "duplicate")
        write_all(connect(), "document", [creation({**values, "doc_date": "2026-01-01"})])

    def test_lines_are_changed_in_their_rows_added_and_taken_away(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        connector = connect()
        (order,) = write_all(connector, "document", [creation(company.values_for("document"))])
        first, second = (line["mk_row_id"] for line in _lines(connector, order))
        line = {"code": company.ware["code"], "price": Decimal("10.55"), "tax": "EX4"}

        def send(*amounts: int) -> list[tuple[str, float]]:
            lines = [{**line, "amount": Decimal(amount)} for amount in amounts]
            write_all(connector, "document", [update(order, {"product_list": lines})])
            return [(found["mk_row_id"], found["amount"]) for found in _lines(connector, order)]

        assert send(5, 2)[:2] == [(first, 5), (second, 2)]
        assert [amount for _, amount in send(5, 2, 7)] == [5, 2, 7]
        assert send(9) == [(first, 9)]

    def test_a_line_keeps_what_an_update_does_not_say(self, connect: Connect, company: MetakockaCompany) -> None:
        line = {"code": company.ware["code"], "amount": Decimal(1), "price_with_tax": Decimal("12.2"), "tax": "EX4"}
        values = {**company.values_for("document"), "product_list": [{**line, "discount": "22;23"}]}
        connector = connect()
        (order,) = write_all(connector, "document", [creation(values)])
        for net_price, price in ((Decimal(10), {"price_with_tax": 12.2}), (Decimal(11), {"price": 11})):
            sent = {"code": line["code"], "amount": Decimal(3), "net_price": net_price}
            write_all(connector, "document", [update(order, {"product_list": [sent]})])
            (found,) = _lines(connector, order)
            assert (found["amount"], found["discount"], found["tax"]) == (3, "22;23", "EX4")
            assert {name: found[name] for name in ("price", "price_with_tax") if name in found} == price

    def test_of_a_bill_only_the_status_is_changed(self, connect: Connect, company: MetakockaCompany) -> None:
        connector = connect()
        bill = company.new_document(doc_type="sales_bill_domestic")
        for status in ("sent", None):
            write_all(connector, "document", [update(bill, {"status_desc": status})])
            assert read_back(connector, "document", [bill])[bill].get("status_desc") == status
        field, rule, message = refusal(write(connector, "document", [update(bill, {"notes": "new"})]))
        assert (field, rule) == ("notes", "readonly") and "only: pull" in message

    def test_offers_are_not_changed_and_only_orders_are_deleted(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        offer, bill = (company.new_document(doc_type=kind) for kind in ("sales_offer", "sales_bill_retail"))
        assert refusal(write(connect(), "document", [update(offer, {"notes": "new"})]))[1] == "readonly"
        assert refusal(write(connect(), "document", [deletion(bill)]))[1] == "permission"
        assert company.stored("document", bill) is not None

    def test_an_order_is_shipped(self, connect: Connect, company: MetakockaCompany) -> None:
        (order,) = company.create("document", 1)
        write_all(connect(), "document", [update(order, {"status_desc": "shipped", "shipped_date": "2026-03-29"})])
        record = read_back(connect(), "document", [order])[order]
        assert (record["status_desc"], record["status_code"]) == ("shipped", "Odpremljeno")
        assert record["shipped_date"] == "2026-03-29"

    def test_a_refusal_by_a_business_rule_comes_in_metakockas_words(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        (order,) = company.create("document", 1)
        _, rule, message = refusal(write(connect(), "document", [update(order, {"tracking_code": "SI2001"})]))
        assert (rule, message) == ("refused", "Tracking code can be set only on sales order with invoice")

    def test_what_cannot_be_cleared_is_not_said_to_be(self, connect: Connect, company: MetakockaCompany) -> None:
        (order,) = company.create("document", 1)
        assert refusal(write(connect(), "document", [update(order, {"warehouse": None})]))[:2] == (
            "warehouse",
            "required",
        )


class TestWritingProductsAndContacts(MetakockaTests):
    def test_a_new_price_goes_to_the_sales_price_list_and_leaves_its_other_steps_alone(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        steps = [
            {"amount_to": Decimal(10), "price": Decimal("2.5"), "tax": "EX4"},
            {"amount_from": Decimal(10), "price": Decimal(2), "tax": "EX4"},
        ]
        lists = [
            {"count_code": "NC-2026", "price_def": [{"price": Decimal(1)}]},
            {"count_code": "PC-2026", "price_def": steps},
        ]
        connector = connect()
        (product,) = write_all(connector, "product", [creation({**company.values_for("product"), "pricelist": lists})])
        write_all(connector, "product", [update(product, {"net_price": Decimal("3.75")})])
        record = read_back(connector, "product", [product])[product]
        prices = {each["count_code"]: [step["price"] for step in each["price_def"]] for each in record["pricelist"]}
        assert prices == {"NC-2026": [1], "PC-2026": [3.75, 2]}
        assert record["net_price"] == 3.75

    def test_a_price_with_tax_is_read_and_written_without_it(self, connect: Connect, company: MetakockaCompany) -> None:
        steps = [{"price_with_tax": Decimal("12.20"), "tax": "EX4"}]
        values = {**company.values_for("product"), "pricelist": [{"count_code": "PC-2026", "price_def": steps}]}
        connector = connect()
        (product,) = write_all(connector, "product", [creation(values)])
        assert read_back(connector, "product", [product])[product]["net_price"] == 10
        write_all(connector, "product", [update(product, {"net_price": Decimal(20)})])
        (step,) = read_back(connector, "product", [product])[product]["pricelist"][0]["price_def"]
        assert step["price"] == 20 and "price_with_tax" not in step

    def test_a_price_without_a_price_list_says_where_to_enter_it(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        (product,) = company.create("product", 1)
        assert refusal(write(connect(), "product", [update(product, {"net_price": Decimal(1)})]))[:2] == (
            "net_price",
            "lookup",
        )

    def test_a_name_cannot_be_cleared(self, connect: Connect, company: MetakockaCompany) -> None:
        (product,) = company.create("product", 1)
        assert refusal(write(connect(), "product", [update(product, {"name": None})]))[:2] == ("name", "required")

    def test_a_product_on_a_document_is_not_deleted(self, connect: Connect, company: MetakockaCompany) -> None:
        company.create("document", 1)
        _, rule, message = refusal(write(connect(), "product", [deletion(RemoteId(company.ware["mk_id"]))]))
        assert rule == "refused" and "is used on document" in message

    def test_many_products_are_read_and_found_in_few_requests(
        self, connect: Connect, company: MetakockaCompany, limiter: RecordingLimiter
    ) -> None:
        names = company.create("product", 30)
        codes = [str((company.stored("product", name) or {})["code"]) for name in names]
        connector = connect()
        limiter.acquired = 0
        assert set(read_back(connector, "product", names)) == set(names)
        assert connector.find("product", [{"code": code} for code in codes]) == [[name] for name in names]  # type: ignore[attr-defined]
        assert limiter.acquired <= 4

    def test_addresses_and_persons_are_changed_in_their_places(
        self, connect: Connect, company: MetakockaCompany
    ) -> None:
        connector = connect()
        (partner,) = write_all(connector, "contact", [creation(company.values_for("contact"))])
        address, person = "partner_delivery_address_list", "partner_contact_list"
        before = read_back(connector, "contact", [partner])[partner]
        change = {
            address: [{"street": "Druga 2"}, {"address_type": "Dobava", "street": "Tretja 3", "city": "Ptuj"}],
            person: [{"gsm": "041 000 111"}],
        }
        write_all(connector, "contact", [update(partner, change)])
        after = read_back(connector, "contact", [partner])[partner]
        assert [each["street"] for each in after[address]] == ["Druga 2", "Tretja 3"]
        assert after[address][0]["city"] == "Ljubljana"
        assert {**before[person][0], "gsm": "041 000 111"} == after[person][0]

    def test_a_private_person_is_told_by_name_and_address(self, connect: Connect, company: MetakockaCompany) -> None:
        person = {"customer": "Maja Novak", "partner_contact_list": [{"name": "Maja", "email": "maja@oseba.example"}]}
        results = write(connect(), "contact", [creation(person), creation(person)])
        assert [result.outcome for result in results] == [Outcome.DONE, Outcome.REJECTED]
        assert results[1].problems[0].rule == "duplicate"
        write_all(connect(), "contact", [creation({**person, "partner_contact_list": []})])


def _decoded(split: list[Any]) -> list[dict[str, Any]]:
    return [msgspec.json.decode(raw) for raw in split]


def _lines(connector: Connector, order: RemoteId) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_back(connector, "document", [order])[order]["product_list"]
    return found
