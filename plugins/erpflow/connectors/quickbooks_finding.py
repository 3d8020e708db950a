"""Records by the values of their fields, and many by their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from erpflow.connectors.base import Page
from erpflow.connectors.quickbooks_company import Company, Kind
from erpflow.connectors.quickbooks_query import MOST, one_of
from erpflow.connectors.quickbooks_wire import head_of, page_bytes, record
from erpflow.connectors.quickbooks_writing import is_id
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import RemoteId, VendorRecord

_NOT_ONE: Final = 2
_AT_ONCE: Final = 100  # values of one statement; how long one may be is UNVERIFIED
_BY_ID: Final = "Id"


def read_many(company: Company, kind: Kind, remote_ids: Sequence[RemoteId]) -> Page:
    """The records of these ids that exist, as one page."""
    wanted = [remote_id for remote_id in dict.fromkeys(remote_ids) if is_id(remote_id)]
    rows: list[bytes] = []
    server_time = None
    for ids in _parts(wanted):
        answer, found = company.query(kind, [one_of(_BY_ID, ids)], order=_BY_ID, start=1, most=MOST)
        strangers = {head_of(row).Id for row in found} - set(ids)
        if strangers:
            raise ProtocolError(f"QuickBooks sent {kind.remote} {min(strangers)}, which was not asked for.")
        rows += found
        server_time = answer.server_time
    return Page(page_bytes(kind.remote, rows), len(rows), None, server_time=server_time)


def find_all(company: Company, kind: Kind, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
    """For each key the ids of at most two records; keys of the same field are looked up together.

    A query compares a text without case (UNVERIFIED), so what it brings is compared again, all fields of the key.
    Raises ConfigError for a key without a field that a query can compare.
    """
    flat = [_flat(key) for key in keys]
    chosen = [_askable(kind, key) for key in flat]
    found: list[list[RemoteId]] = [[] for _ in keys]
    for path in dict.fromkeys(chosen):
        places = [place for place, each in enumerate(chosen) if each == path]
        values = list(dict.fromkeys(str(flat[place][path]) for place in places))
        for row in _rows(company, kind, kind.finds[path], values):
            found_record, remote_id = record(row), RemoteId(head_of(row).Id)
            for place in places:
                if len(found[place]) < _NOT_ONE and _holds(found_record, flat[place]):
                    found[place].append(remote_id)
    return found


def _rows(company: Company, kind: Kind, field: str, values: Sequence[str]) -> Iterator[bytes]:
    """The records whose field has one of the values, in the order of their ids."""
    for part in _parts(values):
        start = 1
        while True:
            _, rows = company.query(kind, [one_of(field, part)], order=_BY_ID, start=start, most=MOST)
            yield from rows
            if len(rows) < MOST:
                break
            start += len(rows)


def _flat(key: VendorRecord, above: str = "") -> dict[str, Any]:
    """A key by paths: the mapping names them so, or as objects within objects."""
    flat: dict[str, Any] = {}
    for name, value in key.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat


def _askable(kind: Kind, key: Mapping[str, Any]) -> str:
    """The field of a key that the vendor is asked for; the others are compared here."""
    for path in kind.finds:
        if key.get(path) not in (None, ""):
            return path
    raise ConfigError(
        f"QuickBooks finds a {kind.remote} by {', '.join(sorted(kind.finds))}, not by {', '.join(key) or 'nothing'}. "
        "Name one of them in the mapping's match_on."
    )


def _holds(found: VendorRecord, key: Mapping[str, Any]) -> bool:
    return all(_same(_at(found, path), value) for path, value in key.items())


def _at(found: Any, path: str) -> Any:
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return found.strip().casefold() == wanted.strip().casefold()
    if isinstance(found, Decimal | int) and isinstance(wanted, Decimal | int):
        return Decimal(found) == Decimal(wanted)
    return bool(found == wanted) or (found in (None, "") and wanted in (None, ""))


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE))
