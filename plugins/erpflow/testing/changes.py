"""Writing through a connector, for tests: changes, their results, and what the vendor has afterwards."""

# ruff: noqa: S101  (a test shall fail here)

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from typing import Any

from erpflow.connectors.base import Change, Connector, Outcome, SupportsWrites, WriteResult
from erpflow.errors import AuthFailed, PermissionDenied, ProtocolError, RateLimited, VendorUnavailable
from erpflow.testing.reading import at_path, records_of
from erpflow.testing.vendor import WritableVendor
from erpflow.vocabulary import Operation, RemoteId, VendorRecord

NOTHING_DONE = (AuthFailed, PermissionDenied, RateLimited, VendorUnavailable, ProtocolError)
"""What `write` may raise: only when no change of the call can have been done."""


def creation(values: VendorRecord) -> Change:
    return Change(Operation.CREATE, uuid.uuid4().hex, None, values)


def update(remote_id: RemoteId, values: VendorRecord, *, version: str | None = None) -> Change:
    return Change(Operation.UPDATE, uuid.uuid4().hex, remote_id, values, version)


def deletion(remote_id: RemoteId, *, version: str | None = None) -> Change:
    return Change(Operation.DELETE, uuid.uuid4().hex, remote_id, {}, version)


def writer(connector: Connector) -> SupportsWrites:
    assert isinstance(connector, SupportsWrites), f"{type(connector).__name__} does not have write, find and read_many"
    return connector


def write(connector: Connector, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
    """Writes in as many calls as the data sheet asks for, and checks what holds of every result."""
    return [result for call in _calls(connector, entity, changes) for result in _written(connector, entity, call)]


def write_or_nothing(connector: Connector, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
    """Writes; an error says that nothing of a call was done, which is a result too."""
    results: list[WriteResult] = []
    for call in _calls(connector, entity, changes):
        try:
            results += _written(connector, entity, call)
        except NOTHING_DONE:
            results += [WriteResult(Outcome.NOT_SENT) for _ in call]
    return results


def write_all(connector: Connector, entity: str, changes: Sequence[Change]) -> list[RemoteId]:
    """Writes what must succeed; the ids."""
    results = write(connector, entity, changes)
    assert [result.outcome for result in results] == [Outcome.DONE] * len(changes), results
    return [found for result in results if (found := result.remote_id) is not None]


def read_back(connector: Connector, entity: str, remote_ids: Sequence[RemoteId]) -> dict[RemoteId, dict[str, Any]]:
    """The records as the connector reads them by their ids."""
    key = connector.spec.entities[entity].key
    page = writer(connector).read_many(entity, remote_ids)
    records = records_of(connector, entity, page)
    assert page.count == len(records) and page.next is None
    return {RemoteId(str(record[key])): record for record in records}


def version_of(connector: Connector, entity: str, remote_id: RemoteId) -> str:
    """The vendor's `modified` of a record, as the vendor writes it."""
    modified = connector.spec.entities[entity].modified
    assert modified is not None
    return str(at_path(read_back(connector, entity, [remote_id])[remote_id], modified))


def differences(found: Any, sent: Any, path: str = "") -> list[str]:
    """Where a record differs from the values that were sent; what else it holds does not count."""
    if isinstance(sent, Mapping):
        if not isinstance(found, Mapping):
            return [f"{path}: {found!r}, sent {sent!r}"]
        return [line for key, value in sent.items() for line in differences(found.get(key), value, f"{path}.{key}")]
    if isinstance(sent, list):
        if not isinstance(found, list) or len(found) != len(sent):
            return [f"{path}: {found!r}, sent {sent!r}"]
        pairs = enumerate(zip(found, sent, strict=True))
        return [line for place, (left, right) in pairs for line in differences(left, right, f"{path}[{place}]")]
    return [] if _same(found, sent) else [f"{path}: {found!r}, sent {sent!r}"]


def shaped(found: Any, like: Any) -> Any:
    """What a record holds of the fields of another one, and its lines of those of the other's first line."""
    if isinstance(like, Mapping) and isinstance(found, Mapping):
        return {key: shaped(found.get(key), value) for key, value in like.items()}
    if isinstance(like, list) and like and isinstance(found, list):
        return [shaped(line, like[0]) for line in found]
    return found


def with_value(values: VendorRecord, path: Sequence[str | int], value: Any) -> dict[str, Any]:
    """The values with another one at a path that exists."""
    copy = deepcopy(dict(values))
    *above, last = path
    part: Any = copy
    for step in above:
        part = part[step]
    part[last] = value
    return copy


def at(record: Any, path: Sequence[str | int]) -> Any:
    """What is at a path; None when there is nothing."""
    for step in path:
        try:
            record = record[step]
        except (KeyError, IndexError, TypeError):
            return None
    return record


def newcomers(vendor: WritableVendor, entity: str) -> Callable[[VendorRecord], list[RemoteId]]:
    """From now on: the new records that have the key of these values."""
    before, key = set(vendor.modified(entity)), vendor.fields(entity).key

    def found(values: VendorRecord) -> list[RemoteId]:
        new = sorted(set(vendor.modified(entity)) - before)
        return [name for name in new if (vendor.stored(entity, name) or {}).get(key) == values[key]]

    return found


def decoded(record: bytes) -> dict[str, Any]:
    """A record in the form of a `split` page."""
    found: dict[str, Any] = json.loads(record, parse_float=Decimal)
    return found


def _calls(connector: Connector, entity: str, changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    size = connector.spec.entities[entity].bulk_size if entity in connector.spec.entities else len(changes)
    for start in range(0, len(changes), size):
        yield changes[start : start + size]


def _written(connector: Connector, entity: str, changes: Sequence[Change]) -> list[WriteResult]:
    results = writer(connector).write(entity, changes)
    assert len(results) == len(changes), "one result for each change"
    for change, result in zip(changes, results, strict=True):
        if result.outcome is Outcome.DONE:
            assert result.remote_id, "what was done has an id"
            assert change.remote_id in (None, result.remote_id), "the results are in the order of the changes"
        if result.outcome is Outcome.REJECTED:
            assert result.problems and all(problem.message for problem in result.problems), "a refusal has its reasons"
    return results


def _same(found: Any, sent: Any) -> bool:
    if isinstance(sent, bool) or isinstance(found, bool):
        return bool(found) == bool(sent) and found is not None
    if isinstance(sent, Decimal | int) and isinstance(found, Decimal | int | float):
        return Decimal(str(found)) == Decimal(sent)
    return bool(found == sent)
