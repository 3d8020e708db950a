"""The portal's summary of a period beside our own totals: what differs, section by section.

What the sections are called there beyond the examples that are published is UNVERIFIED; a section that has sums and no
counterpart here is a difference, so that nothing of another hand is filed along unseen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from erpflow.errors import ProtocolError

_SUMS: Final = {
    "ttl_tax": "taxable",
    "ttl_igst": "igst",
    "ttl_cgst": "cgst",
    "ttl_sgst": "sgst",
    "ttl_cess": "cess",
}
_COMPARED: Final = ("b2b", "b2cl", "b2cs", "cdnr", "cdnur", "exp")
_NOT_COMPARED: Final = frozenset({"nil", "hsn", "doc_issue"})
"""Their sums are of another kind. `nil` and `hsn` follow from the same lines; the documents issued are counted."""

_DECODER: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


@dataclass(frozen=True, slots=True)
class Difference:
    """One number that the portal has otherwise than we do; as texts."""

    section: str
    field: str
    ours: str
    portals: str


def differences(
    sections: Iterable[Mapping[str, Any]], payload: Mapping[str, Any], summary: bytes, *, gstin: str, period: str
) -> list[Difference]:
    """What differs. `sections` as `returns.totals_shown` writes them. Raises ProtocolError for what is no summary."""
    try:
        found = _DECODER.decode(summary)
        theirs = _sums(found["sec_sum"])
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, InvalidOperation):
        raise ProtocolError("The GST portal's summary is not what its API promises.") from None
    head = [
        Difference("", name, ours, str(found.get(key)))
        for name, key, ours in (("gstin", "gstin", gstin), ("period", "ret_period", period))
        if found.get(key) != ours
    ]
    ours = {str(each["section"]): each for each in sections}
    return [*head, *_rows(ours, theirs), *_issued(payload, found["sec_sum"])]


def _rows(ours: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, Mapping[str, Decimal]]) -> Iterator[Difference]:
    names = [*_COMPARED, *sorted(set(theirs) - set(_COMPARED) - _NOT_COMPARED)]
    for section in names:
        own, their = ours.get(section, {}), theirs.get(section, {})
        for name in ("rows", *_SUMS.values()):
            mine, portals = Decimal(str(own.get(name, 0))), their.get(name, Decimal(0))
            if mine != portals:
                yield Difference(section, name, f"{mine:f}", f"{portals:f}")


def _issued(payload: Mapping[str, Any], theirs: list[dict[str, Any]]) -> Iterator[Difference]:
    kinds = payload.get("doc_issue", {}).get("doc_det", [])
    mine = sum(each["net_issue"] for kind in kinds for each in kind["docs"])
    portals = sum(each.get("net_doc_issued", 0) for each in theirs if each.get("sec_nm") == "DOC_ISSUE")
    if mine != portals:
        yield Difference("doc_issue", "net_issue", str(mine), str(portals))


def _sums(sections: list[dict[str, Any]]) -> dict[str, dict[str, Decimal]]:
    """Their sums by our names: the tables of `b2b` (B2B_4A, B2B_4B, …) together, unless B2B alone is there."""
    parts = {str(each["sec_nm"]).partition("_")[0] for each in sections if "_" in str(each["sec_nm"])}
    found: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for each in sections:
        name = str(each["sec_nm"])
        section = name.lower() if name == "DOC_ISSUE" else name.partition("_")[0].lower()
        if name in parts:
            continue  # the sum of its parts, which are counted
        found[section]["rows"] += Decimal(str(each.get("ttl_rec", 0)))
        for key, own in _SUMS.items():
            found[section][own] += Decimal(str(each.get(key, 0)))
    return {section: dict(sums) for section, sums in found.items()}
