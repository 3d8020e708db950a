"""What was deleted: Zoho's list of it, by page numbers alone.

The list has no order that is promised, and a record that somebody restores goes from it while we turn its pages. So it
is read whole, again until nothing new appears, and then given out in the order of time.

Source: docs/api/v7/get-deleted-records.html. How far its pages reach is UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from erpflow.connectors.answer import Answer, excerpt
from erpflow.connectors.base import Deletion, Page, PageToken
from erpflow.connectors.zoho_crm_modules import Module
from erpflow.connectors.zoho_crm_org import API, Organisation
from erpflow.connectors.zoho_crm_wire import UNREADABLE, Info, decode, is_empty, page_bytes, to_instant
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import RemoteId, Window

_PAGE: Final = 200
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_MOST_PASSES: Final = 5


class _Row(msgspec.Struct):
    id: str
    deleted_time: str = ""


class _Rows(msgspec.Struct):
    data: list[_Row]


class _Raws(msgspec.Struct):
    data: list[msgspec.Raw]
    info: Info = msgspec.field(default_factory=Info)


class _Place(msgspec.Struct, frozen=True):
    """The last deletion that was given out."""

    at: datetime
    id: str


_ROW: Final = msgspec.json.Decoder(_Row)
_ROWS: Final = msgspec.json.Decoder(_Rows)
_RAWS: Final = msgspec.json.Decoder(_Raws)
_PLACE: Final = msgspec.json.Decoder(_Place)
_Found = dict[tuple[datetime, str], bytes]


def read_deleted(
    org: Organisation, module: Module, window: Window, *, resume: PageToken | None, limit: int
) -> Iterator[Page]:
    """The deletions of one module in a window, oldest first, without what exists by now."""
    return _pages(org, module, window, _place_of(resume), limit)


def split_deleted(entity: str, raw: bytes) -> list[Deletion]:
    """The deletions of a landed page. Raises ProtocolError when it is none."""
    try:
        rows = _ROWS.decode(raw).data
    except UNREADABLE as error:
        raise ProtocolError(
            f"The landed page of deleted {entity} is not a JSON page with a list under `data` "
            f"({type(error).__name__}). It begins: {excerpt(raw)}"
        ) from None
    return [Deletion(RemoteId(row.id), to_instant(row.deleted_time)) for row in rows]


def _pages(org: Organisation, module: Module, window: Window, place: _Place | None, limit: int) -> Iterator[Page]:
    answer, found = _gathered(org, module, window)
    after = (place.at, place.id) if place else (_EVER, "")
    left = sorted(key for key in found if key > after)
    for start in range(0, max(len(left), 1), limit):
        chosen = left[start : start + limit]
        existing = org.by_ids(module, [one for _, one in chosen], [("Modified_Time",)]) if chosen else {}
        gone = [found[key] for key in chosen if key[1] not in existing]
        more = start + limit < len(left)
        token = PageToken(msgspec.json.encode(_Place(*chosen[-1])).decode()) if more else None
        yield Page(page_bytes(gone), len(gone), token, server_time=answer.server_time)


def _gathered(org: Organisation, module: Module, window: Window) -> tuple[Answer, _Found]:
    """Every deletion of the window by its time and id; of a record that was deleted twice the last one."""
    known: dict[str, tuple[datetime, bytes]] = {}
    for _ in range(_MOST_PASSES):
        answer, rows, pages = _pass(org, module, window)
        new = [row for row in rows if row[1] not in known]
        for time, record_id, raw in rows:
            if record_id not in known or known[record_id][0] < time:
                known[record_id] = (time, raw)
        if pages == 1 or not new:
            break
    return answer, {(time, record_id): raw for record_id, (time, raw) in known.items()}


def _pass(org: Organisation, module: Module, window: Window) -> tuple[Answer, list[tuple[datetime, str, bytes]], int]:
    """The list once, from its first page to its last."""
    since = window.since - timedelta(seconds=1) if window.since else None
    headers = {"If-Modified-Since": since.isoformat(timespec="seconds")} if since else {}
    rows: list[tuple[datetime, str, bytes]] = []
    page, more = 0, True
    while more:
        page += 1
        query: dict[str, str] = {"type": "all", "page": str(page), "per_page": str(_PAGE)}
        answer = org.ask(f"{API}/{module.name}/deleted", query, headers=headers)
        found = _Raws([]) if is_empty(answer) else decode(answer, _RAWS)
        rows += [row for row in (_read(bytes(raw), answer) for raw in found.data) if _is_in(row[0], window)]
        more = found.info.more_records and bool(found.data)
    return answer, rows, page


def _read(raw: bytes, answer: Answer) -> tuple[datetime, str, bytes]:
    try:
        row = _ROW.decode(raw)
    except UNREADABLE:
        row = _Row("")
    time = to_instant(row.deleted_time)
    if not row.id or time is None:
        raise ProtocolError(f"A row of {answer.path} does not say what was deleted and when: {excerpt(raw)}")
    return time, row.id, raw


def _is_in(time: datetime, window: Window) -> bool:
    return (window.since is None or time >= window.since) and (window.until is None or time < window.until)


def _place_of(token: PageToken | None) -> _Place | None:
    if token is None:
        return None
    try:
        return _PLACE.decode(token)
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"The page token {token[:80]!r} is not one of ours ({error}). Run the sync from its start."
        ) from None
