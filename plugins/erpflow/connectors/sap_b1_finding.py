"""Records of a Service Layer by their ids and by the values of their fields, many in one request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from erpflow.connectors.base import Page
from erpflow.connectors.sap_b1_entities import Collection
from erpflow.connectors.sap_b1_layer import Layer
from erpflow.connectors.sap_b1_records import (
    CONTACT,
    RECORD,
    Listing,
    contacts_of,
    page_bytes,
    partner_of,
)
from erpflow.connectors.sap_b1_text import equals
from erpflow.connectors.sap_b1_time import MIDNIGHT_WITH_ZONE, day_of
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import RemoteId, VendorRecord

_NOT_ONE: Final = 2
_LONGEST_FILTER: Final = 3_000  # characters before encoding: URLs over 8 kB fail at Apache (UNVERIFIED)
_AT_ONCE: Final = 500


def read_many(
    layer: Layer, entity: str, collection: Collection, ids: Sequence[RemoteId], fields: Sequence[str]
) -> Page:
    """The records of these ids that exist, as one page."""
    if entity == "contact":
        return _read_contacts(layer, collection, ids, fields)
    rows: list[bytes] = []
    for listing in listings_of(layer, collection, ids, fields=fields):
        rows += listing.rows
    return Page(page_bytes(rows), len(rows), None, zone=zone_of(layer, collection))


def listings_of(
    layer: Layer, collection: Collection, ids: Sequence[str], *, fields: Sequence[str]
) -> Iterator[Listing]:
    """The rows of these keys, as many requests as the length of a URL asks for.

    Raises ProtocolError for rows that were not asked for.
    """
    key = collection.listed.key
    wanted = [name for name in dict.fromkeys(ids) if key.fits(name)]
    tests = [equals(key.name, int(name) if key.number else name) for name in wanted]
    folded = {name.casefold() for name in wanted}
    for part in _parts(tests):
        for listing in _walk(layer, collection, fields, _with(collection, part)):
            strange = [name for head in listing.heads if (name := key.of(head)).casefold() not in folded]
            if strange:
                raise ProtocolError(
                    f"SAP Business One was asked for {len(wanted)} {collection.name} by their keys and sent "
                    f"{strange[0]!r}: it does not heed the filter."
                )
            yield listing


def find_all(layer: Layer, entity: str, collection: Collection, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
    """For each key at most two records whose fields hold its values. See `SupportsWrites.find`."""
    for key in keys:
        nested = next((path for path in key if "." in path), None)
        if not key or nested is not None:
            raise ConfigError(
                f"SAP Business One finds {collection.name} by fields of their own, not by {nested or 'nothing'!r}. "
                "Name such fields in the mapping's match_on."
            )
    if entity == "contact":
        return _find_contacts(layer, collection, keys)
    name = collection.listed.key.name
    fields = tuple(dict.fromkeys((name, *(field for key in keys for field in key))))
    found: list[list[RemoteId]] = [[] for _ in keys]
    for part in _parts([" and ".join(equals(field, value) for field, value in key.items()) for key in keys]):
        for row in _rows(layer, collection, fields, _with(collection, part)):
            _take(found, keys, row, RemoteId(str(row[name])), collection)
    return found


def zone_of(layer: Layer, collection: Collection) -> str:
    """The zone of the times in a page; payments have none, and need none."""
    return layer.zone if collection.listed.dated else layer.settings.zone or "UTC"


def _walk(layer: Layer, collection: Collection, fields: Sequence[str], only: str) -> Iterator[Listing]:
    """All rows of a filter in order of their keys, in as many answers as the server makes of them."""
    key, last = collection.listed.key, ""
    while True:
        tests = (only, f"{key.name} gt {key.literal(last)}" if last else "")
        listing = layer.listing(
            collection.name, fields=fields, only=" and ".join(filter(None, tests)), order=key.name, limit=_AT_ONCE
        )
        yield listing
        if not listing.more:
            return
        following = key.of(listing.heads[-1]) if listing.heads else last
        if following == last:
            raise ProtocolError(f"SAP Business One repeats its {collection.name}: it heeds no filter on the key.")
        last = following


def _rows(layer: Layer, collection: Collection, fields: Sequence[str], only: str) -> Iterator[VendorRecord]:
    for listing in _walk(layer, collection, fields, only):
        for row in listing.rows:
            try:
                yield RECORD.decode(row)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                raise ProtocolError(f"A row of {collection.name} is not an object.") from None


def _take(
    found: list[list[RemoteId]],
    keys: Sequence[VendorRecord],
    row: VendorRecord,
    name: RemoteId,
    collection: Collection,
) -> None:
    """Give a row to the keys it was found by: those of exactly its values, or, where there are none, in any case.

    Some databases compare without case, others do not. Raises ProtocolError for a row that nobody asked for.
    """
    places = [place for place, key in enumerate(keys) if _holds(row, key, exactly=True)]
    places = places or [place for place, key in enumerate(keys) if _holds(row, key, exactly=False)]
    if not places:
        raise ProtocolError(
            f"SAP Business One sent {collection.name} {name!r}, which holds nothing that was asked for: it does not "
            "heed the filter."
        )
    for place in places:
        if len(found[place]) < _NOT_ONE:
            found[place].append(name)


def _holds(row: VendorRecord, key: VendorRecord, *, exactly: bool) -> bool:
    return all(_same(row.get(field), value, exactly=exactly) for field, value in key.items())


def _same(found: Any, wanted: Any, *, exactly: bool) -> bool:
    if found is None or wanted is None:
        return found in (None, "") and wanted in (None, "")
    if isinstance(found, str) and isinstance(wanted, str):
        if found != wanted and found.endswith(MIDNIGHT_WITH_ZONE):  # a day, as version 2 writes it
            return day_of(found) == day_of(wanted)
        return found == wanted if exactly else found.rstrip().casefold() == wanted.rstrip().casefold()
    return bool(found == wanted) or str(found) == str(wanted)


def _parts(tests: Sequence[str]) -> Iterator[str]:
    """Tests joined by `or`, each part short enough for a URL."""
    part: list[str] = []
    size = 0
    for test in (f"({test})" for test in tests):
        if part and size + len(test) > _LONGEST_FILTER:
            yield " or ".join(part)
            part, size = [], 0
        part.append(test)
        size += len(test.encode()) + 4
    if part:
        yield " or ".join(part)


def _with(collection: Collection, test: str) -> str:
    return " and ".join(filter(None, (collection.listed.only, f"({test})")))


# -- contacts, which no filter reaches -------------------------------------------------------------------------------


def _read_contacts(layer: Layer, collection: Collection, ids: Sequence[RemoteId], fields: Sequence[str]) -> Page:
    codes = [found[1] for name in ids if (found := partner_of(name))]
    rows: list[bytes] = []
    for listing in listings_of(layer, collection, codes, fields=fields):
        rows += contacts_of(listing.answer, listing.rows, only=frozenset(ids))
    return Page(page_bytes(rows), len(rows), None, zone=zone_of(layer, collection))


def _find_contacts(layer: Layer, collection: Collection, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
    """By going through all partners once, unless every key names its own: no filter looks into the rows of a record."""
    found: list[list[RemoteId]] = [[] for _ in keys]
    codes = [key.get("CardCode") for key in keys]
    if all(isinstance(code, str) and code for code in codes):
        listings = listings_of(layer, collection, [str(code) for code in codes], fields=collection.fields)
    else:
        listings = _walk(layer, collection, collection.fields, collection.listed.only)
    for listing in listings:
        for raw in contacts_of(listing.answer, listing.rows):
            row = RECORD.decode(raw)
            for place, key in enumerate(keys):
                if _holds(row, key, exactly=True) and len(found[place]) < _NOT_ONE:
                    found[place].append(RemoteId(row[CONTACT]))
    return found
