"""What each vendor's requests become: events with a key, an entity and an id, whatever the body holds."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow.errors import ConfigError, PayloadInvalid
from erpflow.store.vault import Secret
from erpflow.store.webhook_events import NewEvent
from erpflow.store.webhooks import Webhook
from erpflow.vocabulary import ConnectionId, TenantId, WebhookEventState, WebhookId
from erpflow.webhooks.receive import LARGEST_BODY, MOST_EVENTS, events_of
from erpflow.webhooks.systems import SYSTEMS, usual_verification

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
ANYBODY = {"scheme": "none", "anybody_may_send": True}
RECEIVED, IGNORED, PARKED = WebhookEventState.RECEIVED, WebhookEventState.IGNORED, WebhookEventState.PARKED


def webhook(system: str, **facts: Any) -> Webhook:
    """A webhook to which anybody may send: signatures have tests of their own."""
    defaults: dict[str, Any] = {
        "id": WebhookId("w"), "tenant_id": TenantId("t"), "connection_id": ConnectionId("c"), "system": system,
        "name": "it", "events": (), "entities": (), "secret": None, "verification": ANYBODY, "payload": {},
        "vendor_reference": None, "active": True, "expires_at": None, "last_received_at": None, "created_at": NOW,
        "updated_at": NOW,
    }  # fmt: skip
    return Webhook(**(defaults | facts))


def read(
    system: str, body: object, *, headers: Mapping[str, str] | None = None, now: datetime = NOW, **facts: Any
) -> list[NewEvent]:
    """The events of a body, given as bytes or as what JSON makes of it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return events_of(webhook(system, **facts), secrets=(), headers=list((headers or {}).items()), body=raw, now=now)


def facts(events: list[NewEvent]) -> list[tuple[str | None, ...]]:
    return [(event.event_type, event.entity, event.remote_id) for event in events]


# -- ERPNext -------------------------------------------------------------------------------------------------------


def deliveries(name: str) -> list[bytes]:
    capture = json.loads((FIXTURES / "erpnext_captures" / f"{name}.json").read_text())
    return [base64.b64decode(each["body_base64"]) for each in capture["deliveries"]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("webhook/json_on_update", [("on_update", "customer", "Hook One")]),
        ("webhook/json_on_trash", [("on_trash", "customer", "Hook Zwei")]),
        ("webhook_so/submit", [(event, "order") for event in ("on_update", "on_submit", "on_change")]),
        ("webhook/json_after_insert_plus_update", [("after_insert", "customer"), ("on_update", "customer")]),
    ],
)
def test_a_delivery_that_was_recorded_from_erpnext_names_its_document(name: str, expected: list[Any]) -> None:
    found = [event for body in deliveries(name) for event in read("erpnext", body)]
    assert [given[: len(right)] for given, right in zip(facts(found), expected, strict=True)] == expected
    assert all(event.state is RECEIVED and event.remote_id for event in found)


def test_what_erpnext_sends_three_times_is_one_event_and_three_saves_are_three() -> None:
    again = [event.key for body in deliveries("webhook_fail/recv-slow") for event in read("erpnext", body)]
    assert len(again) == 3
    assert len(set(again)) == 1
    saves = [event.key for body in deliveries("webhook/three_quick_updates") for event in read("erpnext", body)]
    assert len(set(saves)) == 3


def test_a_form_of_erpnext_is_json_too_and_means_the_one_entity_of_its_webhook() -> None:
    (body,) = deliveries("webhook/form_after_insert")
    (event,) = read("erpnext", body, entities=("customer",))
    assert (event.entity, event.remote_id, event.state) == ("customer", "Form One", RECEIVED)
    (unknown,) = read("erpnext", body)
    assert unknown.state is PARKED
    assert "which entity" in (unknown.error or "")


def test_a_delete_of_erpnext_is_not_taken_for_the_save_before_whose_words_it_repeats() -> None:
    words = {"doctype": "Customer", "name": "A", "modified": "2026-11-21 08:02:47.519396"}
    saved, again, deleted = (
        read("erpnext", words, now=NOW + timedelta(seconds=seconds))[0].key for seconds in (0, 4, 3_600)
    )
    assert saved == again != deleted
    assert len({read("erpnext", {**words, "event": event})[0].key for event in ("on_update", "on_trash")}) == 2


def test_a_template_that_names_no_document_is_parked_with_what_to_add() -> None:
    (event,) = read("erpnext", {"doctype": "Customer"})
    assert (event.state, event.entity, event.remote_id) == (PARKED, "customer", None)
    assert 'Add "name"' in (event.error or "")


