"""Partners. Metakocka lists them nowhere: they are met on sales documents, and then asked for one by one.

Source: metakocka/metakocka_api_base, docs/get_partner.md (no paging, a criterion is needed); that nobody found is
answered with opr_code 2: matejmohar/metakocka-mcp, src/write/document.ts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any, Final

import msgspec

from erpflow.connectors.base import Page, PageToken, RawRecord
from erpflow.connectors.metakocka_company import Company
from erpflow.connectors.metakocka_documents import TYPES, Changes, Searched, holds, searched
from erpflow.connectors.metakocka_errors import BAD_PARAMETER, Refused
from erpflow.connectors.metakocka_records import Record, contact_of, split_rows
from erpflow.connectors.metakocka_wire import UNREADABLE, ZONE, members_of, rows_of, text_of, to_date
from erpflow.errors import ConfigError, ProtocolError, suggestion
from erpflow.vocabulary import RemoteId, Window

RECENT: Final = timedelta(days=3)
"""Bills and offers do not say when they changed: those dated so shortly before a window bring new partners."""

_CRITERIA: Final[Mapping[str, str]] = {
    "mk_id": "partner_id",
    "tax_id_number": "partner_tax_number",
    "customer": "partner_name",
    "partner_contact_list.0.email": "partner_email",
    "partner_contact_list.0.phone": "partner_phone_number",
}
_PARTIES: Final = ("partner", "receiver")
_SEVERAL: Final = 2
_PAGE = "The landed page of contacts"


def read(company: Company, window: Window, *, resume: PageToken | None, limit: int) -> Iterator[Page]:
    """The partners of the documents that changed in a window, each once in this read."""
    met: set[str] = set()
    for found in searched(company, window, resume=resume, limit=limit, rescan=RECENT):
        fresh = [mk_id for mk_id in dict.fromkeys(_partners_on(found, window)) if mk_id not in met]
        met.update(fresh)
        rows = [row for mk_id in fresh if (row := fetched(company, mk_id)) is not None]
        if rows or found.next is None:
            yield Page(page_bytes(rows), len(rows), found.next, zone=ZONE, server_time=found.server_time)


def read_one(company: Company, remote_id: RemoteId) -> Record | None:
    """One partner, or None."""
    raw = fetched(company, remote_id)
    return None if raw is None else contact_of(raw)


def read_many(company: Company, remote_ids: Sequence[RemoteId]) -> Page:
    """These partners as one page: a call for each."""
    rows = [row for remote_id in dict.fromkeys(remote_ids) if (row := fetched(company, remote_id)) is not None]
    return Page(page_bytes(rows), len(rows), None, zone=ZONE)


def fetched(company: Company, mk_id: str) -> bytes | None:
    """One partner as Metakocka answers it, or None."""
    if not (mk_id.isascii() and mk_id.isdigit()):
        return None
    return next((row for row in asked(company, {"partner_id": mk_id}) if _mk_id(row) == mk_id), None)


def asked(company: Company, criteria: Mapping[str, str]) -> list[bytes]:
    """The partners that fit, undecoded; names are compared loosely by Metakocka."""
    try:
        return company.ask("get_partner", criteria).rows("partner_list")
    except Refused as refused:
        if refused.code == BAD_PARAMETER:  # this is how it says that there is none
            return []
        raise


def find(company: Company, key: Mapping[str, Any]) -> list[RemoteId]:
    """At most two partners that hold these values. Raises ConfigError for a key that Metakocka cannot search by."""
    criterion = next((name for name in _CRITERIA if isinstance(key.get(name), str) and key[name]), None)
    if criterion is None:
        raise ConfigError(
            f"Metakocka finds a partner by {', '.join(_CRITERIA)}, not by {', '.join(key) or 'nothing'}"
            f"{suggestion(next(iter(key), ''), _CRITERIA)}. Name one of them in the mapping's match_on."
        )
    records = (contact_of(row) for row in asked(company, {_CRITERIA[criterion]: key[criterion]}))
    return [RemoteId(str(each["mk_id"])) for each in islice((r for r in records if holds(r, key)), _SEVERAL)]


def page_bytes(rows: Sequence[bytes]) -> bytes:
    """A page as it lands: partners in the bytes they came in."""
    return b'{"partner_list":[' + b",".join(rows) + b"]}"


def split(raw: bytes) -> list[RawRecord]:
    """The partners of a landed page. Raises ProtocolError when it is none."""
    members = members_of(raw, what=_PAGE)
    if "partner_list" not in members:
        raise ProtocolError(f"{_PAGE} holds no partner_list; it is not one of this connector.")
    try:
        return split_rows(rows_of(members, "partner_list"), contact_of)
    except UNREADABLE as error:
        raise ProtocolError(f"{_PAGE} cannot be read: {error}.") from None


def _partners_on(found: Searched, window: Window) -> Iterable[str]:
    """The partners on the documents of a search; of offers, which all come every time, only on the recent ones."""
    earliest = ""
    if TYPES[found.doc_type].changes is Changes.ALL and window.since is not None:
        earliest = (window.since - RECENT).date().isoformat()
    for row in found.rows:
        members = members_of(row.raw, what="A document of Metakocka's")
        if str(to_date(text_of(members, "doc_date"))) < earliest:
            continue
        for party in _PARTIES:
            if party in members and (mk_id := _mk_id(bytes(members[party]))):
                yield mk_id


def _mk_id(raw: bytes) -> str:
    try:
        return text_of(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]), "mk_id")
    except UNREADABLE:
        return ""
