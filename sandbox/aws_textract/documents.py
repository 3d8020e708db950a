"""Documents: what their first bytes say they are, how many pages they have, and the lines of text in them."""

import re

from sandbox.aws_textract.answers import Refusal

LARGEST = 10 * 1024 * 1024
STARTS = {b"%PDF-": "pdf", b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"II*\x00": "tiff", b"MM\x00*": "tiff"}
_PAGE = re.compile(rb"/Type\s*/Page(?!s)")
_SHOWN = re.compile(rb"\(((?:[^()\\]|\\.)*)\)\s*Tj")
_TEXT_CHUNK = re.compile(rb"tEXtlines\x00(.*?)\x00", re.DOTALL)


def lines_of(document: bytes) -> list[str]:
    """The text of a document of one page, line by line: what a PDF shows uncompressed, or a PNG has as a comment.

    Raises Refusal for what the synchronous operations do not take.
    """
    if len(document) > LARGEST:
        raise Refusal("DocumentTooLargeException", "Request document is too large")
    kind = next((kind for start, kind in STARTS.items() if document.startswith(start)), None)
    if kind is None or (kind == "pdf" and len(_PAGE.findall(document)) > 1):
        raise Refusal("UnsupportedDocumentException", "Request has unsupported document format")
    if kind == "pdf":
        if b"%%EOF" not in document:
            raise Refusal("BadDocumentException", "Request has bad document")
        return [_unescaped(text) for text in _SHOWN.findall(document)]
    found = _TEXT_CHUNK.search(document)
    return found[1].decode("utf-8", "replace").splitlines() if found else []


def _unescaped(text: bytes) -> str:
    return re.sub(rb"\\(.)", rb"\1", text).decode("utf-8", "replace")