def test_a_doctype_that_is_not_synced_is_ignored_by_name() -> None:
    (event,) = read("erpnext", {"doctype": "Lead", "name": "L1", "modified": "x", "event": "on_update"})
    assert (event.state, event.error) == (IGNORED, 'erpnext has no entity here for "Lead".')


# -- Razorpay, Zoho, QuickBooks, Metakocka, VeeKaart ---------------------------------------------------------------


def test_an_event_of_razorpay_is_about_what_it_is_named_after_and_known_by_its_header() -> None:
    samples = json.loads((FIXTURES / "razorpay" / "webhook_deliveries.json").read_text())["deliveries"]
    found = [read("razorpay", each["raw_body"].encode(), headers=each["headers"])[0] for each in samples]
    assert facts(found) == [
        ("payment.captured", "payment", "pay_Q1aB2cD3eF4gH5"),
        ("subscription.charged", "subscription", "sub_Q1aB2cD3eF4gH9"),
        ("invoice.paid", "invoice", "inv_Q1aB2cD3eF4gI2"),
        ("refund.processed", "refund", "rfnd_Q1aB2cD3eF4gH8"),
        ("subscription.charged", "subscription", "sub_Q1aB2cD3eF4gH9"),
    ]
    assert [event.key for event in found][1] == found[4].key == "evt_0000000000002"
    assert found[0].occurred_at == datetime.fromtimestamp(1768800001, UTC)


def test_the_time_of_a_razorpay_event_may_be_inside_its_payload() -> None:
    body = {"event": "subscription.activated", "payload": {"subscription": {"entity": {"id": "s"}}, "created_at": 1e9}}
    assert read("razorpay", body)[0].occurred_at == datetime.fromtimestamp(1e9, UTC)


ZOHO = {
    "server_time": 1718115953625, "query_params": {"k": "v"}, "module": "Deals", "operation": "update",
    "resource_uri": "https://www.zohoapis.com/crm/v8/Deals", "ids": ["5725767000003000010", "5725767000003000020"],
    "channel_id": "1000000068001", "token": "my-secret", "affected_fields": [],
}  # fmt: skip


def zoho(body: Mapping[str, Any], **more: Any) -> list[NewEvent]:
    verification = usual_verification("zoho_crm")
    assert verification is not None
    found = webhook("zoho_crm", verification=verification.model_dump(), **more)
    return events_of(found, secrets=[Secret("my-secret")], headers=[], body=json.dumps(body).encode(), now=NOW)


def test_a_notification_of_zoho_is_an_event_for_each_id_and_its_token_is_not_kept() -> None:
    found = zoho(ZOHO)
    assert facts(found) == [("update", "deal", name) for name in ZOHO["ids"]]
    assert found[0].occurred_at == datetime(2024, 6, 11, 14, 25, 53, 625_000, tzinfo=UTC)
    assert len({event.key for event in found}) == 2
    assert [event.key for event in zoho(ZOHO)] == [event.key for event in found]
    assert not {event.key for event in zoho({**ZOHO, "server_time": 1718115953626})} & {event.key for event in found}
    (nothing,) = zoho({**ZOHO, "ids": []})
    assert nothing.state is PARKED
    assert not any(b"my-secret" in event.body for event in [*found, nothing])
    assert b"query_params" in nothing.body


@pytest.mark.parametrize("ids", [5725767000003000010, "5725767000003000010", [5725767000003000010] * 2])
def test_an_id_of_zoho_may_be_a_number_alone_or_there_twice(ids: object) -> None:
    assert facts(zoho({**ZOHO, "ids": ids})) == [("update", "deal", "5725767000003000010")]


def test_another_channel_than_the_webhooks_own_is_ignored() -> None:
    assert [event.state for event in zoho(ZOHO, vendor_reference="1000000068001")] == [RECEIVED] * 2
    assert [event.state for event in zoho(ZOHO, vendor_reference="1000000068002")] == [IGNORED] * 2


