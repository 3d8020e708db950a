"""The rows of the sections, as the portal takes them but for the notation of numbers and dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from erpflow.services.gst.gstr1.amounts import Amounts, Item, Share, items_of, taxed, unrated_of
from erpflow.services.gst.gstr1.classify import Section, is_inter_state, rated_section
from erpflow.services.gst.gstr1.documents import EXPORTS, ZERO, Document, Filer, Kind, Supply, Treatment, rupees

INVOICE_TYPES: Final = {
    Supply.REGULAR: "R",
    Supply.SEZ_WITH_PAYMENT: "SEWP",
    Supply.SEZ_WITHOUT_PAYMENT: "SEWOP",
    Supply.DEEMED_EXPORT: "DE",
    Supply.BONDED_WAREHOUSE: "CBW",
}
EXPORT_TYPES: Final = {Supply.EXPORT_WITH_PAYMENT: "WPAY", Supply.EXPORT_WITHOUT_PAYMENT: "WOPAY"}
NOTE_TYPES: Final = {Supply.EXPORT_WITH_PAYMENT: "EXPWP", Supply.EXPORT_WITHOUT_PAYMENT: "EXPWOP"}
_NIL_KEYS: Final = {Treatment.NIL_RATED: "nil_amt", Treatment.EXEMPT: "expt_amt", Treatment.NON_GST: "ngsup_amt"}
_NIL_KINDS: Final = ("INTRB2B", "INTRAB2B", "INTRB2C", "INTRAB2C")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Declared:
    """A document where it is declared: its section, its items by rate, and what is summed up in `nil`."""

    document: Document
    section: Section
    is_inter: bool
    items: tuple[Item, ...]
    unrated: tuple[Share, ...]


def declare(documents: Iterable[Document], filer: Filer) -> tuple[Declared, ...]:
    """Documents in the order of the return, whatever order they came in; cancelled ones are not in it."""
    issued = sorted((each for each in documents if not each.is_cancelled), key=_order)
    return tuple(
        Declared(
            document=each,
            section=rated_section(each, filer),
            is_inter=is_inter_state(each, filer),
            items=items_of(each, filer),
            unrated=unrated_of(each),
        )
        for each in issued
    )


def section_rows(declared: Sequence[Declared]) -> dict[Section, Any]:
    """The sections by document and `b2cs` and `nil`; those without a row are left out."""
    of: dict[Section, list[Declared]] = defaultdict(list)
    for each in declared:
        if each.items:
            of[each.section].append(each)
    found: dict[Section, Any] = {
        Section.B2B: _grouped(of[Section.B2B], "ctin", lambda d: d.buyer_gstin, "inv", _b2b),
        Section.B2CL: _grouped(of[Section.B2CL], "pos", lambda d: d.place_of_supply, "inv", _invoice),
        Section.B2CS: list(b2cs_rows(of[Section.B2CS])),
        Section.CDNR: _grouped(of[Section.CDNR], "ctin", lambda d: d.buyer_gstin, "nt", _cdnr),
        Section.CDNUR: [_cdnur(each) for each in of[Section.CDNUR]],
        Section.EXP: _grouped(of[Section.EXP], "exp_typ", lambda d: EXPORT_TYPES[d.supply], "inv", _export),
    }
    nil = list(_nil_rows(declared))
    if nil:
        found[Section.NIL] = {"inv": nil}
    return {section: rows for section, rows in found.items() if rows}


@dataclass(frozen=True, slots=True)
class Consumers:
    """One row of `b2cs`: the supplies to consumers of one place at one rate, net of their notes."""

    is_inter: bool
    pos: str
    rate: Decimal
    amounts: Amounts
    shares: tuple[tuple[Share, int], ...]


def consumers(declared: Iterable[Declared]) -> list[Consumers]:
    """The rows of `b2cs`: within the state first, then by place, then by rate. They may be negative."""
    of: dict[tuple[bool, str, Decimal], list[tuple[Share, int]]] = defaultdict(list)
    for each in declared:
        if each.section is Section.B2CS:
            for item in each.items:
                key = (item.is_inter, each.document.place_of_supply, item.rate)
                of[key] += [(share, each.document.sign) for share in item.shares]
    rows = []
    for key in sorted(of, key=lambda key: (key[0], key[1], -key[2])):
        is_inter, pos, rate = key
        taxable = sum((share.taxable * sign for share, sign in of[key]), ZERO)
        cess = sum((share.cess * sign for share, sign in of[key]), ZERO)
        rows.append(Consumers(is_inter, pos, rate, taxed(taxable, rate, is_inter=is_inter, cess=cess), tuple(of[key])))
    return rows


def b2cs_rows(declared: Iterable[Declared]) -> Iterator[Row]:
    """The rows of `b2cs`."""
    for each in consumers(declared):
        head = {"sply_ty": "INTER" if each.is_inter else "INTRA", "typ": "OE", "pos": each.pos, "rt": each.rate}
        yield head | amounts_row(each.amounts, is_inter=each.is_inter)


def amounts_row(amounts: Amounts, *, is_inter: bool) -> Row:
    """Amounts under the portal's keys: only the taxes that apply."""
    taxes = {"iamt": amounts.igst} if is_inter else {"camt": amounts.cgst, "samt": amounts.sgst}
    return {"txval": amounts.taxable, **taxes, "csamt": amounts.cess}


