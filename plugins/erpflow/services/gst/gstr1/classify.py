"""Which section a document belongs to, decided in the order of the law. Source: GSTN, "Tables of GSTR-1"."""

from __future__ import annotations

from enum import StrEnum

from erpflow.services.gst.gstr1.documents import EXPORTS, SEZ, ZERO_RATED, Document, Filer, Line, Treatment
from erpflow.services.gst.reference import large_invoice_above


class Section(StrEnum):
    """The sections that are filled, by their key in the portal's JSON."""

    B2B = "b2b"
    B2CL = "b2cl"
    B2CS = "b2cs"
    CDNR = "cdnr"
    CDNUR = "cdnur"
    EXP = "exp"
    NIL = "nil"
    HSN = "hsn"
    DOC_ISSUE = "doc_issue"


def is_inter_state(document: Document, filer: Filer) -> bool:
    """Whether IGST is due: exports and SEZ always, else what leaves the supplier's state."""
    return document.supply in EXPORTS | SEZ or document.place_of_supply != filer.state


def is_rated(document: Document, line: Line) -> bool:
    """Whether a line goes into the sections by rate; the others are summed up in `nil`.

    What leaves for abroad or an SEZ is zero-rated, also where it would be exempt at home.
    """
    if line.treatment is Treatment.NON_GST:
        return False
    return line.treatment is Treatment.TAXABLE or document.supply in ZERO_RATED


def is_large(document: Document, filer: Filer) -> bool:
    """Whether it is, or corrects, an inter-state invoice above the threshold of its day.

    Of a note the value and the day of its invoice count.
    """
    if not is_inter_state(document, filer):
        return False
    value = document.value
    if document.is_note and document.original is not None and document.original.value is not None:
        value = document.original.value
    return value > large_invoice_above(document.rate_date)


def rated_section(document: Document, filer: Filer) -> Section:
    """Where the lines with a rate go."""
    if document.supply in EXPORTS:
        return Section.CDNUR if document.is_note else Section.EXP
    if document.buyer_gstin is not None:
        return Section.CDNR if document.is_note else Section.B2B
    if is_large(document, filer):
        return Section.CDNUR if document.is_note else Section.B2CL
    return Section.B2CS


def sections_of(document: Document, filer: Filer) -> frozenset[Section]:
    """Where a document is found in the return, besides `hsn` and `doc_issue`: nowhere when it was cancelled."""
    if document.is_cancelled:
        return frozenset()
    return frozenset(
        rated_section(document, filer) if is_rated(document, line) else Section.NIL for line in document.lines
    )
