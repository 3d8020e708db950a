"""Laws of telling, whatever happens in whatever order: causes come and go, channels fail, time passes."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from erpflow.errors import NotificationFailed
from erpflow.services.notifications.messages import Message
from erpflow.services.notifications.settings import NotificationSettings
from erpflow.services.notifications.tell import Channel, look_and_tell
from erpflow.store.database import Database
from tests.engine import Shop

DAY = timedelta(hours=24)
SETTINGS = NotificationSettings(remind_after_hours=24, stale_after_intervals=1e6)
ENTITIES = ("customer", "order")
CHANNELS = ("email", "webhook")
LIFE = re.compile(r"(new (reminder )*resolved )*(new (reminder )*)?")

EVENTS = st.sampled_from(
    [
        ("failed", "customer"),
        ("completed", "customer"),
        ("failed", "customer"),
        ("completed", "customer"),
        ("failed", "order"),
        ("completed", "order"),
        ("switch", "email"),
        ("switch", "webhook"),
        ("hours", "23"),
        ("hours", "25"),
    ]
)
LOOKS = st.sampled_from([True, True, True, False])
Events = list[tuple[tuple[str, str], bool]]


@pytest.fixture(scope="module")
def shop(database: Database) -> Iterator[Shop]:
    with tempfile.TemporaryDirectory() as folder:
        yield Shop(database, Path(folder))


@dataclass
class History:
    """What happened and what was told of it: by channel and entity, the sayings and when."""

    shop: Shop
    now: datetime = datetime(2026, 6, 1, tzinfo=UTC)
    down: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    told: dict[tuple[str, str], list[tuple[str, datetime]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shop.do("DELETE FROM erpflow.erp_sync_logs")
        self.shop.do("DELETE FROM erpflow.erp_notifications")

    def happen(self, event: str, what: str) -> None:
        self.now += timedelta(seconds=1)
        if event == "hours":
            self.now += timedelta(hours=int(what))
        elif event == "switch":
            self.down ^= {what}
        else:
            (self.broken.add if event == "failed" else self.broken.discard)(what)
            self.shop.rows_of(
                "INSERT INTO erpflow.erp_sync_logs (tenant_id, sync_config_id, status, error, error_kind, started_at,"
                " finished_at) SELECT tenant_id, id, %(status)s, 'no', 'AuthFailed', %(now)s, %(now)s"
                " FROM erpflow.erp_sync_configs WHERE entity = %(entity)s RETURNING id",
                {"entity": what, "status": event, "now": self.now},
            )

    def look(self) -> None:
        self.now += timedelta(seconds=1)
        look_and_tell(
            self.shop.database,
            settings=SETTINGS,
            channels=lambda _tenant: [Channel(name, self._sender(name)) for name in CHANNELS],
            base_url=None,
            now=self.now,
        )

    def _sender(self, channel: str) -> Callable[[Message], None]:
        def send(message: Message) -> None:
            if channel in self.down:
                raise NotificationFailed("down")
            self.told.setdefault((channel, str(message.entity)), []).append((message.saying.value, self.now))

        return send


@settings(max_examples=8, phases=[Phase.reuse, Phase.generate])  # shrinking takes minutes against a database
@given(st.lists(st.tuples(EVENTS, LOOKS), min_size=20, max_size=25))
def test_the_laws_of_telling_hold_in_any_order_of_events(shop: Shop, events: Events) -> None:
    history = History(shop)
    for (event, what), looks in events:
        history.happen(event, what)
        if looks:
            history.look()
            everybody_who_can_be_reached_knows_how_it_stands(history)
    for told in history.told.values():
        each_occurrence_is_told_once_reminded_and_ended_once(told)


def each_occurrence_is_told_once_reminded_and_ended_once(told: list[tuple[str, datetime]]) -> None:
    assert LIFE.fullmatch("".join(f"{saying} " for saying, _ in told)), told
    for (_, before), (saying, after) in itertools.pairwise(told):
        assert saying != "reminder" or after - before >= DAY, told


def everybody_who_can_be_reached_knows_how_it_stands(history: History) -> None:
    for channel in sorted(set(CHANNELS) - history.down):
        for entity in ENTITIES:
            saying, at = history.told.get((channel, entity), [("resolved", history.now)])[-1]
            assert (saying != "resolved") == (entity in history.broken), (channel, entity, history.told)
            assert saying == "resolved" or history.now - at < DAY, (channel, entity, history.told)
