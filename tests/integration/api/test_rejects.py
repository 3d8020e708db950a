"""Rejects over REST: reason and payload, another try, or none."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest

from erpflow.api.rights import Right
from erpflow.api.routers.rejects import payload_of
from tests.calling import ALL, Api
from tests.integration.conftest import Installation

BASE = "/api/erp/rejects"
STRICT = [
    {"local": "name", "remote": "customer_name", "max_length": 14, "required": True},
    {"local": "email", "remote": "email_id", "only": "pull"},
]


@pytest.fixture
def refused(erpnext_api: Api, config_ids: dict[str, str]) -> list[dict[str, Any]]:
    """What a mapping with too short a name refuses."""
    put_fields(erpnext_api, config_ids["customer"], STRICT)
    body = {"sync_config_id": config_ids["customer"], "sync_direction": "pull"}
    erpnext_api.client.post("/api/erp/sync", json=body).raise_for_status()
    found = erpnext_api.client.get(BASE, params={"status": "open", "limit": 200}).json()["items"]
    assert len(found) > 10
    return list(found)


def put_fields(api: Api, config_id: str, fields: list[dict[str, Any]] | None) -> None:
    answer = api.client.put(f"/api/erp/sync-configs/{config_id}/field-mappings", json={"fields": fields})
    assert answer.status_code == 200, answer.text


def is_only_too_long(row: dict[str, Any]) -> bool:
    """Whether today's mapping takes a record; some of the sandbox are refused for other things, too."""
    return "HOSTILE" not in row["remote_id"] and [one["rule"] for one in row["problems"]] == ["max_length"]


def test_reason_and_payload_are_shown_and_filtered(erpnext_api: Api, refused: list[dict[str, Any]]) -> None:
    one = refused[0]
    assert (one["system"], one["entity"], one["direction"], one["attempts"]) == ("erpnext", "customer", "pull", 1)
    assert (one["payload_encoding"], one["payload_truncated"]) == ("text", False)
    assert one["problems"][0]["rule"] == "max_length"
    assert one["problems"][0]["message"] in one["reason"]
    assert one["payload_bytes"] == len(one["payload"].encode())
    by_rule = erpnext_api.client.get(BASE, params={"rule": "max_length", "field": "name", "limit": 200}).json()
    assert {row["id"] for row in by_rule["items"]} <= {row["id"] for row in refused}
    by_id = erpnext_api.client.get(BASE, params={"remote_id": one["remote_id"], "connection": "demo"}).json()
    assert [row["id"] for row in by_id["items"]] == [one["id"]]
    for filters in ({"entity": "order"}, {"connection": "other"}, {"status": "discarded"}, {"rule": "nothing"}):
        assert erpnext_api.client.get(BASE, params=filters).json()["items"] == []


def test_a_reject_has_every_version_of_its_record(
    erpnext_api: Api, connected: Installation, refused: list[dict[str, Any]]
) -> None:
    one = refused[0]
    raw = b"\xff\xfe not UTF-8"
    connected.rows(f"UPDATE erpflow.erp_rejects SET payload = '\\x{raw.hex()}' WHERE id = '{one['id']}' RETURNING 1")
    shown = erpnext_api.client.get(f"{BASE}/{one['id']}").json()
    assert (shown["payload_encoding"], base64.b64decode(shown["payload"])) == ("base64", raw)
    assert [(v["until"] is None, v["payload_encoding"]) for v in shown["versions"]] == [
        (True, "base64"),
        (False, "text"),
    ]
    assert shown["versions"][1]["payload"] == one["payload"]


def test_a_payload_is_cut_in_a_list_and_never_within_a_character(
    erpnext_api: Api, connected: Installation, refused: list[dict[str, Any]]
) -> None:
    connected.rows(
        "UPDATE erpflow.erp_rejects SET payload = convert_to('x' || repeat('ä', 50000), 'UTF8')"
        f" WHERE id = '{refused[0]['id']}' RETURNING 1"
    )
    [row] = erpnext_api.client.get(BASE, params={"remote_id": refused[0]["remote_id"]}).json()["items"]
    assert (row["payload_truncated"], row["payload_encoding"], row["payload_bytes"]) == (True, "text", 100_001)
    assert row["payload"] == "x" + "ä" * 32_767
    assert len(erpnext_api.client.get(f"{BASE}/{row['id']}").json()["payload"]) == 50_001


