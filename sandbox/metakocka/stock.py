"""Warehouses and what lies in them: a row for each lot or microlocation, so several of one product in one warehouse."""

from sandbox.metakocka.company import Company, Record
from sandbox.metakocka.products import MOST, page_of
from sandbox.metakocka.wire import slovene, truth


def warehouse_list(company: Company, given: Record) -> Record:
    limit, offset = page_of(given, most=MOST)
    rows = list(company.warehouses.values())[offset : offset + limit]
    return {"offset": offset, "limit": limit, "warehouse_list_count": len(rows), "warehouse_list": rows}


def warehouse_stock(company: Company, given: Record) -> Record:
    """The rows that fit; what is sold out is left out unless it was asked for."""
    limit, offset = page_of(given, most=MOST)
    wanted = {name: _words(given.get(name)) for name in ("wh_id_list", "product_code_list", "product_mk_id_list")}
    with_empty = truth(given.get("return_reservation_without_amount"))
    fitting = [row for row in company.stock if _fits(company, row, wanted) and (row["amount"] or with_empty)]
    rows = [shown(company, row) for row in fitting[offset : offset + limit]]
    return {"offset": offset, "limit": limit, "stock_list": rows}


def shown(company: Company, row: Record) -> Record:
    product = company.products[row["mk_id"]]
    return {
        "warehouse_id": row["warehouse_id"],
        "mk_id": row["mk_id"],
        "count_code": product["count_code"],
        "code": product["code"],
        "title": product["name"],
        "amount": slovene(row["amount"]),
        "reserved_amount": slovene(row["reserved_amount"]),
        "free_amount": slovene(row["amount"] - row["reserved_amount"]),
        "microlocation": row.get("microlocation"),
        "lot": row.get("lot"),
        "unit": product["unit"],
    }


def _words(text: object) -> set[str]:
    return {word.strip() for word in str(text or "").split(",") if word.strip()}


def _fits(company: Company, row: Record, wanted: dict[str, set[str]]) -> bool:
    product = company.products[row["mk_id"]]
    found = {
        "wh_id_list": row["warehouse_id"],
        "product_mk_id_list": row["mk_id"],
        "product_code_list": product["code"],
    }
    return all(value in wanted[name] for name, value in found.items() if wanted[name])
