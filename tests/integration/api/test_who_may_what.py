"""Who may call what: every endpoint, every kind of caller, and another company's ids, as a specification."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from erpflow.api.app import ROUTERS
from erpflow.api.rights import Right
from tests.calling import LOGINS, Api

PUBLIC = {
    ("GET", "/health"),
    # Proved by the vendor's signature.
    ("POST", "/webhooks/{webhook_id}/receive"),
}
NEEDS: dict[Right, set[tuple[str, str]]] = {
    Right.LOOK: {
        ("GET", "/sync-logs"),
        ("GET", "/sync-logs/{log_id}"),
        ("GET", "/webhooks"),
        ("GET", "/webhooks/{webhook_id}"),
        ("GET", "/webhook-events"),
        ("GET", "/webhook-events/{event_id}"),
        ("GET", "/subscriptions"),
        ("GET", "/deliveries"),
        ("GET", "/dashboard"),
        ("GET", "/metrics"),
        ("GET", "/events/stream"),
    },
    Right.RUN: set(),
    Right.RESOLVE: {
        ("POST", "/webhook-events/{event_id}/replay"),
        ("POST", "/deliveries/{delivery_id}/replay"),
        ("POST", "/deliveries/replay"),
    },
    Right.CONFIGURE: {
        ("GET", "/api-keys"),
        ("POST", "/api-keys"),
        ("DELETE", "/api-keys/{key_id}"),
        ("POST", "/companies/{company_id}/regenerate-api-key"),
        ("POST", "/webhooks"),
        ("PUT", "/webhooks/{webhook_id}"),
        ("DELETE", "/webhooks/{webhook_id}"),
        ("POST", "/subscriptions"),
        ("PUT", "/subscriptions/{subscription_id}"),
        ("DELETE", "/subscriptions/{subscription_id}"),
        ("POST", "/subscriptions/{subscription_id}/rotate-secret"),
    },
}
SPECIFIED = [(right, *endpoint) for right, endpoints in NEEDS.items() for endpoint in sorted(endpoints)]


def endpoints() -> Iterator[tuple[str, str]]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            yield from ((method, route.path) for method in route.methods)


def test_every_endpoint_is_in_this_specification() -> None:
    assert sorted(endpoints()) == sorted({(method, path) for _, method, path in SPECIFIED} | PUBLIC)


def ask(client: TestClient, method: str, path: str, **headers: str) -> int:
    """The status for an endpoint about things that are not there."""
    filled = "/".join(str(uuid4()) if part.startswith("{") else part for part in path.split("/"))
    return client.request(method, f"/api/erp{filled}", headers=headers).status_code


def test_each_endpoint_lets_in_who_has_its_right_and_nobody_else(api: Api) -> None:
    api.runs.carries_out = False
    people = {role: (api.as_person(role), rights) for role, rights in LOGINS.items()}
    keys = {f"key:{right}": (api.as_key(api.key(right)), {right}) for right in Right}
    nobody = api.nobody()
    wrong = []
    for right, method, path in SPECIFIED:
        if ask(nobody, method, path) != 401:
            wrong.append(f"{method} {path} lets anybody in")
        for name, (client, rights) in (people | keys).items():
            status = ask(client, method, path)
            expected = "let in" if right in rights else "kept out"
            found = "kept out" if status == 403 else "let in"
            if found != expected or status in (401, 500):
                wrong.append(f"{method} {path} as {name}: {status}, to be {expected}")
    assert wrong == []


def test_each_write_on_a_cookie_alone_is_refused(api: Api) -> None:
    browser = api.as_person("admin", cookie=True)
    wrong = [
        f"{method} {path}: {status}"
        for _, method, path in SPECIFIED
        if ((status := ask(browser, method, path)) == 403) != (method != "GET")
    ]
    assert wrong == []


@pytest.mark.parametrize("right", list(Right))
def test_each_right_opens_something(right: Right) -> None:
    assert NEEDS[right]
