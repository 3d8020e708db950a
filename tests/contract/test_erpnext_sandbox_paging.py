"""Reading everything from the sandbox by each way of paging, while the data moves and while it rests."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from sandbox.background import serving
from sandbox.erpnext import documents
from sandbox.erpnext.site import Call, Site
from sandbox.host import Host, wrap
from sandbox.vendor import SeedPlan

CUSTOMERS = 3000
PAGE = 500


class Api:
    """The site's API with the connector's token."""

    def __init__(self, url: str, site: Site) -> None:
        self.url, self.site = url, site
        self.session = requests.Session()
        self.session.trust_env = False
        user = site.users["connector@example.com"]
        self.session.headers["Authorization"] = f"token {user.api_key}:{user.api_secret}"

    def list(self, doctype: str, **params: Any) -> list[dict[str, Any]]:
        encoded = {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in params.items()}
        answer = self.session.get(f"{self.url}/erpnext/api/resource/{doctype}", params=encoded, timeout=30)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["data"]
        return rows

    def door(self, path: str, body: Any) -> Any:
        answer = self.session.post(f"{self.url}/_sandbox/erpnext/{path}", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    host = Host(SeedPlan(sizes={"customers": CUSTOMERS, "items": 40, "orders": 300}))
    with serving(wrap(host)) as url:
        yield Api(url, host.states["erpnext"])


def by_offset(api: Api, *, between: Callable[[int], None] = lambda page: None) -> list[str]:
    names: list[str] = []
    while True:
        page = api.list("Customer", order_by="modified asc", limit_start=len(names), limit_page_length=PAGE)
        names += [row["name"] for row in page]
        between(len(names) // PAGE)
        if len(page) < PAGE:
            return names


def by_keyset(api: Api, *, between: Callable[[int], None] = lambda page: None) -> list[str]:
    """`modified >=` the last one seen, dropping what was seen: the way that loses nothing."""
    names: dict[str, None] = {}
    since = "1900-01-01 00:00:00.000000"
    pages = 0
    while True:
        page = api.list(
            "Customer",
            fields=["name", "modified"],
            filters=[["modified", ">=", since]],
            order_by="modified asc, name asc",
            limit_page_length=PAGE,
        )
        names |= dict.fromkeys(row["name"] for row in page)
        pages += 1
        between(pages)
        if len(page) < PAGE:
            return list(names)
        since = page[-1]["modified"]


def all_names(api: Api) -> set[str]:
    return {doc.name for doc in api.site.tables["Customer"]}


def test_a_resting_table_is_read_whole_by_offset(api: Api) -> None:
    assert sorted(by_offset(api)) == sorted(all_names(api))


def test_a_resting_table_is_read_whole_by_keyset(api: Api) -> None:
    assert set(by_keyset(api)) == all_names(api)


def test_offset_paging_skips_rows_when_earlier_ones_are_touched_meanwhile(api: Api) -> None:
    oldest = [row["name"] for row in api.list("Customer", order_by="modified asc", limit_page_length=50)]

    def touch_the_first(page: int) -> None:
        if page == 1:
            api.door("touch", {"doctype": "Customer", "names": oldest})

    assert len(set(by_offset(api, between=touch_the_first))) == CUSTOMERS - len(oldest)


def test_keyset_paging_loses_nothing_when_rows_are_touched_meanwhile(api: Api) -> None:
    def touch_some(page: int) -> None:
        if page < 4:
            api.door("touch", {"doctype": "Customer", "count": 60, "seed": page})

    assert set(by_keyset(api, between=touch_some)) == all_names(api)


def test_a_touched_record_is_found_by_the_next_increment_and_nothing_else_is(api: Api) -> None:
    newest = api.list("Customer", fields=["modified"], order_by="modified desc", limit=1)[0]["modified"]
    touched = api.door("touch", {"doctype": "Customer", "count": 7, "seed": 5})["names"]
    found = api.list("Customer", filters=[["modified", ">", newest]], order_by="modified asc", limit_page_length=PAGE)
    assert [row["name"] for row in found] == touched


def test_many_rows_can_share_one_modified(api: Api) -> None:
    names = api.door("touch", {"doctype": "Customer", "count": 700, "seed": 9, "same_modified": True})["names"]
    newest = api.list("Customer", fields=["modified"], order_by="modified desc", limit=1)[0]["modified"]
    same = api.list(
        "Customer", filters=[["modified", "=", newest]], order_by="modified asc, name asc", limit_page_length=0
    )
    assert {row["name"] for row in same} == set(names)
    first = api.list(
        "Customer", filters=[["modified", ">=", newest]], order_by="modified asc, name asc", limit_page_length=PAGE
    )
    rest = api.list(
        "Customer",
        filters=[["modified", "=", newest], ["name", ">", first[-1]["name"]]],
        order_by="name asc",
        limit_page_length=PAGE,
    )
    assert {row["name"] for row in first + rest} == set(names)


def test_saves_in_a_row_never_share_a_modified(api: Api) -> None:
    call = Call(api.site, "connector@example.com", "PUT")
    name = next(iter(api.site.tables["Customer"])).name
    stamps = [documents.update(call, "Customer", name, {}).doc["modified"] for _ in range(500)]
    assert stamps == sorted(set(stamps))


def test_a_deleted_record_leaves_the_list_and_a_deleted_document_behind(api: Api) -> None:
    call = {"doctype": "Customer", "docs": [{"customer_name": f"Short Lived {number}"} for number in range(3)]}
    names = api.door("insert", call)["names"]
    api.door("delete", {"doctype": "Customer", "names": names})
    assert api.list("Customer", filters=[["name", "in", names]]) == []
    rows = api.list("Deleted Document", fields=["deleted_name"], filters={"deleted_doctype": "Customer"}, limit=50)
    assert set(names) <= {row["deleted_name"] for row in rows}


def test_the_count_is_the_number_of_rows(api: Api) -> None:
    for filters in ([], [["default_currency", "=", "SAR"]], [["city", "like", "%k%"], ["disabled", "=", 0]]):
        rows = api.list("Customer", filters=filters, limit_page_length=0)
        params = {"doctype": "Customer", "filters": json.dumps(filters)}
        counted = api.session.get(f"{api.url}/erpnext/api/method/frappe.client.get_count", params=params, timeout=30)
        assert counted.json()["message"] == len(rows)


def test_the_lines_of_a_page_of_orders_come_in_one_request(api: Api) -> None:
    orders = [row["name"] for row in api.list("Sales Order", order_by="modified asc, name asc", limit_page_length=100)]
    lines = api.list(
        "Sales Order Item",
        parent="Sales Order",
        fields=["parent", "idx", "item_code", "qty"],
        filters=[["parent", "in", orders]],
        order_by="parent asc, idx asc",
        limit_page_length=0,
    )
    single = api.session.get(f"{api.url}/erpnext/api/resource/Sales Order/{orders[0]}", timeout=30).json()["data"]
    mine = [line for line in lines if line["parent"] == orders[0]]
    assert [(line["idx"], line["item_code"], line["qty"]) for line in mine] == [
        (line["idx"], line["item_code"], line["qty"]) for line in single["items"]
    ]
    assert {line["parent"] for line in lines} == set(orders)


def test_a_join_gives_one_row_per_line_and_pages_by_rows(api: Api) -> None:
    joined = api.list(
        "Sales Order", fields=["name", "items.item_code"], order_by="modified asc, name asc", limit_page_length=0
    )
    lines = sum(len(doc.children["items"]) for doc in api.site.tables["Sales Order"])
    assert len(joined) == lines
    pages = [
        api.list(
            "Sales Order",
            fields=["name", "items.item_code"],
            order_by="modified asc, name asc",
            limit_start=start,
            limit_page_length=200,
        )
        for start in range(0, lines, 200)
    ]
    assert [row for page in pages for row in page] == joined
