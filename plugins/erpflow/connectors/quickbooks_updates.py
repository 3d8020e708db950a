"""What is sent of an update, from the record there is and the values that change. No request is sent from here.

QuickBooks replaces an object inside a record, and a list of lines, as a whole; so both are sent whole, with what they
hold already. A field is cleared by a full update that leaves it out: null in a sparse one is UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from erpflow.vocabulary import VendorRecord

_SET_BY_VENDOR: Final = frozenset({"Id", "SyncToken", "MetaData", "domain", "sparse", "status"})
_ITEM: Final = "SalesItemLineDetail"


def writable(values: VendorRecord) -> dict[str, Any]:
    """The values without what only the vendor sets."""
    return {name: value for name, value in values.items() if name not in _SET_BY_VENDOR}


def changed(current: VendorRecord, values: Mapping[str, Any]) -> dict[str, Any]:
    """The body of an update: the changed fields; or, when one is cleared, the whole record without it."""
    merged = {name: _merged(current.get(name), value) for name, value in values.items()}
    if not any(_clears(value) for value in values.values()):
        return {**merged, "sparse": True}
    return {name: value for name, value in {**writable(current), **merged}.items() if value not in (None, {})}


def merged_lines(current: Sequence[Any], sent: Sequence[Any]) -> list[Any]:
    """The lines of a document: each on what the line of its number holds (its id, its kind, its tax code).

    A new line with an item is an item line; a line that is not sent is gone.
    """
    known = {line.get("LineNum"): line for line in current if isinstance(line, Mapping)}
    return [_line(known.get(line.get("LineNum")), line) if isinstance(line, Mapping) else line for line in sent]


def _line(current: Mapping[str, Any] | None, sent: Mapping[str, Any]) -> Mapping[str, Any]:
    line: dict[str, Any] = dict(_merged(current or {}, sent))
    if _ITEM in line:
        line.setdefault("DetailType", _ITEM)
    return line


def _merged(current: Any, value: Any) -> Any:
    """A value on what is there: of objects the parts that are not sent stay, and those that are null go."""
    if not isinstance(value, Mapping):
        return value
    if "value" in value and value["value"] is None:  # a reference to nothing is none
        return {}
    before = current if isinstance(current, Mapping) else {}
    parts = {**before, **{key: _merged(before.get(key), part) for key, part in value.items()}}
    return {key: part for key, part in parts.items() if part not in (None, {}) or (key in before and key not in value)}


def _clears(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and any(_clears(part) for part in value.values()))
