"""Another company's things: every endpoint that takes an id, called with one that is not the caller's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import requests
from fastapi import FastAPI
from psycopg import sql
from starlette.testclient import TestClient

from erpflow.api.app import API, ROUTERS, VENDOR_ROUTERS
from erpflow.api.routers.sync_records import record_id
from erpflow.vocabulary import DEFAULT_TENANT
from tests.calling import ALL, Api
from tests.gstr1 import OWN
from tests.integration.api.test_veekaart_orders import order
from tests.integration.api.test_webhooks import MADE, send
from tests.integration.conftest import API_KEY, API_SECRET, Installation, Sandbox
from tests.messaging import EMAIL, SMS, WHATSAPP

LOOKS_LIKE_AN_ID = re.compile(r"(^|_)ids?$|[a-z]Ids?$")

KINDS = {
    "company_id": "company",
    "config_id": "config",
    "conflict_id": "conflict",
    "connection_id": "connection",
    "dag_run_id": "dag run",
    "delivery_id": "delivery",
    "document_id": "document",
    "event_id": "event",
    "key_id": "key",
    "local_id": "row",
    "log_id": "log",
    "message_id": "message",
    "name": "template",
    "reconciliation_id": "reconciliation",
    "record": "record",
    "reject_id": "reject",
    "remote_id": "remote record",
    "return_id": "return",
    "subscription_id": "subscription",
    "sync_config_id": "config",
    "webhook_id": "webhook",
    "/conflicts/resolve ids": "conflict",
    "/rejects/retry ids": "reject",
}
"""What an input names, by its own name; or by path and name, where one name is used for several things."""

NOT_OURS = {
    ("POST", "/api/erp/sync", "record_ids"): "the vendor's, read with the caller's own account",
    ("POST", "/api/erp/webhooks/{webhook_id}/receive", "webhook_id"): "a vendor's signature is the proof",
    ("POST", "/api/metakocka/documents/{document_id}/import", "document_id"): "the vendor's, as above",
    ("POST", "/api/webhooks/veekaart/orders", "order_id"): "the store's own number, known per connection",
    ("POST", "/emails/send", "content_id"): "what the mail itself calls an attachment",
    ("POST", "/emails/send", "template_id"): "the vendor's, as above",
    ("POST", "/messages/sms", "template_id"): "the vendor's, as above",
    ("GET", "/razorpay/subscriptions/{subscription_id}", "subscription_id"): "the vendor's, as above",
    ("POST", "/razorpay/subscriptions", "plan_id"): "the vendor's, as above",
    ("POST", "/razorpay/subscriptions", "offer_id"): "the vendor's, as above",
}
SYSTEMS = {
    "/api/metakocka": "metakocka",
    "/api/integrations/veekaart": "veekaart",
    "/api/webhooks/veekaart": "veekaart",
    "/emails": "sendgrid",
    "/messages": "msg91",
    "/ocr": "aws_textract",
    "/razorpay": "razorpay",
    "/gst": "gst_portal",
}
"""Whose connection a vendor's route is about, by how its path begins; else ERPNext's."""

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PUT", "/api/erp/connections/{connection_id}"): {"name": "taken over"},
    ("PUT", "/api/erp/connections/{connection_id}/rate-limits"): {"per_minute": 1},
    ("PUT", "/api/erp/sync-configs/{config_id}"): {"enabled": True, "every": "1d"},
    ("PUT", "/api/erp/sync-configs/{config_id}/field-mappings"): {"conflict": "remote_wins"},
    ("PUT", "/api/erp/subscriptions/{subscription_id}"): {"description": "taken over"},
    ("PUT", "/api/erp/transform-templates/{name}"): {"level": "field", "definition": {"transform": "lower"}},
    ("PUT", "/api/erp/webhooks/{webhook_id}"): {"name": "taken over"},
    ("POST", "/api/erp/conflicts/resolve"): {"keep": "local"},
    ("POST", "/api/erp/conflicts/{conflict_id}/resolve"): {"keep": "local"},
    ("POST", "/api/erp/messages/{message_id}/settle"): {"arrived": True},
    ("POST", "/api/erp/sync-configs"): {"entity": "customer"},
    ("POST", "/api/erp/webhooks"): {"name": "another"},
    ("POST", "/api/webhooks/veekaart/orders"): order(),
    ("POST", "/emails/send"): EMAIL,
    ("POST", "/messages/sms"): SMS,
    ("POST", "/messages/whatsapp"): WHATSAPP,
    ("POST", "/ocr/analyze"): {"s3": {"bucket": "bills", "key": "one.pdf"}},
    ("POST", "/razorpay/subscriptions"): {"plan_id": "plan_00000000000000", "total_count": 1},
    ("POST", "/gst/gstr1/generate"): {"gstin": OWN, "period": "012026", "documents": []},
    ("POST", "/gst/gstr1/submit"): {"return_id": "{return}"},
}
"""What else a request has to say to be valid; the others need nothing else. `{return}`: the owner's id of that kind."""

