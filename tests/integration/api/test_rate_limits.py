"""Limits of a connection by the API: those of its system, lower ones of its own, what is used, and a pause."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from erpflow.api.rights import Right
from erpflow.connectors.base import Limits
from erpflow.store.connections import add_connection
from erpflow.store.rate_limits import PostgresLimiter
from erpflow.vocabulary import DEFAULT_TENANT, ConnectionId, TenantId
from tests.calling import ALL, Api


def connection(api: Api, name: str = "shop", tenant_id: TenantId = DEFAULT_TENANT) -> ConnectionId:
    with api.database.transaction() as store:
        return add_connection(store, name, system="erpnext", tenant_id=tenant_id).id


def path(connection_id: ConnectionId) -> str:
    return f"/api/erp/connections/{connection_id}/rate-limits"


def span(answer: Any, name: str) -> dict[str, Any]:
    [found] = [one for one in answer.json()["limits"] if one["span"] == name]
    return dict(found)


def test_what_the_system_allows_is_shown_before_anybody_asked(api: Api) -> None:
    answer = api.client.get(path(connection(api)))
    assert answer.status_code == 200
    assert span(answer, "per_second") == {"span": "per_second", "allowed": 50.0, "own": None, "used": 0.0}
    assert span(answer, "concurrent")["allowed"] == 4
    assert (answer.json()["paused_until"], answer.json()["total"]) == (None, 0)


def test_use_and_a_pause_are_shown(api: Api) -> None:
    shop = connection(api)
    other = connection(api, "other")
    limits = Limits(per_hour=100.0)
    with (
        closing(PostgresLimiter(api.database, shop, limits, account="one login")) as ours,
        closing(PostgresLimiter(api.database, other, limits, account="one login")) as theirs,
    ):
        ours.acquire(30)
        theirs.acquire(12)
        ours.pause(600)
        answer = api.client.get(path(shop))
    assert span(answer, "per_hour")["used"] == 42
    assert span(answer, "concurrent")["used"] == 2
    assert answer.json()["paused_until"] is not None
    assert (answer.json()["total"], answer.json()["shared_with"]) == (2, ["other"])


def test_an_own_limit_holds_for_the_next_request_and_is_taken_back(api: Api) -> None:
    shop = connection(api)
    answer = api.client.put(path(shop), json={"perHour": 5, "concurrent": 1})
    assert answer.status_code == 200, answer.text
    assert span(answer, "per_hour")["own"] == 5
    with closing(PostgresLimiter(api.database, shop, Limits())) as limiter:
        assert limiter.acquire(5) == 0
        limiter.done()
        assert limiter.acquire() > 3000
    answer = api.client.put(path(shop), json={"per_hour": None})
    assert (span(answer, "per_hour")["own"], span(answer, "concurrent")["own"]) == (None, 1)


@pytest.mark.parametrize(
    ("field", "number", "said"),
    [
        ("per_second", 51, "data sheet allows 50"),
        ("per_day", 0, "a number above 0"),
        ("per_day", -1, "a number above 0"),
        ("concurrent", 0, "a whole number from 1 on"),
        ("concurrent", 1.5, "integer"),
        ("per_fortnight", 1, "not permitted"),
    ],
)
def test_a_limit_that_cannot_be_is_named_and_nothing_changes(api: Api, field: str, number: float, said: str) -> None:
    shop = connection(api)
    refused = api.client.put(path(shop), json={"per_minute": 7, field: number})
    assert (refused.status_code, refused.json()["field"]) == (422, field)
    assert said in refused.json()["detail"]
    assert span(api.client.get(path(shop)), "per_minute")["own"] is None


def test_limits_of_another_tenant_are_not_there(api: Api) -> None:
    theirs = connection(api, tenant_id=api.tenant("acme"))
    assert api.client.get(path(theirs)).status_code == 404
    assert api.client.put(path(theirs), json={"per_day": 1}).status_code == 404


def test_connections_of_others_to_the_same_account_are_not_named(api: Api) -> None:
    shop, acme = connection(api), api.tenant("acme")
    theirs = connection(api, "theirs", tenant_id=acme)
    for one in (shop, theirs):
        with closing(PostgresLimiter(api.database, one, Limits(), account="one login")) as limiter:
            limiter.acquire()
    assert api.client.get(path(shop)).json()["shared_with"] == []
    assert api.as_key(api.key(*ALL, tenant_id=acme)).get(path(theirs)).json()["total"] == 2


def test_setting_limits_needs_the_right_to_configure(api: Api) -> None:
    shop = connection(api)
    assert api.as_key(api.key(Right.LOOK, Right.RUN)).put(path(shop), json={"per_day": 1}).status_code == 403