LEGACY = {"eventNotifications": [{"realmId": "310687", "dataChangeEvent": {"entities": [
    {"name": "Customer", "id": "1234", "operation": "Create", "lastUpdated": "2025-09-08T20:52:31.657Z"},
    {"name": "Customer", "id": "9", "operation": "Merge", "lastUpdated": "2025-09-08T20:52:32Z", "deletedId": "8"},
]}}]}  # fmt: skip
CLOUD = [
    {"specversion": "1.0", "id": "88cd52aa", "type": "qbo.invoice.deleted.v1", "time": "2025-09-10T21:31:25.179851517Z",
     "intuitentityid": "1234", "intuitaccountid": "310687", "data": {}},
    {"specversion": "1.0", "id": "99cd52aa", "type": "qbo.customer.updated.v1", "time": "2025-09-10T21:31:26Z",
     "intuitentityid": "7", "intuitaccountid": "310688"},
]  # fmt: skip


def test_both_forms_of_quickbooks_are_an_event_for_each_record() -> None:
    assert facts(read("quickbooks", LEGACY)) == [
        ("customer.create", "customer", "1234"),
        ("customer.update", "customer", "9"),
        ("customer.delete", "customer", "8"),
    ]
    found = read("quickbooks", CLOUD, vendor_reference="310687")
    assert facts(found) == [("invoice.delete", "invoice", "1234"), ("customer.update", "customer", "7")]
    assert [(event.key, event.state) for event in found] == [("88cd52aa", RECEIVED), ("99cd52aa", IGNORED)]
    assert "310688" in (found[1].error or "")


def test_a_list_of_quickbooks_that_tells_of_no_record_is_kept_all_the_same() -> None:
    (event,) = read("quickbooks", [])
    assert (event.state, event.error, event.body) == (IGNORED, "It tells of no record.", b"[]")


def test_a_webhook_of_metakocka_is_a_stock_level_for_each_warehouse() -> None:
    row = {"warehouse_id": "16", "mk_id": "160", "count_code": "PA-4020", "amount": "0"}
    headers = {"X-MetaKocka-Event": "warehouse_product_stock_update", "X-MetaKocka-Id": "ev1"}
    body = {"opr_code": "0", "stock_list_count": "2", "stock_list": [row, {**row, "warehouse_id": "17"}]}
    found = read("metakocka", body, headers=headers)
    assert facts(found) == [("warehouse_product_stock_update", "inventory", f"{house}:160") for house in (16, 17)]
    assert [event.key for event in found] == ["ev1/16:160", "ev1/17:160"]
    assert facts(read("metakocka", {"stock_list": row}, headers=headers)) == facts(found)[:1]
    (unknown,) = read("metakocka", body, headers={**headers, "X-MetaKocka-Event": "partner_update"})
    assert unknown.state is PARKED


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"event_type": "product.updated", "sku": "PA-65W"}, ("product.updated", "product", "PA-65W")),
        (
            {"event_type": "product.stock_changed", "data": {"sku": "A/1"}},
            ("product.stock_changed", "inventory", "A/1"),
        ),
        ({"order_id": "VK-1", "items": []}, ("order.created", None, "VK-1")),
    ],
)
def test_a_webhook_of_veekaart_names_its_record(body: dict[str, Any], expected: tuple[str | None, ...]) -> None:
    (event,) = read("veekaart", body)
    assert facts([event]) == [expected]


# -- any system ----------------------------------------------------------------------------------------------------


def test_the_fields_of_any_system_are_where_its_paths_say() -> None:
    paths = {
        "events": "changes", "event_type": "kind", "entity": "object.type", "remote_id": "object.id", "event_id": "no",
        "occurred_at": "at",
    }  # fmt: skip
    change = {
        "kind": "changed",
        "object": {"type": "Kunde", "id": 12345678901234567890},
        "no": 7,
        "at": "2026-01-01T01:00+01:00",
    }
    body = {"changes": [change, {**change, "no": 8, "at": 1767225600}]}
    found = read("somebody", body, payload=paths)
    assert facts(found) == [("changed", "Kunde", "12345678901234567890")] * 2
    assert [event.key for event in found] == ["7", "8"]
    assert [event.occurred_at for event in found] == [datetime(2026, 1, 1, tzinfo=UTC)] * 2


def test_without_paths_the_usual_names_are_looked_for_and_the_id_of_standard_webhooks_is_the_key() -> None:
    body = {"event_type": "x", "entity": "customer", "remote_id": "1"}
    (event,) = read("somebody", body, headers={"Webhook-Id": "msg_1"})
    assert (event.key, *facts([event])[0]) == ("msg_1", "x", "customer", "1")


def test_a_path_that_is_none_is_refused_with_its_key() -> None:
    with pytest.raises(ConfigError, match="remote_id"):
        read("somebody", {}, payload={"remote_id": "a..b"})
    with pytest.raises(ConfigError, match="Keys: events"):
        read("somebody", {}, payload={"id": "a"})


