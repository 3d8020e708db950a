"""Finding and naming objects of Tally without ever putting what a person typed into a formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from erpflow.connectors.base import Page
from erpflow.connectors.tally_facts import DERIVED, with_facts
from erpflow.connectors.tally_gateway import Company, Gateway, number
from erpflow.connectors.tally_names import Kind, Names, belongs
from erpflow.connectors.tally_paging import page_of
from erpflow.connectors.tally_records import encoded_record
from erpflow.connectors.tally_requests import altered, any_guid, is_guid
from erpflow.connectors.tally_stream import Gathered
from erpflow.vocabulary import RemoteId, VendorRecord

AT_ONCE: Final = 50
"""GUIDs of one formula. Of more objects their AlterIDs are looked up first, and the range they lie in is read."""


def read_many(gateway: Gateway, kind: Kind, remote_ids: Sequence[RemoteId]) -> Page:
    """These objects as one page; what does not exist, or does not belong to the entity, is left out."""
    wanted = {remote_id.lower() for remote_id in remote_ids if is_guid(remote_id)}
    if not wanted:
        return page_of([])
    company = gateway.open()
    names = Names(gateway, company)
    return page_of(list(whole_records(gateway, company, kind, names, wanted).values()))


def whole_records(
    gateway: Gateway,
    company: Company,
    kind: Kind,
    names: Names,
    wanted: set[str],
    *,
    fetch: Sequence[str] | None = None,
) -> dict[str, bytes]:
    """Objects by their GUID (in small letters), encoded as they land."""
    members = names.members(kind)
    names.load(kind)

    def make(record: dict[str, Any]) -> tuple[str, bytes] | None:
        guid = str(record.get("GUID") or "").lower()
        if guid not in wanted or not belongs(kind, record, members):
            return None
        return guid, encoded_record(with_facts(kind, record, names))

    into = Gathered(make)
    where = any_guid(sorted(wanted)) if len(wanted) <= AT_ONCE else _range_of(gateway, company, kind, wanted)
    if where:
        gateway.rows(kind.tally, company, fetch=fetch or kind.fetch, where=where, into=into)
    return dict(into.found)


def _range_of(gateway: Gateway, company: Company, kind: Kind, wanted: set[str]) -> str:
    """A formula for the AlterIDs that these objects lie between; empty when none of them exists."""

    def make(record: dict[str, Any]) -> int | None:
        return number(record.get("ALTERID")) if str(record.get("GUID") or "").lower() in wanted else None

    counts = Gathered(make)
    gateway.rows(kind.tally, company, fetch=("GUID", "ALTERID"), where="", into=counts)
    return altered(min(counts.found), max(counts.found)) if counts.found else ""


def find_all(gateway: Gateway, kind: Kind, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
    """For each key at most two objects that hold its values. One look at all of them, whatever the number of keys.

    Values are compared here: a quotation mark in a formula could stop Tally. Names are compared without case, as Tally
    does; all else to the letter.
    """
    if not keys:
        return []
    company = gateway.open()
    names = Names(gateway, company)
    members = names.members(kind)
    names.load(kind)
    found: list[list[RemoteId]] = [[] for _ in keys]

    def make(record: dict[str, Any]) -> None:
        if not belongs(kind, record, members):
            return
        whole = with_facts(kind, record, names) if derived else record
        for place, key in enumerate(keys):
            if len(found[place]) < 2 and holds(whole, key):
                found[place].append(RemoteId(str(record.get("GUID"))))

    derived = any(path.split(".")[0] == DERIVED for key in keys for path in key)
    gateway.rows(kind.tally, company, fetch=_fetch_for(kind, keys, derived=derived), where="", into=_Fresh(make, found))
    return found


class _Fresh(Gathered[None]):
    """Compares what comes, and forgets what it found when the answer is asked for anew."""

    def __init__(self, make: Any, hits: list[list[RemoteId]]) -> None:
        super().__init__(make)
        self._hits = hits

    def begin(self) -> None:
        super().begin()
        for hits in self._hits:
            hits.clear()


def _fetch_for(kind: Kind, keys: Iterable[VendorRecord], *, derived: bool) -> Sequence[str]:
    """No more than what is compared: an answer for all objects of a company may be large."""
    fields = {path.split(".")[0] for key in keys for path in key}
    simple = {name for name in fields if not name.endswith("_LIST")}
    if derived or simple != fields:
        return kind.fetch
    return ("GUID", *((kind.by,) if kind.by else ()), *sorted(simple - {"GUID", kind.by or ""}))


def holds(record: Mapping[str, Any], key: VendorRecord) -> bool:
    """Whether a record holds every value of a key, by path."""
    return all(_same(path, _at(record, path), wanted) for path, wanted in key.items())


def _at(record: Mapping[str, Any], path: str) -> Any:
    part: Any = record
    for step in path.split("."):
        if isinstance(part, Mapping):
            part = part.get(step)
        elif isinstance(part, list) and step.isdigit() and int(step) < len(part):
            part = part[int(step)]
        else:
            return None
    return part


def _same(path: str, found: Any, wanted: Any) -> bool:
    if found is None or wanted is None:
        return found is None and wanted is None
    left, right = str(found), str(wanted).strip(" \t\r\n")
    return left.casefold() == right.casefold() if path in ("NAME", "GUID") else left == right
