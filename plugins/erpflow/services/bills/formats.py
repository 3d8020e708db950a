"""What a document is by its first bytes: what is surely not read is refused before it is paid for.

Source: aws.md §4 (JPEG, PNG, TIFF, single-page PDF).
"""

from __future__ import annotations

from typing import Final

from erpflow.errors import FieldProblem, RecordRejected

READ: Final = {
    b"%PDF-": "PDF",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_OTHERS: Final = {
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"PK\x03\x04": "a ZIP archive, as DOCX and XLSX are",
    b"\xd0\xcf\x11\xe0": "a document of old Microsoft Office",
    b"\x1f\x8b": "compressed with gzip",
    b"{\\rtf": "RTF",
    b"<": "HTML or XML",
}


def check_format(document: bytes) -> str:
    """The format of a document. Raises RecordRejected, naming what it is, for one that is not read."""
    if not document:
        raise _refused("required", "The document is empty.")
    for start, name in READ.items():
        if document.startswith(start):
            return name
    raise _refused(
        "format", f"The document is {_named(document)}. What is read is JPEG, PNG, TIFF and PDF of one page."
    )


def _named(document: bytes) -> str:
    if document[:4] == b"RIFF" and document[8:12] == b"WEBP":
        return "a WebP"
    if document[4:8] == b"ftyp" and document[8:12] in (b"heic", b"heix", b"mif1", b"avif"):
        return "a HEIC or AVIF"
    found = next((name for start, name in _OTHERS.items() if document.lstrip().startswith(start)), None)
    return found or f"of a format that begins with the bytes {document[:8].hex(' ')}"


def _refused(rule: str, message: str) -> RecordRejected:
    return RecordRejected([FieldProblem("document", rule, message)])
