"""A vendor who does, while it is read, everything that loses records; and what it holds in the end.

Its time is simulated: it passes with every page and every run. What a run may see of it is what a request sees: rows
that are committed by then, with the times that were written when their transactions began.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from erpflow.connectors.base import (
    CheckResult,
    Connector,
    ConnectorSpec,
    Deletion,
    EntitySpec,
    Page,
    PageToken,
    RawRecord,
)
from erpflow.connectors.erpnext_paging import (
    Bounds,
    Filter,
    Head,
    Position,
    bounds_of,
    filters_of,
    pages,
    position_of,
    step,
    to_instant,
)
from erpflow.errors import VendorUnavailable
from erpflow.vocabulary import RemoteId, VendorRecord, Window
from tests.engine import ShopConnector

PAGE = 5
GARBAGE = {"past": "1970-01-01 00:00:00.000000", "future": "9999-12-31 23:59:59.000000"}
LATEST_COMMIT = timedelta(minutes=4)
"""How long a transaction may take at most; the overlap of a config (five minutes) is longer."""


@dataclass
class HostileVendor:
    """Rows with a name and the local time they were written at, and everything that happens to them.

    `zone` is that of its naive times. `coarse`: its times have no fraction, so that many rows share one. `repeats`:
    pages hold rows of other pages again. `heeds_until`: it knows the upper end of a window. `lists_what_exists_again`:
    its list of deletes holds what was made again since; only where no hour runs twice can the dates tell.
    """

    dice: Random
    now: datetime
    zone: ZoneInfo
    coarse: bool
    repeats: bool
    heeds_until: bool
    lists_what_exists_again: bool
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    late: list[tuple[datetime, str, dict[str, Any]]] = field(default_factory=list)
    deleted: list[tuple[str, datetime]] = field(default_factory=list)
    names: int = 0
    ids: int = 0
    is_quiet: bool = False

    # -- time ------------------------------------------------------------------------------------------------------

    def stamp(self) -> str:
        """The time as a row gets it: local, naive."""
        local = self.now.astimezone(self.zone).replace(tzinfo=None)
        return local.isoformat(sep=" ", timespec="microseconds")

    def pass_time(self, longest: timedelta) -> None:
        """Let some time pass, to the full second for a vendor with coarse times; transactions are committed in it."""
        self.now += longest * self.dice.random()
        if self.coarse:
            self.now = self.now.replace(microsecond=0)
        for entry in [entry for entry in self.late if entry[0] <= self.now]:
            self.late.remove(entry)
            self.rows[entry[1]] = entry[2]

    # -- people ----------------------------------------------------------------------------------------------------

    def happen(self, times: int) -> None:
        """Several things happen, some of them at the same moment."""
        for _ in range(times if not self.is_quiet else 0):
            deed: Callable[[], None] = self.dice.choice(
                [
                    self.insert,
                    self.insert,
                    self.update,
                    self.update,
                    self.update,
                    self.burst,
                    self.misdate,
                    self.delete,
                    self.make_again,
                ]
            )
            deed()
            if self.dice.random() < 0.5:
                self.pass_time(timedelta(seconds=20))

    def write(self, key: str) -> None:
        """Write a row; half of the transactions take a while, and their rows carry the time they began."""
        self.names += 1
        row = {"name": key, "modified": self.stamp(), "title": f"title {self.names}"}
        if any(key == entry[1] for entry in self.late):
            return  # somebody else's transaction holds it
        if self.dice.random() < 0.3:
            self.late.append((self.now + LATEST_COMMIT * self.dice.random(), key, row))
        else:
            self.rows[key] = row

    def insert(self) -> None:
        """A new row; ids follow no order."""
        self.ids += 1
        self.write(f"{self.dice.randrange(16**6):06x}-{self.ids}")

    def update(self) -> None:
        """A row moves to the end of the order, and every row behind it slides one place forward."""
        if self.rows:
            self.write(self.dice.choice(sorted(self.rows)))

    def burst(self) -> None:
        """A script touches many rows at one moment: more than a page of them share a time."""
        for key in self.dice.sample(sorted(self.rows), min(len(self.rows), self.dice.randrange(2, 3 * PAGE))):
            self.write(key)

    def misdate(self, when: str = "future") -> None:
        """A script writes a row with a date that is none. Whoever saves that row later dates it right again.

        Not a row that was made again: nothing would tell it from the one that was deleted.
        """
        free = sorted(set(self.rows) - {entry[1] for entry in self.late} - {key for key, _ in self.deleted})
        if free:
            self.names += 1
            key = self.dice.choice(free)
            self.rows[key] = {"name": key, "modified": GARBAGE[when], "title": f"title {self.names}"}

    def delete(self) -> None:
        """A row goes, and what is behind it slides forward too."""
        free = sorted(set(self.rows) - {entry[1] for entry in self.late})
        if free:
            key = self.dice.choice(free)
            del self.rows[key]
            self.deleted.append((key, self.now))

    def make_again(self) -> None:
        """A row that was deleted comes back under its old id, a moment later."""
        gone = [key for key, _ in self.deleted if key not in self.rows]
        if gone:
            self.now += timedelta(seconds=1)
            self.write(self.dice.choice(gone))

    def quieten(self) -> None:
        """Everybody goes home; what is under way is committed."""
        self.is_quiet = True
        while self.late:
            self.pass_time(timedelta(minutes=2))

    def titles(self) -> dict[str, str]:
        """What is there in the end."""
        return {key: row["title"] for key, row in self.rows.items()}


def _spec(*, ordered: bool) -> ConnectorSpec:
    entity = EntitySpec("customers", "name", "modified", page_size=PAGE, ordered=ordered, deleted_feed=True)
    return ConnectorSpec(system="shop", title="Hostile shop", auth=("none",), entities={"customer": entity})


class HostileConnector(Connector):
    """What reading in either way has in common. `dies_after`: pages before the worker is gone (None: it lives)."""

    def __init__(self, vendor: HostileVendor, *, dies_after: int | None = None) -> None:
        self.vendor = vendor
        self._lives = dies_after
        self.longest_token = 0

    def check(self) -> CheckResult:
        return CheckResult(success=True, message="ok")

    def read_one(self, entity: str, remote_id: RemoteId) -> VendorRecord | None:
        return self.vendor.rows.get(remote_id)

    @classmethod
    def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
        return ShopConnector.split(entity, raw)

    @classmethod
    def instant(cls, text: str, *, zone: str) -> datetime | None:
        return to_instant(text, zone=zone)

    def read_deleted(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        """By local time. Without what exists again, as ERPNext does it; others leave that to who reads their dates."""
        bounds = bounds_of(window, zone=self.vendor.zone)
        found = [
            {"id": key, "at": at.astimezone(self.vendor.zone).replace(tzinfo=None).isoformat(sep=" ")}
            for key, at in self.vendor.deleted
            if self._is_within(at, bounds) and (key not in self.vendor.rows or self.vendor.lists_what_exists_again)
        ]
        yield self._page(found, next=None)

    @classmethod
    def split_deleted(cls, entity: str, raw: bytes, *, zone: str) -> list[Deletion]:
        rows = json.loads(raw)["data"]
        return [Deletion(RemoteId(row["id"]), to_instant(row["at"], zone=zone, fold=1)) for row in rows]

    def _is_within(self, at: datetime, bounds: Bounds) -> bool:
        local = at.astimezone(self.vendor.zone).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
        return (bounds.lower is None or local >= bounds.lower) and (bounds.upper is None or local < bounds.upper)

    def _page(self, rows: list[dict[str, Any]], *, next: PageToken | None) -> Page:
        raw = json.dumps({"data": rows}).encode()
        self.longest_token = max(self.longest_token, len(next or ""))
        return Page(raw, len(rows), next, zone=str(self.vendor.zone), server_time=self.vendor.now)

    def _meanwhile(self) -> None:
        """What happens between two requests."""
        if self._lives is not None:
            self._lives -= 1
            if self._lives < 0:
                raise VendorUnavailable("The worker is gone.")
        self.vendor.happen(self.vendor.dice.randrange(4))
        self.vendor.pass_time(timedelta(seconds=120))


class OrderedConnector(HostileConnector):
    """Reads in order of (modified, name), by the paging of the ERPNext connector."""

    spec: ClassVar[ConnectorSpec] = _spec(ordered=True)

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        bounds = bounds_of(window, zone=self.vendor.zone)

        def fetch(position: Position) -> tuple[Page, Position | None]:
            self._meanwhile()
            rows = self._listed(filters_of(position, bounds))
            taken = step(position, [Head(row["name"], row["modified"]) for row in rows], bounds=bounds, limit=PAGE)
            fresh = rows if taken.fresh is None else [rows[place] for place in taken.fresh]
            return self._page(fresh, next=taken.next.token() if taken.next else None), taken.next

        return pages(fetch, position_of(resume))

    def _listed(self, filters: list[Filter]) -> list[dict[str, Any]]:
        found = [row for row in self.vendor.rows.values() if all(_fits(row, one) for one in filters)]
        return sorted(found, key=lambda row: (row["modified"], row["name"]))[:PAGE]


class UnorderedConnector(HostileConnector):
    """Reads by offset, in an order that has nothing to do with time.

    A delete in front of a page moves the next ones: each request begins a few rows back, at one that was read already,
    and further back while there is none. So pages repeat rows.
    """

    spec: ClassVar[ConnectorSpec] = _spec(ordered=False)

    def read(self, entity: str, window: Window, *, resume: PageToken | None = None) -> Iterator[Page]:
        bounds = bounds_of(window, zone=self.vendor.zone)
        offset, last = json.loads(resume) if resume else (0, "")
        while True:
            self._meanwhile()
            listed = self._listed(bounds)
            while offset and (offset > len(listed) or listed[offset - 1]["name"] > last):
                offset = max(0, offset - 2)
            start = max(0, offset - (self.vendor.dice.randrange(3) if self.vendor.repeats else 0))
            rows = listed[start : start + PAGE]
            if start + PAGE >= len(listed):
                yield self._page(rows, next=None)
                return
            offset, last = start + PAGE, rows[-1]["name"]
            yield self._page(rows, next=PageToken(json.dumps([offset, last])))

    def _listed(self, bounds: Bounds) -> list[dict[str, Any]]:
        upper = bounds.upper if self.vendor.heeds_until else None
        rows = self.vendor.rows.values()
        found = [row for row in rows if bounds.lower is None or row["modified"] >= bounds.lower]
        return sorted((row for row in found if upper is None or row["modified"] < upper), key=lambda row: row["name"])


def _fits(row: dict[str, Any], one: Filter) -> bool:
    """Whether a row is within a filter as Frappe's lists take it."""
    name, operator, value = one
    compared = {
        ">": lambda: row[name] > value,
        ">=": lambda: row[name] >= value,
        "<": lambda: row[name] < value,
        "=": lambda: row[name] == value,
        "is": lambda: False,
    }
    return bool(compared[operator]())


def hostile(seed: int) -> HostileVendor:
    """A vendor by its seed: its clock, its zone and its manners."""
    dice = Random(seed)
    now = datetime.now(UTC)
    zone, begins = dice.choice(
        [
            ("Europe/Ljubljana", datetime(2025, 10, 26, 0, 20, tzinfo=UTC)),  # an hour runs twice: 0:00Z to 2:00Z
            ("America/New_York", datetime(2025, 11, 2, 5, 20, tzinfo=UTC)),  # here too: 5:00Z to 7:00Z
            ("Europe/Ljubljana", datetime(2025, 3, 30, 0, 30, tzinfo=UTC)),  # an hour is left out
            ("Asia/Kolkata", now - timedelta(hours=2)),
            ("UTC", now + timedelta(minutes=20) * dice.random()),  # its clock is ahead of ours
        ]
    )
    return HostileVendor(
        dice=dice,
        now=begins,
        zone=ZoneInfo(zone),
        coarse=dice.random() < 0.7,
        repeats=dice.random() < 0.5,
        heeds_until=dice.random() < 0.7,
        lists_what_exists_again=zone in ("UTC", "Asia/Kolkata") and dice.random() < 0.7,
    )