ASKS_OUTSIDE = re.compile(
    r"^/(razorpay|ocr)/"
    r"|/(setup|status|test|test-connection|unsynced|preview|plan|authorize|import|orders|send|sms|whatsapp|submit)$"
)
"""Endpoints that would turn to the vendor, or take an order: not asked by the owner here."""

KEPT_HERE = {"/razorpay/subscriptions"}
"""Of those, what is listed out of our own tables."""

VALID = {*range(200, 400), 409}
"""What the owner hears: done, or not as things are now, since one request of before has done it."""

NO_LISTS = {f"{API}/{name}" for name in ("health", "dashboard", "metrics", "events/stream", "oauth/callback")}

TABLES = """
SELECT n.nspname, c.relname, EXISTS (
    SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id') AND n.nspname = 'erpflow'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('erpflow', 'app') AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1, 2
"""

# Importing one takes a vendor that has it; that the others' is not found needs only the tie.
TIED_DOCUMENT = """
INSERT INTO erpflow.erp_entity_sync_records (tenant_id, sync_config_id, remote_id, local_id, raw_hash)
SELECT c.tenant_id, c.id, 'sales_order:4711', '4711', 0 FROM erpflow.erp_sync_configs c
JOIN erpflow.erp_connections n ON n.id = c.connection_id WHERE n.system = 'metakocka' AND c.entity = 'document'
RETURNING remote_id
"""
UNKNOWN_MESSAGE = """
INSERT INTO erpflow.erp_messages (tenant_id, system, channel, content_digest, recipients, state, settled_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'msg91', 'sms', '', '{919900000001}', 'unknown', now())
RETURNING id::text
"""
DEAD = "UPDATE erpflow.erp_deliveries SET state = 'dead', settled_at = now() RETURNING id::text"

Rows = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Input:
    """An id that an endpoint takes: where (path, query or body), and of what kind."""

    method: str
    path: str
    place: str
    name: str

    @property
    def kind(self) -> str | None:
        """What it names; None: this test does not know."""
        kind = KINDS.get(self.name) or KINDS.get(f"{self.path.removeprefix(API)} {self.name}")
        system = next((system for begin, system in SYSTEMS.items() if self.path.startswith(begin)), None)
        return system if kind == "connection" and system else kind

    @property
    def is_ours(self) -> bool:
        """Whether it names something that belongs to a tenant."""
        return (self.method, self.path, self.name) not in NOT_OURS


@cache
def inputs() -> list[Input]:
    """Every id that any endpoint takes, as the endpoints declare them; what deletes comes last, from leaf to root."""
    found = sorted(_declared(), key=lambda one: (one.path, one.method), reverse=True)
    return sorted(found, key=lambda one: one.method == "DELETE")


def _declared() -> Iterator[Input]:
    for prefix, routers in {API: ROUTERS, **VENDOR_ROUTERS}.items():
        app = FastAPI()
        for router in routers:
            app.include_router(router)
        described = app.openapi()
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                for place, name in _of_operation(operation, described.get("components", {}).get("schemas", {})):
                    yield Input(method.upper(), prefix + path, place, name)


def _of_operation(operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in operation.get("parameters", ()):
        if one["in"] == "path" or (one["in"] == "query" and _is_id(one["name"], one["schema"])):
            yield one["in"], one["name"]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for name, schema in _members(body, schemas):
        if _is_id(name, schema):
            yield "body", re.sub("([A-Z])", r"_\1", name).lower()


def _members(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for part in [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])]:
        yield from _members(part, schemas)
    for name, part in schema.get("properties", {}).items():
        yield name, part
        yield from _members(part, schemas)


def _is_id(name: str, schema: dict[str, Any]) -> bool:
    return bool(LOOKS_LIKE_AN_ID.search(name)) or "'format': 'uuid'" in str(schema)


@dataclass(frozen=True, slots=True)
class World:
    """One company with one of everything, and another that calls."""

    api: Api
    other: TestClient
    metadata: str
    ids: Mapping[str, str]

    def untouched(self) -> Rows:
        """Everything of the first company, and what belongs to none."""
        found: Rows = {}
        with self.api.database.transaction() as connection:
            for schema, table, has_tenant in connection.execute(TABLES.encode()).fetchall():
                own = sql.SQL("WHERE tenant_id = {}").format(sql.Literal(DEFAULT_TENANT))
                statement = sql.SQL("SELECT to_jsonb(t)::text FROM {} t {} ORDER BY 1").format(
                    sql.Identifier(schema, table), own if has_tenant else sql.SQL("")
                )
                found[table] = [row for (row,) in connection.execute(statement).fetchall()]
        with psycopg.connect(self.metadata) as airflow:
            found["connection"] = [row for (row,) in airflow.execute("SELECT to_jsonb(c)::text FROM connection c")]
        return found


