"""Companies and what is kept in them: masters and vouchers, each sequence of changes counted for itself."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from sandbox.faults import FaultPlan

VOUCHER = "VOUCHER"
MASTERS = ("GROUP", "LEDGER", "VOUCHERTYPE", "STOCKGROUP", "UNIT", "GODOWN", "STOCKITEM")
KINDS = (*MASTERS, VOUCHER)
RESERVED = "\x04 "
PRIMARY = RESERVED + "Primary"
"""Tally writes U+0004 before values of its own."""

Fields = dict[str, Any]


@dataclass(slots=True)
class Thing:
    """A master or a voucher. `fields` by tag; a tag that ends in .LIST holds a list of texts or of such fields."""

    kind: str
    guid: str
    masterid: int
    alterid: int
    fields: Fields
    remote_id: str = ""

    @property
    def name(self) -> str:
        return str(self.fields.get("NAME") or "")

    @property
    def aliases(self) -> list[str]:
        return [str(text) for text in self.fields.get("NAME.LIST", [])]


@dataclass(slots=True)
class Company:
    """One set of books."""

    name: str
    guid: str
    books_from: str = "20250401"
    loaded: bool = True
    things: dict[str, dict[str, Thing]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    names: dict[tuple[str, str], str] = field(default_factory=dict)  # (kind, folded name or alias) -> guid
    altmst: int = 0
    altvch: int = 0
    last_id: int = 0

    def count_on(self, kind: str) -> int:
        """The next AlterID of the sequence a kind belongs to."""
        if kind == VOUCHER:
            self.altvch += 1
            return self.altvch
        self.altmst += 1
        return self.altmst

    def add(self, kind: str, fields: Fields, *, remote_id: str = "") -> Thing:
        self.last_id += 1
        guid = f"{self.guid}-{self.last_id:08x}"
        thing = Thing(kind, guid, self.last_id, self.count_on(kind), fields, remote_id)
        self.things[kind][guid] = thing
        self.index(thing)
        return thing

    def alter(self, thing: Thing, changes: Mapping[str, Any]) -> None:
        """Write fields of a thing; it counts as altered."""
        self.forget(thing)
        thing.fields = {**thing.fields, **deepcopy(dict(changes))}
        self.index(thing)
        thing.alterid = self.count_on(thing.kind)

    def drop(self, thing: Thing) -> None:
        """Delete: the thing just vanishes, and only the company has counted on."""
        self.forget(thing)
        del self.things[thing.kind][thing.guid]
        self.count_on(thing.kind)

    def index(self, thing: Thing) -> None:
        if thing.kind != VOUCHER:
            for name in (thing.name, *thing.aliases):
                self.names[thing.kind, name.strip().casefold()] = thing.guid

    def forget(self, thing: Thing) -> None:
        for name in (thing.name, *thing.aliases):
            self.names.pop((thing.kind, name.strip().casefold()), None)

    def named(self, kind: str, name: str) -> Thing | None:
        """A master by its name or an alias, without case."""
        guid = self.names.get((kind, name.strip().casefold()))
        return self.things[kind].get(guid) if guid else None

    def of(self, kind: str) -> Iterable[Thing]:
        return self.things[kind].values()

    def below(self, kind: str, root: str) -> set[str]:
        """A name and those below it in the tree of a kind, folded."""
        found = {root.casefold()}
        while True:
            more = {
                thing.name.casefold()
                for thing in self.of(kind)
                if str(thing.fields.get("PARENT") or "").casefold() in found
            } - found
            if not more:
                return found
            found |= more


@dataclass(slots=True)
class Switches:
    """What a person at the screen, or an old build, changes."""

    wrapped: bool = False  # answers to imports inside an ENVELOPE
    modal: bool = False  # a dialogue is open: nobody is answered until somebody clicks
    same_remote_id_alters: bool = True  # a voucher sent again with its REMOTEID is altered, and not doubled
    crash_on_missing: bool = False  # deleting what is not there ends the process
    cut_exports: int = 0  # so many answers to exports end in the middle, framed as if they were whole
    cut_imports: int = 0
    latency_s: float = 0.0


@dataclass(slots=True)
class Office:
    """The machine Tally runs on: its companies, the first open one in front."""

    companies: list[Company]
    faults: FaultPlan = field(default_factory=FaultPlan)
    switches: Switches = field(default_factory=Switches)
    expected: dict[str, dict[str, int]] = field(default_factory=dict)

    def open(self) -> Iterator[Company]:
        return (company for company in self.companies if company.loaded)

    def chosen(self, name: str | None) -> Company | None:
        """The company a request names, or the one in front; None when that one is not open."""
        if name is None or not name.strip():
            return next(self.open(), None)
        return next((one for one in self.open() if one.name.casefold() == name.strip().casefold()), None)
