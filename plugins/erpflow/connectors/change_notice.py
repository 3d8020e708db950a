"""What a vendor's webhook tells, and the body it comes in: read with care, for anybody can send one.

Only that a record changed is taken from it, never how: the record is read again at the vendor before it is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from erpflow.errors import PayloadInvalid

DEEPEST: Final = 64
"""Levels of a body; what vendors send has ten at most."""


@dataclass(frozen=True, slots=True)
class ChangeNotice:
    """One change that a vendor tells of.

    `remote` is the vendor's name of the entity, `event_type` the vendor's own word, `at` UTC where it says when. `key`
    is the same whenever the same event comes again; None where nothing tells it from a later one in the same words.
    `account`: which of the vendor's accounts or channels it is about. `part`: its own part of a body that tells of
    several. `problem`: why nothing can be done with it.
    """

    remote: str | None = None
    remote_id: str | None = None
    event_type: str | None = None
    at: datetime | None = None
    key: str | None = None
    account: str | None = None
    part: bytes | None = None
    problem: str | None = None


def json_of(body: bytes) -> Any:
    """A body as JSON, integers of any length kept. Raises PayloadInvalid for what is none, or goes too deep."""
    try:
        found = json.loads(body.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise PayloadInvalid(f"The body is not UTF-8 (at byte {error.start}). Send JSON in UTF-8.") from None
    except RecursionError:
        raise PayloadInvalid(_TOO_DEEP) from None
    except ValueError as error:
        # Of the error only the place: it may quote a number of many thousand digits.
        at = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise PayloadInvalid(f"The body is not JSON{at}. Send a JSON object.") from None
    level, depth = [found] if isinstance(found, dict | list) else [], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise PayloadInvalid(_TOO_DEEP)
        level = [each for part in level for each in _inside(part) if isinstance(each, dict | list)]
    return found


def object_of(body: bytes) -> dict[str, Any]:
    """A body as a JSON object. Raises PayloadInvalid as `json_of` does, and for anything else than an object."""
    found = json_of(body)
    if not isinstance(found, dict):
        raise PayloadInvalid(f"The body is a JSON {_NAMES.get(type(found), 'value')}, not an object.")
    return found


def text_of(value: object) -> str | None:
    """A text or a whole number as a text; None for everything else, and for nothing."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**100 else None


def mapping_of(value: object) -> Mapping[str, Any]:
    """An object; an empty one where there is none."""
    return value if isinstance(value, dict) else {}


def rows_of(value: object) -> list[Any]:
    """A list; one of its only member where a vendor leaves the brackets out, an empty one for nothing."""
    return value if isinstance(value, list) else [] if value is None else [value]


def instant_of(number: object, *, per_second: int = 1) -> datetime | None:
    """Seconds since 1970 (or parts of one) as aware UTC; None when they are no believable time."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 1e11 * per_second:
        return None
    return datetime.fromtimestamp(number / per_second, UTC)


def part_of(value: object) -> bytes:
    """A part of a body on its own."""
    return json.dumps(value, separators=(",", ":")).encode()


_TOO_DEEP: Final = f"The body is nested deeper than {DEEPEST} levels."
_NAMES: Final = {list: "list", str: "text", int: "number", float: "number", bool: "truth value", type(None): "null"}


def _inside(part: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return part.values() if isinstance(part, dict) else part


def _no_number(_word: str) -> NoReturn:
    raise ValueError
