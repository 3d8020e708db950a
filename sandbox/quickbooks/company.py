"""The state of one QuickBooks company: its records, its clock, who may ask, and the operator's switches."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.quickbooks.clock import CompanyClock, wire_time
from sandbox.quickbooks.consents import Consents
from sandbox.quickbooks.entities import ENTITIES
from sandbox.quickbooks.limits import Limits

REALM = "9130357849201746"
TITLE = "Larkspur Home & Garden"

Values = dict[str, Any]
"""A record as the vendor shows it; numbers are int or Decimal."""


@dataclass(slots=True)
class Row:
    """A record, and when it was saved last: a whole second, in UTC."""

    values: Values
    at: datetime

    @property
    def is_active(self) -> bool:
        return bool(self.values.get("Active", True))


@dataclass(slots=True)
class Switches:
    """What a test or an operator can change. `cdc_cut`: which end of too many changes the vendor leaves out."""

    unique_numbers: bool = True  # the company's preference "warn about duplicate numbers"
    cdc_most: int = 1000
    cdc_cut: str = "newest"
    query_most: int = 1000
    work_s: float = 0.0  # seconds each request takes
    per_minute: int = 500
    concurrent: int = 10
    batches_per_minute: int = 40
    consent_withdrawn: bool = False


@dataclass(slots=True)
class Company:
    """One company; everything is in memory and belongs to the event loop's thread.

    `gone`: when what was deleted was deleted. `answers`: what each `requestid` was answered with.
    """

    seed: int = 7
    clock: CompanyClock = field(default_factory=CompanyClock)
    tables: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in ENTITIES})
    gone: dict[tuple[str, str], datetime] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    limits: Limits = field(default_factory=Limits)
    consents: Consents = field(init=False)
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.consents = Consents(self.clock)
        self.dice = random.Random(self.seed)

    def next_id(self, entity: str) -> str:
        """Ids count per entity, and are never given out again."""
        self.numbers[entity] = self.numbers.get(entity, 0) + 1
        return str(self.numbers[entity])

    def find(self, entity: str, row_id: object) -> Row | None:
        return self.tables[entity].get(str(row_id))

    def matching(self, entity: str, wanted: Callable[[Values], bool]) -> Iterator[Row]:
        return (row for row in self.tables[entity].values() if wanted(row.values))

    def store(self, entity: str, values: Values, *, at: datetime | None = None) -> Row:
        """Put a record there as it is; its time and its SyncToken move on."""
        moment = at or self.clock.second()
        before = self.find(entity, values["Id"])
        created = before.values["MetaData"]["CreateTime"] if before else wire_time(moment)
        token = str(int(before.values["SyncToken"]) + 1) if before else "0"
        head = {"domain": "QBO", "sparse": False, "Id": values["Id"], "SyncToken": token}
        times = {"CreateTime": created, "LastUpdatedTime": wire_time(moment)}
        rest = {name: value for name, value in values.items() if name not in head and name != "MetaData"}
        row = Row({**rest, **head, "MetaData": times}, moment)
        self.tables[entity][values["Id"]] = row
        return row

    def drop(self, entity: str, row_id: str) -> None:
        del self.tables[entity][row_id]
        self.gone[entity, row_id] = self.clock.second()
