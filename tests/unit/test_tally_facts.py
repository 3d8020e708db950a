"""What follows from Tally's fields: amounts, quantities, dated lists, totals; and what a voucher is when it is sent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

import pytest

from erpflow.connectors.tally import KINDS
from erpflow.connectors.tally_facts import amount_of, quantity_of, rate_of, with_facts
from erpflow.connectors.tally_lookup import holds
from erpflow.connectors.tally_names import Master, Names, below
from erpflow.connectors.tally_records import fields_xml
from erpflow.connectors.tally_requests import any_guid, any_name, both
from erpflow.connectors.tally_vouchers import addressed, created, voucher_xml
from erpflow.errors import RecordRejected

GUID = "5d0f0000-1111-2222-3333-444455556666-0000000a"


class FewNames:
    """The names of a company with one customer, one item and one tax."""

    def guid_of_ledger(self, name: str) -> str | None:
        return "guid of the party" if name.casefold() == "asha & sons" else None

    def guid_of_item(self, name: str) -> str | None:
        return "guid of the item" if name == "Bolt" else None

    def is_tax(self, ledger: str) -> bool:
        return ledger.casefold() == "output igst"


def facts(entity: str, **record: Any) -> dict[str, Any]:
    found: dict[str, Any] = with_facts(KINDS[entity], record, cast("Names", FewNames()))["DERIVED"]
    return found


def entry(ledger: str, amount: str, **more: Any) -> dict[str, Any]:
    return {"LEDGERNAME": ledger, "AMOUNT": amount, "ISDEEMEDPOSITIVE": "Yes" if "-" in amount else "No", **more}


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("-11800.00", "-11800.00"),
        ("$100.00 @ ₹83.00/$ = ₹8300.00", "8300.00"),
        ("-$100.00 @ ₹83.00/$ = -₹8300.00", "-8300.00"),
        ("1,23,456.78", "123456.78"),
        ("0", "0"),
        ("", None),
        (None, None),
        ("abc", None),
        ("1.2.3", None),
        ("-", None),
    ],
)
def test_an_amount_is_what_the_company_books(text: str | None, amount: str | None) -> None:
    assert amount_of(text) == (Decimal(amount) if amount else None)


@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("100 nos", ("100", "nos")),
        ("-2.500 Kgs", ("-2.500", "Kgs")),
        ("10 Nos = 1 Box", ("10", "Nos")),
        ("5", ("5", None)),
        ("2 Doz 3 Nos", (None, None)),  # neither 2 nor 3: better none than a wrong one
        ("", (None, None)),
    ],
)
def test_a_quantity_is_a_number_and_its_unit(text: str, quantity: tuple[str | None, str | None]) -> None:
    number, unit = quantity_of(text)
    assert (number, unit) == (Decimal(quantity[0]) if quantity[0] else None, quantity[1])


def test_a_rate_is_what_stands_before_the_unit() -> None:
    assert (rate_of("202.02/nos"), rate_of("")) == (Decimal("202.02"), None)


def test_of_dated_lists_the_newest_applies_and_old_fields_stand_in() -> None:
    registered = [{"APPLICABLEFROM": "20180401", "GSTIN": "OLD"}, {"APPLICABLEFROM": "20250401", "GSTIN": "NEW"}]
    assert facts("customer", LEDGSTREGDETAILS_LIST=registered, PARTYGSTIN="OLDEST")["tax_number"] == "NEW"
    assert facts("customer", PARTYGSTIN="OLDEST", LEDSTATENAME="\x04 Not Applicable") | {
        "tax_number": "OLDEST"
    } == facts("customer", PARTYGSTIN="OLDEST"), "a reserved value is none"


# -- vouchers ----------------------------------------------------------------------------------------------------------


def test_an_invoice_has_totals_though_tally_keeps_none() -> None:
    bill = {"NAME": "INV/1", "BILLTYPE": "New Ref", "BILLCREDITPERIOD": "30 Days", "AMOUNT": "-118.00"}
    entries = [
        entry("ASHA & SONS", "-118.00", BILLALLOCATIONS_LIST=[bill]),
        entry("Output IGST", "18.00"),
        entry("Sales", "100.00"),
    ]
    line = {"STOCKITEMNAME": "Bolt", "BILLEDQTY": "10 Nos", "RATE": "10.00/Nos", "AMOUNT": "100.00"}
    found = facts(
        "invoice", DATE="20260120", PARTYLEDGERNAME="Asha & Sons", ALLLEDGERENTRIES_LIST=entries,
        ALLINVENTORYENTRIES_LIST=[line],
    )  # fmt: skip
    assert (found["total"], found["tax"], found["net"]) == ("118.00", "18.00", "100.00")
    assert (found["party_guid"], found["due_date"], found["status"]) == ("guid of the party", "20260219", "recorded")
    (goods,) = found["lines"]
    assert (goods["item_guid"], goods["quantity"], goods["unit"], goods["rate"]) == (
        "guid of the item",
        "10",
        "Nos",
        "10.00",
    )


def test_a_receipt_says_what_it_pays_and_where_the_money_went() -> None:
    bills = [{"NAME": "INV/1", "BILLTYPE": "Agst Ref", "AMOUNT": "50.00"}]
    entries = [entry("Asha & Sons", "50.00", BILLALLOCATIONS_LIST=bills), entry("HDFC Bank", "-50.00")]
    found = facts("payment", PARTYLEDGERNAME="Asha & Sons", ALLLEDGERENTRIES_LIST=entries)
    assert (found["total"], found["against"], found["paid_into"]) == ("50.00", "INV/1", "HDFC Bank")
    two = [*bills, {"NAME": "INV/2", "BILLTYPE": "Agst Ref", "AMOUNT": "1.00"}]
    entries[0] = entry("Asha & Sons", "51.00", BILLALLOCATIONS_LIST=two)
    assert facts("payment", PARTYLEDGERNAME="Asha & Sons", ALLLEDGERENTRIES_LIST=entries)["against"] is None


def test_a_cancelled_voucher_has_no_totals_rather_than_zero() -> None:
    found = facts("invoice", PARTYLEDGERNAME="Asha & Sons", ISCANCELLED="Yes", ALLLEDGERENTRIES_LIST=[])
    assert (found["status"], found["total"], found["net"], found["tax"]) == ("cancelled", None, None, None)


def test_a_voucher_goes_in_the_view_it_is_kept_in() -> None:
    values = {"DATE": "2026-08-01", "VOUCHERTYPENAME": "Sales", "ALLLEDGERENTRIES_LIST": [entry("Sales", "1.00")]}
    xml = created(values, members=frozenset({"sales"}), mark="key")
    assert 'REMOTEID="erpflow-key" VCHTYPE="Sales" ACTION="Create" OBJVIEW="Accounting Voucher View"' in xml
    assert "<DATE>20260801</DATE>" in xml and "<ALLLEDGERENTRIES.LIST><LEDGERNAME>Sales" in xml
    allocation = {"LEDGERNAME": "Sales", "AMOUNT": "1.00"}
    goods = {"STOCKITEMNAME": "Bolt", "ACCOUNTINGALLOCATIONS_LIST": [allocation]}
    entries = [entry("Asha & Sons", "-1.00"), entry("Sales", "1.00")]
    invoice = created(
        values | {"ALLINVENTORYENTRIES_LIST": [goods], "ALLLEDGERENTRIES_LIST": entries}, members=None, mark="key"
    )
    assert 'OBJVIEW="Invoice Voucher View"' in invoice and "<ISINVOICE>Yes</ISINVOICE>" in invoice
    assert invoice.count("<LEDGERENTRIES.LIST>") == 1, "the entry that comes with the goods is not sent twice"
    assert "<ALLLEDGERENTRIES.LIST>" not in invoice


def test_a_voucher_is_addressed_by_its_day_its_type_and_tallys_number() -> None:
    current = {"DATE": "20260801", "MASTERID": "295", "VOUCHERTYPENAME": "Sales & Service", "NARRATION": ""}
    address = 'DATE="01-Aug-2026" TAGNAME="MasterID" TAGVALUE="295" VCHTYPE="Sales &amp; Service"'
    assert addressed(current, "Delete") == (
        f'<VOUCHER {address} ACTION="Delete"><NARRATION>Delete by erpflow</NARRATION></VOUCHER>'
    )
    altered = voucher_xml({**current, "REFERENCE": "PO-1", "GUID": GUID, "DERIVED": {}}, {"NARRATION": "new"})
    assert f'{address} ACTION="Alter"' in altered and "<REFERENCE>PO-1</REFERENCE>" in altered, "all of it is sent"
    assert "GUID" not in altered and "DERIVED" not in altered and "<NARRATION>new</NARRATION>" in altered
    assert 'ACTION="Cancel"' in voucher_xml(current, {"ISCANCELLED": "Yes"})


@pytest.mark.parametrize("day", ["", "01-08-2026", "20260231", "2026-08", None])
def test_a_voucher_without_a_day_tally_understands_is_not_sent(day: str | None) -> None:
    with pytest.raises(RecordRejected, match="yyyymmdd"):
        created({"DATE": day, "VOUCHERTYPENAME": "Sales"}, members=None, mark="key")


def test_a_voucher_of_another_entity_is_not_sent() -> None:
    with pytest.raises(RecordRejected, match="no type of voucher"):
        created({"DATE": "20260801", "VOUCHERTYPENAME": "Payment"}, members=frozenset({"sales"}), mark="key")


# -- requests ----------------------------------------------------------------------------------------------------------


def test_fields_are_sent_as_tally_writes_them() -> None:
    values = {
        "ISBILLWISEON": True, "CREDITLIMIT": Decimal("1E+3"), "EMAIL": None, "ADDRESS_LIST": ["a & b", "c"],
        "BILLS_LIST": [{"NAME": "x"}], "GONE_LIST": [],
    }  # fmt: skip
    assert fields_xml(values) == (
        "<ISBILLWISEON>Yes</ISBILLWISEON><CREDITLIMIT>1000</CREDITLIMIT><EMAIL></EMAIL>"
        '<ADDRESS.LIST TYPE="String"><ADDRESS>a &amp; b</ADDRESS><ADDRESS>c</ADDRESS></ADDRESS.LIST>'
        "<BILLS.LIST><NAME>x</NAME></BILLS.LIST><GONE.LIST></GONE.LIST>"
    )


@pytest.mark.parametrize(
    "values", [{"lower": 1}, {"A><B": 1}, {"A": 1.5}, {"A_LIST": [{"B": 1}, "text"]}, {"A": "half \ud800"}]
)
def test_what_tally_cannot_read_is_refused_here(values: dict[str, Any]) -> None:
    with pytest.raises(RecordRejected):
        fields_xml(values)


def test_nothing_a_person_typed_stands_in_a_formula() -> None:
    assert any_guid([GUID, '" OR $NAME = "', "no-such-record-7f3a"]) == f'$GUID = "{GUID}"'
    assert any_name("PARENT", ["West", 'Say "hi"']) == "", "then all are asked for, and told apart here"
    assert any_name("PARENT", ["West", "South"]) == '$PARENT = "South" OR $PARENT = "West"'
    assert both("$A > 1", "") == "$A > 1"


def test_a_tree_of_names_is_followed_to_its_leaves_even_in_a_circle() -> None:
    tree = [Master("B", "A", ""), Master("C", "b", ""), Master("A", "C", ""), Master("X", "Y", "")]
    assert below(tree, "A") == {"a", "b", "c"}


def test_keys_are_compared_as_tally_does() -> None:
    record = {"NAME": "Asha & Sons", "EMAIL": "a@b.example", "DERIVED": {"lines": [{"item": "Bolt"}]}, "PHONE": None}
    assert holds(record, {"NAME": "ASHA & SONS", "DERIVED.lines.0.item": "Bolt"})
    assert not holds(record, {"EMAIL": "A@B.example"})
    assert not holds(record, {"PHONE": ""}) and not holds(record, {"DERIVED.lines.1.item": "Bolt"})