@pytest.fixture
def world(erpnext_api: Api, connected: Installation, sandbox: Sandbox, config_ids: dict[str, str]) -> World:
    api = erpnext_api
    stranger = api.tenant("acme")
    ids = {"company": DEFAULT_TENANT, "config": config_ids["customer"], **in_step(api, connected, sandbox, config_ids)}
    api.runs.carries_out = False
    other = api.as_key(api.key(*ALL, tenant_id=stranger))
    metadata = connected.environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    return World(api, other, metadata, ids)


def in_step(api: Api, connected: Installation, sandbox: Sandbox, config_ids: dict[str, str]) -> dict[str, str]:
    """One of everything, made by using the API."""
    client, config = api.client, config_ids["customer"]

    def post(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = client.post(f"{API}{path}", json=body)
        assert answer.status_code < 300, answer.text
        return dict(answer.json())

    def first(path: str, **params: str) -> dict[str, Any]:
        return dict(client.get(f"{API}{path}", params=params).json()["items"][0])

    subscribed = post(
        "/subscriptions", {"url": "https://hooks.example/ours", "events": ["sync.completed", "sync.partial"]}
    )
    client.put(f"{API}/sync-configs/{config}", json={"conflict": "manual"}).raise_for_status()
    log = post("/sync", {"sync_config_id": config})
    tie = first("/sync-records", status="synced")
    contest(connected, sandbox, tie)
    post("/sync", {"sync_config_id": config, "sync_type": "full"})
    connection = first("/connections")
    webhook = post("/webhooks", {"connection_id": connection["id"], "name": "ours"})
    received = send(api, webhook, {"doctype": "Customer", "name": tie["remote_id"], **MADE}).json()
    return {
        "connection": connection["id"],
        "config": config,
        "log": log["log_id"],
        "dag run": log["dag_run_id"],
        "record": tie["id"],
        "remote record": tie["remote_id"],
        "row": tie["local_id"],
        "conflict": first("/conflicts", status="open")["id"],
        "reject": first("/rejects", status="open")["id"],
        "reconciliation": post(f"/sync-configs/{config}/reconcile")["id"],
        "subscription": subscribed["id"],
        "delivery": str(connected.rows(DEAD)[0][0]),
        "webhook": webhook["id"],
        "event": received["event_id"],
        "key": post("/api-keys", {"name": "ours"})["id"],
        "template": post(
            "/transform-templates", {"name": "ours", "level": "field", "definition": {"transform": "trim"}}
        )["name"],
        **accounts(client, sandbox, *THEIR_OWN),
        "message": str(connected.rows(UNKNOWN_MESSAGE)[0][0]),
        "return": made_return(client),
        "document": str(connected.rows(TIED_DOCUMENT)[0][0]),
    }


THEIR_OWN = ("veekaart", "metakocka", "sendgrid", "msg91", "razorpay", "aws_textract", "gst_portal")
SETTINGS = {"aws_textract": {"region": "eu-central-1"}, "gst_portal": {"gstin": OWN, "username": "someone"}}


def accounts(client: TestClient, sandbox: Sandbox, *systems: str) -> dict[str, str]:
    """An account of each system, by system."""
    made = {}
    for system in systems:
        body = {"name": system, "system": system, "url": f"{sandbox.url}/{system}", "password": "never-asked-for"}
        more: dict[str, Any] = {"settings": SETTINGS.get(system, {})} | (
            {} if system == "veekaart" else {"login": "16"}
        )
        answer = client.post(f"{API}/connections", json=body | more)
        assert answer.status_code == 201, answer.text
        made[system] = answer.json()["id"]
    return made


def made_return(client: TestClient) -> str:
    answer = client.post("/gst/gstr1/generate", json=BODIES["POST", "/gst/gstr1/generate"])
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def contest(connected: Installation, sandbox: Sandbox, tie: dict[str, Any]) -> None:
    """Change the tax number of a customer on both sides."""
    url = f"{sandbox.erpnext}/api/resource/Customer/{tie['remote_id']}"
    signed_in = {"Authorization": f"token {API_KEY}:{API_SECRET}"}
    requests.put(url, json={"tax_id": f"THEIRS-{uuid4().hex[:6]}"}, headers=signed_in, timeout=10).raise_for_status()
    connected.rows(
        f"UPDATE app.customers SET tax_number = 'OURS', updated_at = now() WHERE id = {tie['local_id']} RETURNING 1"
    )


def nowhere(kind: str) -> str:
    """An id of a kind that nothing has."""
    return {
        "record": record_id(str(uuid4()), "CUST-0"),
        "document": "sales_order:7",
        "template": "nowhere",
        "row": "999999999",
    }.get(kind, str(uuid4()))


def ask(world: World, client: TestClient, one: Input, id_: str) -> Any:
    """A request that is valid but for one id."""
    path = one.path
    for name in re.findall(r"{(\w+)}", one.path):
        path = path.replace(f"{{{name}}}", id_ if name == one.name else world.ids[KINDS[name]])
    body, params = dict(BODIES.get((one.method, one.path), {})), {}
    named = {name: value[1:-1] for name, value in body.items() if isinstance(value, str) and value.startswith("{")}
    body |= {name: world.ids[kind] for name, kind in named.items()}
    if one.place == "query":
        params[one.name] = id_
    elif one.place == "body":
        body[one.name] = [id_] if one.name.endswith("ids") else id_
    has_body = one.place == "body" or (one.method, one.path) in BODIES
    return client.request(one.method, path, params=params, json=body if has_body else None)


def test_every_input_that_names_something_is_known_to_this_test() -> None:
    assert [one for one in inputs() if one.is_ours and one.kind is None] == []
    assert NOT_OURS.keys() <= {(one.method, one.path, one.name) for one in inputs()}
    assert len(inputs()) > 80


def test_another_companys_ids_are_as_good_as_none_and_the_owners_are_good(world: World, sandbox: Sandbox) -> None:
    """In one test, since one of everything takes a while to make."""
    check_that_lists_are_empty(world)
    accounts(world.other, sandbox, "erpnext", *THEIR_OWN)
    before, asked, wrong = world.untouched(), len(world.api.runs.asked), []
    for one in inputs():
        if not one.is_ours or one.kind is None:
            continue
        theirs, none = world.ids[one.kind], nowhere(one.kind)
        found, missing = ask(world, world.other, one, theirs), ask(world, world.other, one, none)
        label = f"{one.method} {one.path} {one.name}: {found.status_code} {found.text[:200]}"
        if found.text.replace(theirs, "ID") != missing.text.replace(none, "ID"):
            wrong.append(f"{label}\n  is told from one that is not there: {missing.text[:200]}")
        if found.status_code != missing.status_code or not is_hidden(found):
            wrong.append(f"{label}\n  is not hidden")
    assert wrong == []
    assert world.untouched() == before
    assert len(world.api.runs.asked) == asked
    check_that_the_owner_is_served(world)


def is_hidden(answer: Any) -> bool:
    """404; an empty list; of many, none."""
    said = answer.json()
    if answer.status_code == 404:
        return bool(said["code"] == "not_found")
    nothing: dict[str, list[Any]] = {"items": [], "runs": []}
    return any(said.get(name) == value for name, value in nothing.items()) or said.get("resolved_count") == 0


def check_that_lists_are_empty(world: World) -> None:
    """Before it has anything itself, another company sees nothing."""
    key_only = 1
    for prefix, routers in {API: ROUTERS, **VENDOR_ROUTERS}.items():
        for route in (route for router in routers for route in router.routes):
            path = prefix + str(getattr(route, "path", "{"))
            if "GET" not in getattr(route, "methods", ()) or "{" in path or path in NO_LISTS:
                continue
            if ASKS_OUTSIDE.search(path) and path not in KEPT_HERE:
                continue
            items = world.other.get(path, params={"source": "kept"}).json()["items"]
            assert len(items) == (key_only if path.endswith("/api-keys") else 0), (path, items)
    numbers = world.other.get(f"{API}/dashboard").json()
    assert not any(numbers["totals"].values())
    assert (numbers["connections"], numbers["freshness"], numbers["recent"]) == ([], [], [])
    assert "erpnext" not in world.other.get(f"{API}/metrics").text


def check_that_the_owner_is_served(world: World) -> None:
    """The same requests are valid: it was the id that was refused."""
    person, wrong = world.api.as_person("admin"), []  # since the key ends with one of these requests
    for one in inputs():
        if not one.is_ours or one.kind is None or ASKS_OUTSIDE.search(one.path) or one.path.endswith("/events/stream"):
            continue
        answer = ask(world, person, one, world.ids[one.kind])
        if answer.status_code not in VALID:
            wrong.append(f"{one.method} {one.path} {one.name}: {answer.status_code} {answer.text[:300]}")
    assert wrong == []