def nil_kind(declared: Declared) -> str:
    """The row of `nil` that a document's unrated lines are summed up in."""
    return f"INTR{'' if declared.is_inter else 'A'}B2{'B' if declared.document.buyer_gstin else 'C'}"


def _nil_rows(declared: Iterable[Declared]) -> Iterator[Row]:
    sums: dict[str, dict[str, Decimal]] = {}
    for each in declared:
        for share in each.unrated:
            row = sums.setdefault(nil_kind(each), dict.fromkeys(("expt_amt", "nil_amt", "ngsup_amt"), ZERO))
            row[_NIL_KEYS[share.line.treatment]] += share.taxable * each.document.sign
    for kind in _NIL_KINDS:
        if kind in sums:
            yield {"sply_ty": kind, **sums[kind]}


def _grouped(declared: Sequence[Declared], key: str, by: Any, rows: str, make: Any) -> list[Row]:
    """Rows under what they have in common, as the portal nests them."""
    found: dict[str, list[Row]] = defaultdict(list)
    for each in declared:
        found[by(each.document)].append(make(each))
    return [{key: value, rows: found[value]} for value in sorted(found)]


def _b2b(declared: Declared) -> Row:
    return _invoice(declared, _terms(declared.document))


def _invoice(declared: Declared, terms: Row | None = None) -> Row:
    document = declared.document
    head = {"inum": document.number, "idt": document.date, "val": rupees(document.value), **(terms or {})}
    return head | _e_invoice(document) | {"itms": _nested(declared.items)}


def _terms(document: Document) -> Row:
    return {
        "pos": document.place_of_supply,
        "rchrg": "Y" if document.reverse_charge else "N",
        "inv_typ": INVOICE_TYPES[document.supply],
    }


def _cdnr(declared: Declared) -> Row:
    return _note(declared) | _terms(declared.document) | _e_invoice(declared.document) | _items_last(declared)


def _cdnur(declared: Declared) -> Row:
    document = declared.document
    is_export = document.supply in EXPORTS
    head = {"typ": NOTE_TYPES[document.supply] if is_export else "B2CL", **_note(declared)}
    place = {} if is_export else {"pos": document.place_of_supply}
    return head | place | _e_invoice(document) | _items_last(declared)


def _note(declared: Declared) -> Row:
    document = declared.document
    kind = "C" if document.kind is Kind.CREDIT_NOTE else "D"
    return {"ntty": kind, "nt_num": document.number, "nt_dt": document.date, "val": rupees(document.value)}


def _items_last(declared: Declared) -> Row:
    return {"itms": _nested(declared.items)}


def _export(declared: Declared) -> Row:
    document, bill = declared.document, declared.document.shipping_bill
    row = {"inum": document.number, "idt": document.date, "val": rupees(document.value)}
    if bill is not None:
        row |= {"sbnum": bill.number, "sbdt": bill.date, "sbpcode": bill.port}
    flat = [{"rt": item.rate, **amounts_row(item.amounts, is_inter=True)} for item in declared.items]
    return row | _e_invoice(document) | {"itms": flat}


def _e_invoice(document: Document) -> Row:
    if document.irn is None or document.irn_date is None:
        return {}
    return {"irn": document.irn, "irngendate": document.irn_date, "srctyp": "E-Invoice"}


def _nested(items: Sequence[Item]) -> list[Row]:
    return [
        {"num": number, "itm_det": {"rt": item.rate, **amounts_row(item.amounts, is_inter=item.is_inter)}}
        for number, item in enumerate(items, start=1)
    ]


def _order(document: Document) -> tuple[object, ...]:
    return (document.number.upper(), document.kind, document.date)
