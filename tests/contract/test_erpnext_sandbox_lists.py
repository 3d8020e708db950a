"""List queries of the sandbox, beyond what the captures show: every operator, order and shape of answer."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.erpnext import documents
from sandbox.erpnext.errors import FrappeError
from sandbox.erpnext.listing import count, run
from sandbox.erpnext.masters import fresh_site
from sandbox.erpnext.operators import OPERATORS
from sandbox.erpnext.query import read_query
from sandbox.erpnext.site import Call, Site
from sandbox.erpnext.table import collate

NOW = datetime(2026, 5, 20, 6, 0, tzinfo=UTC)  # a Wednesday
NAMES = ("Émile & Co", "alpha", "Beta", "BETA 2", "gamma %", "株式会社", "zeta_1")


@pytest.fixture(scope="module")
def site() -> Site:
    """Seven customers, made a day apart, the first on 14 May; one order with two lines."""
    moment = [NOW - timedelta(days=6)]
    site = fresh_site(now=lambda: moment[0])
    call = Call(site, "connector@example.com", "POST")
    for place, name in enumerate(NAMES):
        values: dict[str, Any] = {"customer_name": name, "default_commission_rate": place, "disabled": place % 2}
        if place < 4:
            values |= {"tax_id": f"T{place}", "customer_group": "Commercial" if place < 2 else "Individual"}
        documents.insert(call, "Customer", values)
        moment[0] += timedelta(days=1)
    moment[0] = NOW
    for code in ("A", "B"):
        documents.insert(call, "Item", {"item_code": code, "item_group": "Products", "stock_uom": "Nos"})
    lines = [{"item_code": "B", "qty": 1, "rate": 5}, {"item_code": "A", "qty": 2, "rate": 7}]
    order = {"customer": "alpha", "company": site.company, "delivery_date": "2026-06-01", "items": lines}
    documents.insert(call, "Sales Order", order)
    return site


@pytest.fixture
def ask(site: Site) -> Callable[..., list[Any]]:
    def listed(doctype: str = "Customer", **args: Any) -> list[Any]:
        return run(Call(site, "connector@example.com"), read_query(site, doctype, args))

    return listed


@pytest.fixture
def names(ask: Callable[..., list[Any]]) -> Callable[..., set[str]]:
    return lambda *condition, **args: {row["name"] for row in ask(filters=[list(condition)], **args)}


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (("name", "=", "ALPHA"), {"alpha"}),
        (("name", "=", "emile & co"), {"Émile & Co"}),
        (("name", "!=", "alpha"), set(NAMES) - {"alpha"}),
        (("tax_id", "!=", "T0"), set(NAMES) - {"Émile & Co"}),
        (("tax_id", "=", ""), set(NAMES[4:])),
        (("tax_id", "in", ["T1", "T9"]), {"alpha"}),
        (("tax_id", "in", "T1, T2"), {"alpha", "Beta"}),
        (("tax_id", "not in", ["T0", "T1"]), set(NAMES[2:])),
        (("tax_id", "is", "set"), set(NAMES[:4])),
        (("tax_id", "is", "not set"), set(NAMES[4:])),
        (("name", "like", "beta%"), {"Beta", "BETA 2"}),
        (("name", "like", "%\\%"), {"gamma %"}),
        (("name", "like", "zeta_1"), {"zeta_1"}),
        (("name", "like", "bet_"), {"Beta"}),
        (("name", "not like", "%a%"), {"Émile & Co", "株式会社"}),
        (("name", ">", "gamma"), {"gamma %", "株式会社", "zeta_1"}),
        (("default_commission_rate", ">=", 5), {"株式会社", "zeta_1"}),
        (("default_commission_rate", "<", "2"), {"Émile & Co", "alpha"}),
        (("default_commission_rate", "between", [2, 3]), {"Beta", "BETA 2"}),
        (("disabled", "=", 1), {"alpha", "BETA 2", "株式会社"}),
        (("creation", "between", ["2026-05-15", "2026-05-16"]), {"alpha", "Beta"}),
        (("creation", "<=", "2026-05-15 23:59:59"), {"Émile & Co", "alpha"}),
        (("creation", "<", "not a date"), set()),
        (("creation", ">", "2026-02-31"), set(NAMES)),
        (("creation", "timespan", "yesterday"), {"株式会社"}),
        (("creation", "timespan", "this week"), {"gamma %", "株式会社", "zeta_1"}),
        (("creation", "timespan", "last 7 days"), set(NAMES)),
        (("creation", "previous", "2 days"), {"gamma %", "株式会社", "zeta_1"}),
        (("creation", "next", "1 week"), {"zeta_1"}),
        (("creation", "fiscal year", "2026-2027"), set(NAMES)),
        (("creation", "fiscal year", "2025-2026"), set()),
        (("customer_group", "descendants of", "All Customer Groups"), set(NAMES[:4])),
        (("customer_group", "descendants of", "Commercial"), set()),
        (("customer_group", "descendants of (inclusive)", "Commercial"), {"Émile & Co", "alpha"}),
        (("customer_group", "not descendants of", "All Customer Groups"), set(NAMES[4:])),
        (("customer_group", "ancestors of", "Commercial"), set()),
        (("customer_group", "not ancestors of", "Commercial"), set(NAMES)),
    ],
)
def test_an_operator_finds_what_the_database_would(
    names: Callable[..., set[str]], condition: tuple[Any, ...], found: set[str]
) -> None:
    assert names(*condition) == found


def test_no_operator_is_without_a_case_above() -> None:
    mark = next(m for m in test_an_operator_finds_what_the_database_would.pytestmark if m.name == "parametrize")
    assert {condition[1] for condition, _ in mark.args[1]} == set(OPERATORS)


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("last month", "2026-04-01", "2026-04-30"),
        ("this quarter", "2026-04-01", "2026-06-30"),
        ("next 6 months", "2026-07-01", "2026-12-31"),
        ("last year", "2025-01-01", "2025-12-31"),
        ("tomorrow", "2026-05-21", "2026-05-21"),
        ("next 30 days", "2026-05-20", "2026-06-19"),
    ],
)
def test_a_timespan_is_whole_days(words: str, first: str, last: str) -> None:
    from sandbox.erpnext.periods import timespan

    assert tuple(day.isoformat() for day in timespan(words, NOW.date())) == (first, last)


def test_conditions_are_anded_and_or_filters_are_one_of_them(ask: Callable[..., list[Any]]) -> None:
    found = ask(filters={"disabled": 0}, or_filters=[["name", "=", "alpha"], ["name", "=", "Beta"]])
    assert found == [{"name": "Beta"}]


def test_text_is_ordered_without_case_and_nulls_come_first(ask: Callable[..., list[Any]]) -> None:
    found = ask(fields=["name"], order_by="tax_id asc, name desc")
    assert [row["name"] for row in found[:3]] == ["株式会社", "zeta_1", "gamma %"]
    assert [row["name"] for row in ask(order_by="name asc")][:4] == ["alpha", "Beta", "BETA 2", "Émile & Co"]


def test_dotted_columns_reach_child_rows_and_linked_documents(ask: Callable[..., list[Any]]) -> None:
    columns = ["name", "items.item_code as code", "customer.tax_id", "items.qty"]
    found = ask("Sales Order", fields=columns, order_by="name asc", as_dict="false")
    assert sorted(row[1:] for row in found) == [["A", "T1", 2.0], ["B", "T1", 1.0]]


def test_aggregates_and_groups(ask: Callable[..., list[Any]]) -> None:
    columns = ["sum(default_commission_rate) as total", "max(name) as last", "avg(default_commission_rate) as mean"]
    assert ask(fields=columns) == [{"total": 21.0, "last": "株式会社", "mean": 3.0}]
    grouped = ask(fields=["customer_group", "count(name) as n"], group_by="customer_group")
    assert {(row["customer_group"], row["n"]) for row in grouped} == {("Commercial", 2), ("Individual", 2), (None, 3)}


def test_a_name_can_be_written_as_the_database_writes_it(ask: Callable[..., list[Any]]) -> None:
    found = ask(fields=["`tabCustomer`.`name`"], order_by="`tabCustomer`.`creation` desc", limit=1)
    assert found == [{"name": "zeta_1"}]


@pytest.mark.parametrize(
    ("args", "exc_type", "status"),
    [
        ({"fields": ["items.qty"]}, "DataError", 417),
        ({"filters": [["Sales Order Item", "nope", "=", 1]]}, "DataError", 417),
        ({"filters": [["name"]]}, "ValidationError", 417),
        ({"order_by": "items.idx asc"}, "OperationalError", 500),
        ({"limit_page_length": -1}, "ProgrammingError", 500),
        ({"filters": [["name", "timespan", "soon"]]}, "ValidationError", 417),
        ({"filters": "{"}, "JSONDecodeError", 500),
    ],
)
def test_a_mistake_in_a_query_is_refused_as_the_vendor_does(
    ask: Callable[..., list[Any]], args: dict[str, Any], exc_type: str, status: int
) -> None:
    with pytest.raises(FrappeError) as refused:
        ask(**args)
    assert (refused.value.exc_type, refused.value.status) == (exc_type, status)


OPERAND = st.one_of(st.none(), st.integers(-5, 9), st.sampled_from(["", "T1", "alpha", "2026-05-16", "x%"]))
CONDITION = st.tuples(
    st.sampled_from(["name", "tax_id", "creation", "default_commission_rate", "disabled"]),
    st.sampled_from(["=", "!=", ">", "<", ">=", "<=", "like", "not like"]),
    OPERAND,
)
PAGING = st.sampled_from(["name asc", "modified desc", "tax_id asc, name asc", "disabled desc, modified asc", ""])


@given(conditions=st.lists(CONDITION, max_size=3), order=PAGING, size=st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_pages_put_together_are_the_whole_list(site: Site, conditions: list[Any], order: str, size: int) -> None:
    call = Call(site, "connector@example.com")
    args = {"filters": json.dumps(conditions), "order_by": order}
    whole = run(call, read_query(site, "Customer", {**args, "limit": 0}))
    pages = [
        run(call, read_query(site, "Customer", {**args, "limit": size, "limit_start": at})) for at in range(0, 8, size)
    ]
    assert [row for page in pages for row in page] == whole
    assert count(call, read_query(site, "Customer", args)) == len(whole)


@given(condition=CONDITION)
@settings(max_examples=150, deadline=None)
def test_a_condition_and_its_negation_share_no_row_and_leave_none_out(
    site: Site, condition: tuple[str, str, Any]
) -> None:
    opposite = {"=": "!=", "!=": "=", "like": "not like", "not like": "like"}.get(condition[1])
    if opposite is None:
        return
    call = Call(site, "connector@example.com")
    found = [
        {
            row["name"]
            for row in run(call, read_query(site, "Customer", {"filters": [[condition[0], operator, condition[2]]]}))
        }
        for operator in (condition[1], opposite)
    ]
    assert found[0] | found[1] == set(NAMES)
    assert not found[0] & found[1]


@given(text=st.text())
def test_comparing_ignores_case_accents_and_trailing_spaces(text: str) -> None:
    assert collate(text + "  ") == collate(text)
    assert collate(collate(text)) == collate(text)
