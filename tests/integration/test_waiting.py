"""What waits for a person beside the syncs is told once, by whose it is, and is over when nothing waits any more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from erpflow.store.messages import LEASE
from erpflow.store.waiting import FRESH, WaitingKind, read_waiting
from tests.integration.test_notifications import DAY, NOW, Office, office
from tests.integration.test_secret_rotation import connection

__all__ = ["office"]  # a fixture: pytest finds it here

SECOND = timedelta(seconds=1)


def put(office: Office, table: str, **columns: Any) -> str:
    """A row of the tenant."""
    columns = {"tenant_id": office.shop.rows("SELECT id FROM erpflow.erp_tenants")[0][0], **columns}
    names, holes = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
    [(id_,)] = office.shop.rows_of(
        f"INSERT INTO erpflow.{table} ({names}) VALUES ({holes}) RETURNING id::text", columns
    )
    return str(id_)


def message(office: Office, owner: str, state: str, **more: Any) -> str:
    columns = {"connection_id": owner, "system": "msg91", "channel": "sms", "recipients": ["919900000001"]}
    return put(office, "erp_messages", content_digest=b"", state=state, **columns | more)


def payment_request(office: Office, owner: str, state: str, **more: Any) -> str:
    columns = {"connection_id": owner, "kind": "subscription", "realm": "live", "business_key": "k", "body_digest": b""}
    return put(office, "erp_payment_requests", requested_by="shop", state=state, **columns | more)


def filing(office: Office, state: str) -> str:
    columns = {"gstin": "29AAACE1234A1Z5", "period": "092026", "payload": "{}", "payload_digest": "", "totals": "{}"}
    more = {"problems": "[]", "is_blocked": False, "created_by": "books", "filing_at": NOW - DAY}
    return put(office, "erp_gst_returns", state=state, **columns, **more)


def event(office: Office, owner: str, state: str) -> str:
    webhook = put(office, "erp_webhooks", connection_id=owner, name="orders", secret="-")
    times = {"received_at": NOW - 2 * DAY, "processed_at": NOW - DAY}
    return put(office, "erp_webhook_events", webhook_id=webhook, dedupe_key="1", body=b"{}", state=state, **times)


def delivery(office: Office, *, ended_at: Any, description: str) -> str:
    events = ["sync.failed"]
    url = f"https://hooks.example.com/{description}"
    subscription = put(office, "erp_subscriptions", url=url, description=description, events=events, secret="-")
    columns = {"subscription_id": subscription, "event_id": "m", "type": "sync.failed", "payload": "{}"}
    put(office, "erp_deliveries", state="dead", settled_at=ended_at, **columns)
    return subscription


def waiting(office: Office) -> list[tuple[Any, ...]]:
    with office.shop.database.session() as store:
        found = read_waiting(store, now=NOW)
    return [(each.kind, each.name, each.count, each.since) for each in found]


def test_messages_of_which_nobody_knows_are_told_until_somebody_has_decided(office: Office) -> None:
    owner = connection(office, "texts", system="msg91", days=1)
    ids = [message(office, owner, "unknown", settled_at=NOW - age * DAY) for age in (1, 2)]
    office.look()
    office.look()
    [told] = office.inboxes[0].got
    assert told.subject == "[erpflow] texts: 2 messages wait for a person"
    assert told.counts == {"messages": 2}
    assert told.since == NOW - 2 * DAY
    assert "POST /api/erp/messages/{id}/settle" in told.next_step
    office.shop.rows_of(
        "UPDATE erpflow.erp_messages SET state = 'accepted' WHERE id = ANY (%(ids)s::uuid[]) RETURNING id", {"ids": ids}
    )
    office.look()
    office.look()
    assert office.inboxes[0].said() == [("new", "waiting"), ("resolved", "waiting")]
    assert office.inboxes[0].got[-1].what == "None of them waits any more."


@pytest.mark.parametrize("make", [message, payment_request])
def test_what_is_being_sent_waits_once_its_worker_must_be_gone(office: Office, make: Any) -> None:
    owner = connection(office, "texts", system="msg91", days=1)
    column = "submitted_at" if make is message else "sent_at"
    make(office, owner, "submitting", **{column: NOW - LEASE + SECOND})
    assert waiting(office) == []
    office.shop.do(f"UPDATE erpflow.erp_{make.__name__}s SET {column} = {column} - interval '2 seconds'")
    assert [found[1:] for found in waiting(office)] == [("texts", 1, NOW - SECOND)]


def test_each_kind_is_told_by_whose_it_is(office: Office) -> None:
    owner = connection(office, "main", system="razorpay", days=1)
    payment_request(office, owner, "unknown", sent_at=NOW - DAY)
    filing(office, "unknown")
    event(office, owner, "parked")
    delivery(office, ended_at=NOW - FRESH / 2, description="the warehouse")
    assert waiting(office) == [
        (WaitingKind.DELIVERIES, "the warehouse", 1, NOW - FRESH / 2),
        (WaitingKind.EVENTS, "main", 1, NOW - DAY),
        (WaitingKind.FILINGS, "29AAACE1234A1Z5 092026", 1, NOW - DAY),
        (WaitingKind.PAYMENT_REQUESTS, "main", 1, NOW - DAY + LEASE),
    ]
    office.look()
    assert sorted(each.subject for each in office.inboxes[0].got) == [
        "[erpflow] 29AAACE1234A1Z5 092026: 1 return waits for a person",
        "[erpflow] main: 1 request waits for a person",
        "[erpflow] main: 1 webhook event waits for a person",
        "[erpflow] the warehouse: 1 outgoing message waits for a person",
    ]


def test_what_is_settled_waits_for_nobody(office: Office) -> None:
    owner = connection(office, "main", system="razorpay", days=1)
    for state in ("accepted", "rejected"):
        message(office, owner, state, settled_at=NOW - DAY)
    payment_request(office, owner, "rejected", sent_at=NOW - DAY)
    filing(office, "saved")
    event(office, owner, "applied")
    delivery(office, ended_at=NOW - FRESH, description="given up long ago")
    assert waiting(office) == []


def test_what_has_lost_its_connection_is_told_by_its_system(office: Office) -> None:
    for system in ("msg91", "sendgrid"):
        owner = connection(office, system, system=system, days=1)
        message(office, owner, "unknown", system=system, settled_at=NOW - DAY)
        office.shop.do(f"DELETE FROM erpflow.erp_connections WHERE name = '{system}'")
    assert waiting(office) == [(WaitingKind.MESSAGES, system, 1, NOW - DAY) for system in ("msg91", "sendgrid")]
    office.look()
    assert sorted(each.subject for each in office.inboxes[0].got) == [
        "[erpflow] msg91: 1 message waits for a person",
        "[erpflow] sendgrid: 1 message waits for a person",
    ]
