"""The state of a storefront: its products with their stock and prices, its orders, its keys, and what it remembers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

TICK = timedelta(microseconds=1)
REMEMBERED = timedelta(hours=24)
MINUTE = timedelta(minutes=1)
ID_PREFIXES = {"products": "vkp", "inventory": "vki", "pricing": "vkr"}

Values = Mapping[str, Any]


def real_time() -> datetime:
    return datetime.now(UTC)


class Clock:
    """The store's time in UTC: never the same twice, never backwards."""

    def __init__(self, now: Callable[[], datetime] = real_time) -> None:
        self._now = now
        self._last = datetime.min.replace(tzinfo=UTC)

    def follow(self, now: Callable[[], datetime]) -> None:
        """Take the time from another clock from now on."""
        self._now = now

    def now(self) -> datetime:
        """The time, without moving the clock."""
        return max(self._now(), self._last)

    def stamp(self) -> datetime:
        """The next time of a change."""
        self._last = max(self._now(), self._last + TICK)
        return self._last


@dataclass(slots=True)
class Row:
    """A product, its stock or its prices. `said_at`: the time its sender gave it (`updated_at`, `as_of`)."""

    id: str
    values: dict[str, Any]
    updated_at: datetime
    said_at: datetime | None = None


class Table:
    """Rows by SKU, compared exactly, and in the order of their last change."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._rows: dict[str, Row] = {}
        self._made = 1000

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, sku: str) -> Row | None:
        return self._rows.get(sku)

    def put(self, sku: str, values: Values, *, said_at: datetime | None = None) -> str:
        """Make the row or replace what it holds; `created`, `updated` or `unchanged`. A change moves its time."""
        row = self._rows.get(sku)
        if row is None:
            self._made += 1
            name = f"{ID_PREFIXES[self.name]}_{self._made}"
            self._rows[sku] = Row(name, dict(values), self._clock.stamp(), said_at)
            return "created"
        row.said_at = said_at or row.said_at
        if row.values == dict(values):
            return "unchanged"
        row.values, row.updated_at = dict(values), self._clock.stamp()
        return "updated"

    def touch(self, sku: str, at: datetime) -> None:
        """Move the time of a row."""
        self._rows[sku].updated_at = at

    def drop(self, sku: str) -> None:
        self._rows.pop(sku, None)

    def in_order(self) -> Iterator[tuple[datetime, str, Row]]:
        """Every row by the time of its last change, then by its SKU."""
        yield from sorted(((row.updated_at, sku, row) for sku, row in self._rows.items()), key=lambda each: each[:2])


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of this store. `refusal`: why the store turns its holder away, if it does."""

    secret: str
    refusal: str | None = None


def default_keys() -> dict[str, ApiKey]:
    """The keys of the sandbox, by their secret."""
    keys = (
        ApiKey("sandbox-veekaart-key"),
        ApiKey("sandbox-veekaart-disabled-key", "The API key is disabled"),
        ApiKey("sandbox-veekaart-other-key", "The API key belongs to another store"),
    )
    return {key.secret: key for key in keys}


@dataclass(slots=True)
class Switches:
    """What an operator may turn: requests a minute (None: any), seconds a post takes, most rows and bytes of one."""

    requests_per_minute: int | None = 120
    work_s: float = 0.0
    max_batch: int = 500
    largest_body: int = 2 * 1024 * 1024


@dataclass(slots=True)
class Kept:
    """What was answered to an Idempotency-Key; `answer` is None while the first request is still at work."""

    body: bytes
    at: datetime
    answer: tuple[int, bytes] | None = None


@dataclass
class Store:
    """One storefront."""

    seed: int = 7
    store_id: str = "vk_001"
    title: str = "Demo Store"
    now: Callable[[], datetime] = real_time
    keys: dict[str, ApiKey] = field(default_factory=default_keys)
    switches: Switches = field(default_factory=Switches)
    orders: list[dict[str, Any]] = field(default_factory=list)
    kept: dict[tuple[str, str], Kept] = field(default_factory=dict)
    window: tuple[datetime, int] | None = None  # when the minute began, and how many requests it has seen
    answered: int = 0

    def __post_init__(self) -> None:
        self.clock = Clock(self.now)
        self.tables = {name: Table(name, self.clock) for name in ID_PREFIXES}

    def next_request(self) -> str:
        """The name of a request whose sender gave it none."""
        self.answered += 1
        return f"r-{self.answered}"

    def seconds_to_wait(self) -> int:
        """0 for a request that may pass (and counts); otherwise the seconds until the minute is over."""
        limit, now = self.switches.requests_per_minute, self.clock.now()
        if limit is None:
            return 0
        began, seen = self.window or (now, 0)
        if now - began >= MINUTE:
            began, seen = now, 0
        if seen >= limit:
            return max(1, -int((now - began - MINUTE).total_seconds() // 1))
        self.window = (began, seen + 1)
        return 0

    def remembered(self, secret: str, key: str) -> Kept | None:
        """What this holder's Idempotency-Key stands for; it is forgotten after a day."""
        kept = self.kept.get((secret, key))
        if kept is not None and self.clock.now() - kept.at >= REMEMBERED:
            del self.kept[(secret, key)]
            return None
        return kept
