"""Echoes: what a vendor makes of the values it is sent, told from what somebody else wrote there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

Texts = Mapping[str, str | None]


def is_echo(sent: str | None, found: str | None) -> bool:
    """Whether a vendor may have made `found` of what was sent: the same but for white space, case or decimals."""
    if sent == found or (not sent and not found):
        return True
    if sent is None or found is None:
        return False
    try:
        ours, theirs = Decimal(sent), Decimal(found)
    except InvalidOperation:
        return "".join(sent.split()).casefold() == "".join(found.split()).casefold()
    places = -int(theirs.as_tuple().exponent)
    return abs(ours - theirs) <= Decimal(1).scaleb(-max(places, 0)) / 2


def agreed_when_read(ours: Texts, theirs: Texts, sent: Iterable[str]) -> dict[str, str | None]:
    """What the vendor's side of the `sent` fields is agreed to be when the record was read some time after the write.

    `ours`: the values that were sent; `theirs`: the record as it was read. A value that is no echo may be somebody's
    change since: it is not agreed on, and the next pull finds it. So is every field that was not sent.
    """
    return {
        name: theirs[name] if is_echo(ours.get(name), theirs[name]) else ours.get(name)
        for name in sent
        if name in theirs
    }
