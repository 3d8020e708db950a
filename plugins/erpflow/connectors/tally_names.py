"""Which objects of Tally make up an entity, and what stands behind the names they refer to each other by.

Tally's objects name each other by their names, which change; their GUIDs do not. Groups, ledgers, items and types of
vouchers of a company are few, so their names are read whole, once for every read that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from erpflow.connectors.tally_gateway import Company, Gateway
from erpflow.connectors.tally_stream import Gathered

DUTIES: Final = "Duties & Taxes"


@dataclass(frozen=True, slots=True)
class Kind:
    """An entity at Tally: the type of its objects, what is fetched of them, and which of them belong to it.

    Those belong whose field `by` names `root`, or what is below it in the tree of the objects `tree`. `number_of` is
    the field that a person knows an object by. `fetch`: everything a record holds; one dotted step, and no deeper.
    """

    tally: str
    fetch: Sequence[str]
    by: str | None = None
    tree: str | None = None
    root: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_voucher(self) -> bool:
        return self.tally == "Voucher"


@dataclass(frozen=True, slots=True)
class Master:
    """A named object: where it is in its tree, and its GUID."""

    name: str
    parent: str
    guid: str


class Names:
    """The names of one company, each list read when it is first asked for."""

    def __init__(self, gateway: Gateway, company: Company) -> None:
        self._gateway = gateway
        self._company = company
        self._below: dict[tuple[str, str], frozenset[str]] = {}

    def load(self, kind: Kind) -> None:
        """Read what records of a kind refer to, before an answer with them is under way: Tally serves one at a time."""
        if kind.is_voucher:
            _ = self.ledgers, self.items, self.taxes

    def below(self, tree: str, root: str) -> frozenset[str]:
        """The root and every name below it, folded: Tally compares names without case."""
        if (tree, root) not in self._below:
            self._below[tree, root] = below(self._groups if tree == "Group" else self._voucher_types, root)
        return self._below[tree, root]

    @cached_property
    def _groups(self) -> list[Master]:
        return self._masters("Group")

    @cached_property
    def _voucher_types(self) -> list[Master]:
        return self._masters("VoucherType")

    @cached_property
    def ledgers(self) -> dict[str, Master]:
        """Every ledger by its folded name."""
        return {master.name.casefold(): master for master in self._masters("Ledger")}

    @cached_property
    def items(self) -> dict[str, Master]:
        """Every stock item by its folded name."""
        return {master.name.casefold(): master for master in self._masters("StockItem")}

    @cached_property
    def taxes(self) -> frozenset[str]:
        """The groups of ledgers that hold taxes, folded."""
        return self.below("Group", DUTIES)

    def guid_of_ledger(self, name: str) -> str | None:
        """The GUID of a ledger; None when there is no such."""
        found = self.ledgers.get(name.casefold())
        return found.guid if found else None

    def guid_of_item(self, name: str) -> str | None:
        """The GUID of a stock item; None when there is no such."""
        found = self.items.get(name.casefold())
        return found.guid if found else None

    def is_tax(self, ledger: str) -> bool:
        """Whether a ledger holds a tax."""
        found = self.ledgers.get(ledger.casefold())
        return found is not None and found.parent.casefold() in self.taxes

    def members(self, kind: Kind) -> frozenset[str] | None:
        """The folded names that `kind.by` must hold one of; None when every object of the type belongs to it."""
        return self.below(kind.tree, kind.root) if kind.tree and kind.root else None

    def spelled(self, kind: Kind) -> list[str]:
        """The same names as Tally writes them, for a formula."""
        members = self.members(kind)
        if members is None or kind.root is None:
            return []
        tree = self._groups if kind.tree == "Group" else self._voucher_types
        return sorted({master.name for master in tree if master.name.casefold() in members} | {kind.root})

    def _masters(self, kind: str) -> list[Master]:
        into = Gathered(_master)
        self._gateway.rows(kind, self._company, fetch=("NAME", "PARENT", "GUID"), where="", into=into)
        return into.found


def below(tree: Iterable[Master], root: str) -> frozenset[str]:
    """A name and all those below it, folded."""
    children: dict[str, list[str]] = {}
    for master in tree:
        children.setdefault(master.parent.casefold(), []).append(master.name.casefold())
    found: set[str] = set()
    pending = [root.casefold()]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += children.get(name, [])
    return frozenset(found)


def belongs(kind: Kind, record: Mapping[str, Any], members: frozenset[str] | None) -> bool:
    """Whether an object is one of the entity."""
    return members is None or kind.by is None or str(record.get(kind.by) or "").casefold() in members


def _master(record: dict[str, Any]) -> Master | None:
    name = record.get("NAME")
    return Master(str(name), str(record.get("PARENT") or ""), str(record.get("GUID") or "")) if name else None
