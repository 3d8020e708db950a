"""How Metakocka writes things: lists of one, numbers, dates, and our own values the way back.

Source: metakocka/metakocka_api_base, docs/*.md (examples); "numSl" of matejmohar/metakocka-mcp for payments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from erpflow.connectors.answer import excerpt
from erpflow.errors import ProtocolError

ZONE: Final = "Europe/Ljubljana"
"""Metakocka is a Slovene system; its times carry the offset of this zone."""

Members = dict[str, msgspec.Raw]

UNREADABLE: Final = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_MEMBERS: Final = msgspec.json.Decoder(Members)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str | int | None)
_PLAIN = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_ISO_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:?[0-9]{2})?")
_DAY_LENGTH: Final = len("2015-05-07")
_LOCAL_DATE = re.compile(r"([0-9]{1,2})\. ?([0-9]{1,2})\. ?([0-9]{4})")
encode: Final = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


def members_of(body: bytes, *, what: str) -> Members:
    """The members of a JSON object, undecoded. `what` names it. Raises ProtocolError for anything else."""
    try:
        return _MEMBERS.decode(body)
    except UNREADABLE as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise ProtocolError(f"{what} is not a JSON object ({reason}). It begins: {excerpt(body)}") from None


def rows_of(members: Members, name: str) -> list[bytes]:
    """A list of objects, undecoded: a list of one comes as the bare object, an empty one not at all, or as ""."""
    raw = bytes(members.get(name, b"")).strip()
    if raw.startswith(b"["):
        return [bytes(row) for row in _RAWS.decode(raw)]
    return [raw] if raw.startswith(b"{") else []


def text_of(members: Members, name: str) -> str:
    """A scalar as text; empty where there is none."""
    try:
        found = _TEXT.decode(members.get(name, msgspec.Raw(b"null")))
    except UNREADABLE:
        return ""
    return "" if found is None else str(found)


def whole_number(members: Members, name: str) -> int | None:
    """A count, an offset or a limit; None where there is none."""
    text = text_of(members, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def as_list(value: Any) -> list[Any]:
    """A list, however long it is at the vendor."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list) else [value]


def to_number(value: Any, *, dots_group: bool = False) -> Any:
    """A number out of text in either notation; what is none stays as it is.

    With both separators the last one is the decimal mark; a comma alone always is. A dot alone is one too, except where
    `dots_group`: payments are written in Slovene, and `1.895` is eighteen hundred.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, str):
        return value
    text = "".join(value.split())
    if dots_group or text.rfind(",") > text.rfind("."):
        text = text.replace(".", "").replace(",", ".")
    else:
        text = text.replace(",", "")
    return Decimal(text) if _PLAIN.fullmatch(text) else value


def to_date(value: Any) -> Any:
    """The day of `2015-05-07+02:00` or `07.05.2015` as `2015-05-07`; what is no day stays as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    iso, local = _ISO_DATE.fullmatch(text), _LOCAL_DATE.fullmatch(text)
    try:
        if iso is not None:
            return date.fromisoformat(iso[1]).isoformat()
        if local is not None:
            return date(int(local[3]), int(local[2]), int(local[1])).isoformat()
    except ValueError:
        pass
    return value


def to_instant(text: str, *, zone: str) -> datetime | None:
    """A time as aware UTC; without an offset it is in `zone`, a bare day its first moment. None when it is no time."""
    day = to_date(text)
    try:
        at = datetime.fromisoformat(day if isinstance(day, str) and len(day) == _DAY_LENGTH else text)
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# -- the way back ----------------------------------------------------------------------------------------------------


def wire_date(value: Any) -> Any:
    """A day as Metakocka takes it: with the offset that its zone has on that day. What is no bare day stays."""
    day = to_date(value)
    if not isinstance(day, str) or len(day) != _DAY_LENGTH or (day != value and _ISO_DATE.fullmatch(str(value))):
        return value
    try:
        return f"{day}{_offset_on(day)}"
    except ValueError:
        return value


def wire_time(instant: datetime) -> str:
    """A moment as a filter takes it: whole seconds, with an offset."""
    return instant.astimezone(ZoneInfo(ZONE)).replace(microsecond=0).isoformat()


def wire_value(value: Any) -> Any:
    """A value as a request carries it: numbers and truth values as text, in objects and lists too."""
    if isinstance(value, Mapping):
        return {name: wire_value(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [wire_value(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, int) else value


@lru_cache(maxsize=1024)
def _offset_on(day: str) -> str:
    noon = datetime.combine(date.fromisoformat(day), time(12), ZoneInfo(ZONE))
    minutes = int((noon.utcoffset() or timedelta()).total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