def test_text_stays_text_and_bytes_stay_bytes() -> None:
    assert payload_of("ä".encode()) == {"payload": "ä", "payload_encoding": "text"}
    assert payload_of("ä".encode()[:1]) == {"payload": "ww==", "payload_encoding": "base64"}
    assert payload_of("xä".encode()[:2], is_cut=True) == {"payload": "x", "payload_encoding": "text"}
    assert payload_of(b"") == {"payload": "", "payload_encoding": "text"}


def test_a_reject_is_tried_again_with_todays_mapping(
    erpnext_api: Api, config_ids: dict[str, str], refused: list[dict[str, Any]]
) -> None:
    one = next(row for row in refused if is_only_too_long(row))
    put_fields(erpnext_api, config_ids["customer"], None)
    started = erpnext_api.client.post(f"{BASE}/{one['id']}/retry")
    assert started.status_code == 202, started.text
    dag_id, conf, run_id = erpnext_api.runs.asked[-1]
    assert (dag_id, conf) == ("erpnext__customer", {"config": config_ids["customer"], "rejects": [one["id"]]})
    assert started.json()["dag_run_id"] == run_id
    log = erpnext_api.client.get(f"/api/erp/sync-logs/{started.json()['log_ids']['pull']}").json()
    assert (log["kind"], log["status"], log["created_count"] + log["updated_count"]) == ("retry", "completed", 1)
    assert erpnext_api.client.get(f"{BASE}/{one['id']}").json()["status"] == "resolved"
    again = erpnext_api.client.post(f"{BASE}/{one['id']}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "not_open")


def test_several_are_tried_again_by_ids_or_by_a_filter(
    erpnext_api: Api, config_ids: dict[str, str], refused: list[dict[str, Any]]
) -> None:
    put_fields(erpnext_api, config_ids["customer"], None)
    too_long = [row["id"] for row in refused if is_only_too_long(row)]
    nobody = str(uuid4())
    started = erpnext_api.client.post(f"{BASE}/retry", json={"ids": [*too_long[:2], nobody]}).json()
    assert (started["reject_count"], started["skipped"], started["more"]) == (2, [nobody], False)
    [run] = started["runs"]
    assert (run["dag_id"], run["reject_count"]) == ("erpnext__customer", 2)
    rest = erpnext_api.client.post(f"{BASE}/retry", json={"rule": "max_length", "connection": "demo"}).json()
    assert rest["reject_count"] >= len(too_long) - 2
    left = erpnext_api.client.get(BASE, params={"status": "open", "limit": 200}).json()["items"]
    assert {row["id"] for row in left}.isdisjoint(too_long)
    nothing = erpnext_api.client.post(f"{BASE}/retry", json={"rule": "max_length", "field": "phone"}).json()
    assert (nothing["runs"], nothing["reject_count"]) == ([], 0)


def test_a_reject_that_is_given_up_is_kept_and_not_tried_again(erpnext_api: Api, refused: list[dict[str, Any]]) -> None:
    done = erpnext_api.client.post(f"{BASE}/{refused[0]['id']}/discard")
    assert (done.status_code, done.json()["status"]) == (200, "discarded")
    for path in ("discard", "retry"):
        assert erpnext_api.client.post(f"{BASE}/{refused[0]['id']}/{path}").status_code == 409
    assert (
        len(erpnext_api.client.get(BASE, params={"status": "open", "limit": 200}).json()["items"]) == len(refused) - 1
    )


def test_what_is_wrong_or_somebody_elses_starts_nothing(erpnext_api: Api, refused: list[dict[str, Any]]) -> None:
    one, asked = f"{BASE}/{refused[0]['id']}", len(erpnext_api.runs.asked)
    for body, field in (({}, "ids"), ({"ids": []}, "ids"), ({"ids": ["x"]}, "ids.0"), ({"reason": "x"}, "reason")):
        answer = erpnext_api.client.post(f"{BASE}/retry", json=body)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    other = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    assert other.get(BASE).json()["items"] == []
    answers = [other.get(one), other.post(f"{one}/retry"), other.post(f"{one}/discard")]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    in_bulk = other.post(f"{BASE}/retry", json={"ids": [refused[0]["id"]]}).json()
    assert (in_bulk["runs"], in_bulk["skipped"]) == ([], [refused[0]["id"]])
    looking = erpnext_api.as_key(erpnext_api.key(Right.LOOK))
    answers = [looking.post(f"{one}/retry"), looking.post(f"{one}/discard"), looking.post(f"{BASE}/retry", json={})]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert len(erpnext_api.runs.asked) == asked
