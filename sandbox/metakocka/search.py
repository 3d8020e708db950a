"""The search of documents: filters by type, pages of a hundred, sorted by mk_id."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from sandbox.metakocka.company import Company, Record
from sandbox.metakocka.documents import ORDER, TYPES, known_type, shown
from sandbox.metakocka.products import page_of
from sandbox.metakocka.refusals import BAD_PARAMETER, Refusal, invalid, required
from sandbox.metakocka.totals import sums
from sandbox.metakocka.wire import day, instant, listed, truth

MOST = 100
Test = Callable[[Company, Record, str], bool]


def search(company: Company, given: Record) -> Record:
    doc_type = known_type(given)
    limit, offset = page_of(given, most=MOST)
    tests = [_test(each, doc_type) for each in listed(given.get("query_advance"))]
    query = str(given.get("query") or "").lower()
    fitting = [
        each
        for each in company.documents.values()
        if each["doc_type"] == doc_type
        and (not query or query in _words_of(company, each))
        and all(fits(company, each, value) for fits, value in tests)
    ]
    fitting.sort(key=lambda each: int(each["mk_id"]), reverse=_is_descending(given, doc_type))
    rows = [_row(company, each, given) for each in fitting[offset : offset + limit]]
    return {
        "result_all_records": len(fitting),
        "result_count": len(rows),
        "offset": offset,
        "limit": limit,
        "result": rows,
    }


def discovery(company: Company, given: Record) -> Record:
    """What may be searched by, for each type or for one."""
    wanted = [known_type(given)] if given.get("doc_type") else TYPES
    return {
        doc_type: [{"type": name, "label": name, "value_desc": name} for name in filters_of(doc_type)]
        for doc_type in wanted
    }


def filters_of(doc_type: str) -> dict[str, Test]:
    """Only orders are found by the time of their change, and offers not even by their date."""
    if doc_type == ORDER:
        return {**_PARTNER, **_DATES, **_ORDERS}
    return dict(_PARTNER) if doc_type == "sales_offer" else {**_PARTNER, **_DATES, **_BILLS}


def _test(each: Any, doc_type: str) -> tuple[Test, str]:
    if not isinstance(each, dict) or not each.get("type"):
        raise required("type")
    fits = filters_of(doc_type).get(str(each["type"]))
    if fits is None:
        raise Refusal(BAD_PARAMETER, f"cannot get beQueryParam : {each['type']}")
    return fits, str(each.get("value") or "")


def _row(company: Company, document: Record, given: Record) -> Record:
    if given.get("result_type") == "doc":
        return shown(company, document, given)
    status = (
        {"status_code": shown(company, document, given)["status_code"]} if truth(given.get("show_status_code")) else {}
    )
    return {"mk_id": document["mk_id"], "opr_code": "0", "count_code": document["count_code"], **status}


def _is_descending(given: Record, doc_type: str) -> bool:
    """Orders come as they are wanted, else oldest first; that others come newest first is UNVERIFIED."""
    if doc_type != ORDER:
        return True
    direction = str(given.get("order_direction") or "asc")
    if direction not in ("asc", "desc"):
        raise invalid("order_direction", direction, ("asc", "desc"))
    return direction == "desc"


def _words_of(company: Company, document: Record) -> str:
    partner = company.partners.get(document.get("_partner", ""), {})
    parts = [document.get(name) for name in ("count_code", "buyer_order", "title", "notes")]
    return "\n".join(str(part) for part in (*parts, partner.get("customer")) if part).lower()


def _changed(document: Record) -> datetime:
    found: datetime = document["_changed"]
    return found


def _day(document: Record) -> date:
    """A document without a date is older than all."""
    return document.get("doc_date") or date.min


def _partner(name: str) -> Test:
    return lambda company, each, value: str(company.partners.get(each.get("_partner", ""), {}).get(name)) == value


def _is_paid(document: Record) -> bool:
    found = sums(document)
    return bool((found["sum_paid"] or 0) >= found["sum_all"])


_PARTNER: dict[str, Test] = {
    "partner_mk_id": _partner("mk_id"),
    "partner_code": _partner("count_code"),
    "partner_tax_num": _partner("tax_id_number"),
    "partner_query": lambda company, each, value: (
        value.lower() in str(company.partners.get(each.get("_partner", ""), {}).get("customer")).lower()
    ),
}
_DATES: dict[str, Test] = {
    "doc_date_from": lambda _, each, value: _day(each) >= day(value, "doc_date_from"),
    "doc_date_to": lambda _, each, value: _day(each) <= day(value, "doc_date_to"),
}
_ORDERS: dict[str, Test] = {
    "last_change_from": lambda _, each, value: _changed(each) >= instant(value, "last_change_from"),
    "last_change_to": lambda _, each, value: _changed(each) <= instant(value, "last_change_to"),
    "customer_order": lambda _, each, value: each.get("buyer_order") == value,
    "status_list": lambda _, each, value: each.get("_status") in value.split(","),
    "delivery_type": lambda _, each, value: each.get("delivery_type") == value,
}
_BILLS: dict[str, Test] = {
    "payment_status": lambda _, each, value: _is_paid(each) == truth(value),
    "status_id_list": lambda _, each, value: value == "-2" and not each.get("_status"),
}
