"""The events of ten thousand records, each in an order of its own, late, twice and replayed: one state at the end.

`test_webhook_drain.py` has the same law over a few records, with drains at any moment.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from erpflow.store.database import Database
from erpflow.webhooks.receive import MOST_EVENTS
from tests.inbox import Inbox, engine_of
from tests.two_way import CUSTOMER, TwoWayShop

RECORDS = 10_000
LIVES = (
    ("create", "update", "update", "delete"),
    ("create", "update", "delete"),
    ("create", "update", "update"),
    ("create", "delete"),
    ("create",),
)
LONGEST = max(map(len, LIVES))
SEED = 20261126
DELETES_UNASKED = CUSTOMER.replace("deletes: {", "deletes: {at_most: 100%, ")

Event = dict[str, Any]


@dataclass
class Post:
    """Carries what the vendor tells: half of it later, some of it again, and none of it in order."""

    inbox: Inbox
    rng: random.Random
    waiting: list[Event] = field(default_factory=list)
    told: list[Event] = field(default_factory=list)
    orders: dict[str, list[str]] = field(default_factory=dict)

    def bring(self, *, everything: bool = False) -> None:
        """Deliver some of what waits, and some of what came before, in as few requests as a vendor could send."""
        self.rng.shuffle(self.waiting)
        count = len(self.waiting) if everything else len(self.waiting) // 2
        now, self.waiting = self.waiting[:count], self.waiting[count:]
        mixed = now + self.rng.sample(self.told, len(self.told) // 4)
        self.rng.shuffle(mixed)
        for start in range(0, len(mixed), MOST_EVENTS):
            self.inbox.deliver(json.dumps(mixed[start : start + MOST_EVENTS]).encode())
        for one in mixed:
            self.orders.setdefault(one["remote_id"], []).append(one["event_id"].partition("/")[2])
        self.told += now


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> TwoWayShop:
    found = TwoWayShop(database, tmp_path)
    found.use(DELETES_UNASKED)
    return found


@pytest.mark.timeout(300)
def test_ten_thousand_records_whose_events_come_in_any_order_end_as_they_are_at_the_vendor(shop: TwoWayShop) -> None:
    rng, inbox = random.Random(SEED), Inbox(shop.database, engine_of(shop))
    post, applied = Post(inbox, rng), 0
    lives = {f"R{number:06d}": rng.choice(LIVES) for number in range(RECORDS)}
    for step in range(LONGEST):
        for name, life in lives.items():
            if step < len(life):
                happen(shop, name, life[step], step)
                post.waiting.append(
                    {"entity": "customer", "remote_id": name, "event_id": f"{name}/{step}", "event_type": life[step]}
                )
        post.bring()
        applied += inbox.drain(most_events=MOST_EVENTS).events
    post.bring(everything=True)
    applied += inbox.drain(most_events=MOST_EVENTS).events

    assert applied == sum(map(len, lives.values()))  # each of them once, however often it came
    assert len(post.orders) == RECORDS
    assert len({tuple(order) for order in post.orders.values()}) > 200
    assert state(shop) == at_vendor(shop)
    assert unsettled(inbox) == [(0,)]

    again = [event_id for (event_id,) in inbox.mine("SELECT id::text FROM erpflow.erp_webhook_events {}")]
    inbox.replay(rng.sample(again, 2_000))
    assert inbox.drain(most_events=MOST_EVENTS).events == 2_000
    assert state(shop) == at_vendor(shop)
    assert unsettled(inbox) == [(0,)]


def happen(shop: TwoWayShop, name: str, change: str, step: int) -> None:
    """What a person does at the vendor."""
    if change == "delete":
        shop.vendor.drop(name)
    else:
        shop.vendor.put(name, name=f"{change} {step}", email=name)


def state(shop: TwoWayShop) -> list[tuple[Any, ...]]:
    """The rows here with the records that they are tied to."""
    return shop.rows(
        "SELECT s.remote_id, c.email, c.name FROM app.customers c"
        " FULL JOIN (SELECT * FROM erpflow.erp_entity_sync_records WHERE status <> 'deleted') s"
        " ON s.local_id = c.id::text ORDER BY s.remote_id"
    )


def at_vendor(shop: TwoWayShop) -> list[tuple[Any, ...]]:
    """The same, as the vendor has it."""
    return sorted((name, record["email"], record["name"]) for name, record in shop.vendor.records.items())


def unsettled(inbox: Inbox) -> list[tuple[Any, ...]]:
    """How many events are neither applied nor found to be of no use."""
    return inbox.mine(
        "SELECT count(*) FILTER (WHERE state NOT IN ('applied', 'ignored')) FROM erpflow.erp_webhook_events {}"
    )