def test_events_and_entities_that_a_webhook_does_not_want_are_ignored_with_the_reason() -> None:
    body = {"doctype": "Customer", "name": "A", "modified": "m", "event": "on_update"}
    assert read("erpnext", body, events=("on_update",), entities=("customer", "order"))[0].state is RECEIVED
    assert read("erpnext", body, entities=("Customer",))[0].state is RECEIVED
    (event,) = read("erpnext", body, events=("on_trash",))
    assert (event.state, event.error) == (IGNORED, 'The webhook does not want the event "on_update".')
    (entity,) = read("erpnext", body, entities=("order", "product"))
    assert (entity.state, entity.error) == (IGNORED, 'The webhook does not want the entity "customer".')


# -- hostile bodies ------------------------------------------------------------------------------------------------

HOSTILE = {
    "nothing": (b"", "not JSON"),
    "not utf-8": (b'{"name": "\xff"}', "not UTF-8"),
    "deep": (b"[" * 100_000, "deeper than 64"),
    "deep and whole": (b'{"a":' * 200 + b"1" + b"}" * 200, "deeper than 64"),
    "a list": (b"[1, 2]", "not an object|neither a list"),
    "a text": (b'"x"', "not an object|neither a list"),
    "a long number": (b'{"id": ' + b"9" * 5_000 + b"}", "not JSON|neither a list|cannot be"),
    "not a number": (b'{"id": NaN}', "not JSON|neither a list"),
    "cut": (b'{"id": ', "not JSON|neither a list"),
    "markup": (b"<xml/>", "not JSON|neither a list"),
}


@pytest.mark.parametrize("system", [*SYSTEMS, "somebody"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_body_that_nobody_can_read_is_parked_whole_with_the_reason(system: str, name: str) -> None:
    body, _ = HOSTILE[name]
    found = read(system, body)
    assert [event.state for event in found] == [PARKED] * len(found)
    assert b"".join(event.body for event in found[:1]) or body == b""
    assert all(event.error and len(event.error) < 2_001 and "\x00" not in event.error for event in found)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_reason_says_what_is_wrong_with_the_body(name: str) -> None:
    body, reason = HOSTILE[name]
    assert any(part in (read("erpnext", body)[0].error or "") for part in reason.split("|"))


def test_a_body_that_cannot_be_read_proves_nothing_by_a_token_inside_it() -> None:
    verification = usual_verification("zoho_crm")
    assert verification is not None
    with pytest.raises(Exception, match="does not prove"):
        events_of(
            webhook("zoho_crm", verification=verification.model_dump()),
            secrets=[Secret("my-secret")],
            headers=[],
            body=b"[" * 1_000,
            now=NOW,
        )


def test_a_body_that_is_too_large_is_refused() -> None:
    with pytest.raises(PayloadInvalid, match="at most 2,097,152"):
        read("erpnext", b" " * (LARGEST_BODY + 1))


def test_a_request_of_too_many_events_is_kept_as_one_for_a_person() -> None:
    (event,) = zoho({**ZOHO, "ids": [str(number) for number in range(MOST_EVENTS + 1)]})
    assert event.state is PARKED
    assert "5,001 events" in (event.error or "")
    assert len(zoho({**ZOHO, "ids": [str(number) for number in range(MOST_EVENTS)]})) == MOST_EVENTS


@pytest.mark.parametrize("name", ["a\x00b", "\ud800", "x" * 501])
def test_an_id_that_cannot_be_kept_parks_its_event(name: str) -> None:
    body = json.dumps({"doctype": "Customer", "name": name, "modified": "m", "event": "\x00\ud800"}).encode()
    (event,) = read("erpnext", body)
    assert (event.state, event.remote_id, event.body) == (PARKED, None, body)
    assert event.key.startswith("sha256:")
    assert event.event_type == "�?"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["name", "doctype", "ids", "module", "event", "payload", "contains", "stock_list", "data",
                         "eventNotifications", "type", "id", "server_time", "created_at", "entity", "remote_id"]),
        inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(
    system=st.sampled_from([*SYSTEMS, "somebody"]),
    body=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(),
)
def test_whatever_a_vendor_sends_is_kept_and_never_a_crash(system: str, body: bytes) -> None:
    found = read(system, body)
    assert found
    for event in found:
        assert event.key.isprintable() or event.key.encode()
        assert (event.error is None) is (event.state is RECEIVED)
        assert event.state is not RECEIVED or (event.entity and event.remote_id)
