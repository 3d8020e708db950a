"""Who may call what: every endpoint, every kind of caller, and another company's ids, as a specification."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from erpflow.api.app import API, ROUTERS, VENDOR_ROUTERS
from erpflow.api.rights import Right
from tests.calling import LOGINS, Api

# Proved by the vendor's signature, by a state that was given out, or nothing to see; and what is answered with 405.
PUBLIC = {
    ("GET", "/api/erp/health"),
    ("GET", "/api/erp/oauth/callback"),
    ("POST", "/api/erp/webhooks/{webhook_id}/receive"),
    ("POST", "/api/webhooks/erpnext/customers"),
    ("DELETE", "/api/webhooks/veekaart/orders"),
    ("GET", "/api/webhooks/veekaart/orders"),
    ("PATCH", "/api/webhooks/veekaart/orders"),
    ("PUT", "/api/webhooks/veekaart/orders"),
    ("POST", "/webhooks/razorpay"),
}
NEEDS: dict[Right, set[tuple[str, str]]] = {
    Right.LOOK: {
        ("GET", "/api/erp/conflicts"),
        ("GET", "/api/erp/conflicts/{conflict_id}"),
        ("GET", "/api/erp/connections"),
        ("GET", "/api/erp/connections/{connection_id}"),
        ("GET", "/api/erp/connections/{connection_id}/rate-limits"),
        ("GET", "/api/erp/dashboard"),
        ("GET", "/api/erp/deliveries"),
        ("GET", "/api/erp/events/stream"),
        ("GET", "/api/erp/messages"),
        ("GET", "/api/erp/messages/{message_id}"),
        ("GET", "/api/erp/metrics"),
        ("GET", "/api/erp/reconciliations"),
        ("GET", "/api/erp/reconciliations/{reconciliation_id}"),
        ("GET", "/api/erp/rejects"),
        ("GET", "/api/erp/rejects/{reject_id}"),
        ("GET", "/api/erp/subscriptions"),
        ("GET", "/api/erp/sync-configs"),
        ("GET", "/api/erp/sync-configs/{config_id}"),
        ("GET", "/api/erp/sync-configs/{config_id}/field-mappings"),
        ("GET", "/api/erp/sync-logs"),
        ("GET", "/api/erp/sync-logs/{log_id}"),
        ("GET", "/api/erp/sync-records"),
        ("GET", "/api/erp/sync-records/{record}/history"),
        ("GET", "/api/erp/transform-templates"),
        ("GET", "/api/erp/transform-templates/{name}"),
        ("GET", "/api/erp/webhook-events"),
        ("GET", "/api/erp/webhook-events/{event_id}"),
        ("GET", "/api/erp/webhooks"),
        ("GET", "/api/erp/webhooks/{webhook_id}"),
        ("GET", "/api/erp/webhooks/{webhook_id}/status"),
        ("GET", "/api/metakocka/documents/unsynced"),
        ("GET", "/api/webhooks/erpnext/customers"),
        ("GET", "/api/webhooks/erpnext/setup"),
        ("GET", "/razorpay/subscriptions"),
        ("GET", "/razorpay/subscriptions/{subscription_id}"),
        ("GET", "/gst/gstr1/{return_id}"),
    },
    Right.RUN: {
        ("POST", "/api/customers/sync"),
        ("POST", "/api/customers/sync/enhanced"),
        ("POST", "/api/erp/connections/{connection_id}/test"),
        ("POST", "/api/erp/rejects/retry"),
        ("POST", "/api/erp/rejects/{reject_id}/retry"),
        ("POST", "/api/erp/sync"),
        ("POST", "/api/erp/sync-configs/{config_id}/plan"),
        ("POST", "/api/erp/sync-configs/{config_id}/preview"),
        ("POST", "/api/erp/sync-configs/{config_id}/reconcile"),
        ("POST", "/api/integrations/veekaart/push-inventory"),
        ("POST", "/api/integrations/veekaart/push-pricing"),
        ("POST", "/api/integrations/veekaart/push-products"),
        ("POST", "/api/integrations/veekaart/test-connection"),
        ("POST", "/api/metakocka/documents/export-all"),
        ("POST", "/api/metakocka/documents/import-all"),
        ("POST", "/api/metakocka/documents/{document_id}/export"),
        ("POST", "/api/metakocka/documents/{document_id}/import"),
        ("POST", "/api/webhooks/veekaart/orders"),
        ("POST", "/emails/send"),
        ("POST", "/messages/sms"),
        ("POST", "/messages/whatsapp"),
        ("POST", "/ocr/analyze"),
        ("POST", "/razorpay/subscriptions"),
        ("POST", "/gst/gstr1/generate"),
        ("POST", "/gst/gstr1/submit"),
    },
    Right.RESOLVE: {
        ("POST", "/api/erp/conflicts/resolve"),
        ("POST", "/api/erp/conflicts/{conflict_id}/resolve"),
        ("POST", "/api/erp/deliveries/replay"),
        ("POST", "/api/erp/deliveries/{delivery_id}/replay"),
        ("POST", "/api/erp/messages/{message_id}/settle"),
        ("POST", "/api/erp/rejects/{reject_id}/discard"),
        ("POST", "/api/erp/webhook-events/{event_id}/replay"),
    },
    Right.CONFIGURE: {
        ("GET", "/api/erp/api-keys"),
        ("POST", "/api/erp/api-keys"),
        ("DELETE", "/api/erp/api-keys/{key_id}"),
        ("POST", "/api/erp/companies/{company_id}/regenerate-api-key"),
        ("POST", "/api/erp/connections"),
        ("DELETE", "/api/erp/connections/{connection_id}"),
        ("PUT", "/api/erp/connections/{connection_id}"),
        ("GET", "/api/erp/connections/{connection_id}/oauth/authorize"),
        ("PUT", "/api/erp/connections/{connection_id}/rate-limits"),
        ("POST", "/api/erp/subscriptions"),
        ("DELETE", "/api/erp/subscriptions/{subscription_id}"),
        ("PUT", "/api/erp/subscriptions/{subscription_id}"),
        ("POST", "/api/erp/subscriptions/{subscription_id}/rotate-secret"),
        ("POST", "/api/erp/sync-configs"),
        ("DELETE", "/api/erp/sync-configs/{config_id}"),
        ("PUT", "/api/erp/sync-configs/{config_id}"),
        ("PUT", "/api/erp/sync-configs/{config_id}/field-mappings"),
        ("POST", "/api/erp/transform-templates"),
        ("DELETE", "/api/erp/transform-templates/{name}"),
        ("PUT", "/api/erp/transform-templates/{name}"),
        ("POST", "/api/erp/webhooks"),
        ("DELETE", "/api/erp/webhooks/{webhook_id}"),
        ("PUT", "/api/erp/webhooks/{webhook_id}"),
        ("POST", "/api/erp/webhooks/{webhook_id}/setup"),
        ("POST", "/api/erp/webhooks/{webhook_id}/test"),
        ("POST", "/api/webhooks/erpnext/setup"),
    },
}
SPECIFIED = [(right, *endpoint) for right, endpoints in NEEDS.items() for endpoint in sorted(endpoints)]


def endpoints() -> Iterator[tuple[str, str]]:
    for prefix, routers in {API: ROUTERS, **VENDOR_ROUTERS}.items():
        for route in (route for router in routers for route in router.routes):
            assert isinstance(route, APIRoute)
            yield from ((method, prefix + route.path) for method in route.methods)


def test_every_endpoint_is_in_this_specification() -> None:
    assert sorted(endpoints()) == sorted({(method, path) for _, method, path in SPECIFIED} | PUBLIC)


def ask(client: TestClient, method: str, path: str, **headers: str) -> int:
    """The status for an endpoint about things that are not there."""
    filled = "/".join(str(uuid4()) if part.startswith("{") else part for part in path.split("/"))
    if filled.endswith("/events/stream"):
        filled += "?after=nonsense"  # let in, and not for ever
    return client.request(method, filled, headers=headers).status_code


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
