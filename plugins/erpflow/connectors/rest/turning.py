"""Where the next page is, for each kind of paging."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from erpflow.connectors.answer import Answer
from erpflow.connectors.rest.asking import Asking
from erpflow.connectors.rest.expressions import search, text_at
from erpflow.connectors.rest.model import Paging, PagingKind
from erpflow.errors import ProtocolError

_LINK: Final = re.compile(r'<([^>]*)>\s*;[^,<]*\brel\s*=\s*"?([^",;]*)"?')
_LONGEST_ADDRESS: Final = 8_192


def page_values(paging: Paging, place: str | None) -> dict[str, Any]:
    """What a request says of the page it wants, by placeholder."""
    if paging.kind is PagingKind.PAGE:
        return {"page": int(place or paging.first)}
    if paging.kind is PagingKind.OFFSET:
        return {"offset": int(place or 0)}
    return {"cursor": place} if paging.kind is PagingKind.CURSOR else {}


def next_place(paging: Paging, place: str | None, count: int, answer: Answer, asking: Asking) -> str | None:
    """The place of the page behind one with `count` records; None behind the last.

    Raises ProtocolError for a list that goes in a circle, and for a next page at another address.
    """
    if paging.kind in (PagingKind.PAGE, PagingKind.OFFSET):
        if count == 0 or (paging.more is not None and not search(paging.more, asking.data(answer))):
            return None
        step = 1 if paging.kind is PagingKind.PAGE else count
        return str(int(place or (paging.first if paging.kind is PagingKind.PAGE else 0)) + step)
    following = _named(paging, answer, asking)
    if following is not None and following == place:
        raise ProtocolError(f"{answer.method} {answer.path} names itself as its next page: the list goes in a circle.")
    return following


def _named(paging: Paging, answer: Answer, asking: Asking) -> str | None:
    """The next page as the answer itself names it."""
    if paging.kind is PagingKind.CURSOR:
        return text_at(paging.next or "@", asking.data(answer))
    if paging.kind is PagingKind.LINK:
        links = {rel.strip(): url for url, rel in _LINK.findall(answer.headers.get("Link", ""))}
        return _below(links.get("next"), answer, asking)
    if paging.kind is PagingKind.ODATA:
        return _below(text_at(paging.next_address, asking.data(answer)), answer, asking)
    return None


def _below(address: str | None, answer: Answer, asking: Asking) -> str | None:
    """The path of an address below the connection's own: what we sign is sent nowhere else."""
    if not address:
        return None
    base = asking.transport.base_url
    whole = urljoin(f"{base}{answer.path}", address)
    here, there = urlsplit(base), urlsplit(whole)
    inside = there.path == here.path or there.path.startswith(f"{here.path}/")
    if (here.scheme, here.netloc) != (there.scheme, there.netloc) or not inside or len(whole) > _LONGEST_ADDRESS:
        raise ProtocolError(
            f"{answer.method} {answer.path} names a next page at {there.scheme}://{there.netloc}{there.path}, which "
            f"is not below the connection's address {base}. Nothing is sent there; correct the connection's address "
            "if it is right."
        )
    path = there.path[len(here.path) :] or "/"
    return f"{path}?{there.query}" if there.query else path
