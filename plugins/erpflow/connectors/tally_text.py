"""Tally's characters: requests as UTF-16, answers whose text is no legal XML, and values as people see them.

Source: vendor sheet "Encoding". The charset of a request decides that of its answer: whoever asks in UTF-8 gets every
character outside of Tally's code page as a question mark.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from erpflow.errors import ProtocolError

HEADERS: Final = {"Content-Type": "text/xml; charset=utf-16", "Accept": "text/xml"}

_SAFE: Final = 0xFDD0
"""Control characters travel through the XML parser as the 32 noncharacters U+FDD0 to U+FDEF: legal XML, never text."""
_CONTROLS: Final = {code: chr(_SAFE + code) for code in range(32) if code not in (9, 10, 13)} | {
    0xFFFE: "\ufffd",
    0xFFFF: "\ufffd",
}
_BACK: Final = {_SAFE + code: chr(code) if code else None for code in range(32)}
_RAW: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_REFERENCE: Final = re.compile(r"&#(?:[xX]([0-9A-Fa-f]{1,12})|([0-9]{1,12}));")
_UDF: Final = re.compile(r"<(/?)UDF:")
_LONGEST: Final = 20
"""No reference and no tag we look for is longer: so much of a piece may be the beginning of one."""
_DECLARATION: Final = re.compile(r"<!(?:DOCTYPE|ENTITY)")
_ESCAPES: Final = {
    **{code: f"&#{code};" for code in range(1, 32)},
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
}
_MARKS: Final = (
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
_UNSENDABLE: Final = re.compile("[\x00\ud800-\udfff\ufffe\uffff]")


def encoded(envelope: str) -> bytes:
    """A request as Tally takes it when it shall answer with every character."""
    return codecs.BOM_UTF16_LE + envelope.encode("utf-16-le")


def escaped(text: str) -> str:
    """Text as content or attribute. Control characters go as references: Tally reads what XML forbids.

    Raises ValueError for a character that no request can carry.
    """
    if _UNSENDABLE.search(text):
        raise ValueError("it holds half a surrogate pair, or a character that cannot be sent")
    return text.translate(_ESCAPES)


def unescaped(text: str) -> str:
    """What the parser gave, with the control characters that Tally had in it, and without blanks around it."""
    return text.translate(_BACK).strip(" \t\r\n")


def legal(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The answer as legal XML in UTF-8, piece by piece; nothing but illegal characters is changed.

    Raises ProtocolError for an answer that declares a document type, and with it perhaps entities: Tally never does.
    """
    decode, held = _decoder(), ""
    for piece in pieces:
        text, held = _cut(held + decode(piece))
        yield _legal(text)
    yield _legal(held + decode(b"", final=True))


def _decoder() -> Callable[..., str]:
    """Decodes pieces as what they are, whatever the header says; Tally's UTF-16 has no byte order mark."""
    decoder: codecs.IncrementalDecoder | None = None
    head = b""

    def decode(piece: bytes, *, final: bool = False) -> str:
        nonlocal decoder, head
        if decoder is None:
            head += piece
            if len(head) < 3 and not final:
                return ""
            piece, name = _without_mark(head)
            decoder = codecs.getincrementaldecoder(name)(errors="replace")
        return decoder.decode(piece, final)

    return decode


def _without_mark(head: bytes) -> tuple[bytes, str]:
    """The first bytes without their mark, and the encoding."""
    for mark, name in _MARKS:
        if head.startswith(mark):
            return head[len(mark) :], name
    return head, "utf-16-le" if head[1:2] == b"\x00" else "utf-8"


def _cut(text: str) -> tuple[str, str]:
    """The text up to a reference or a tag that may go on in the next piece, and the rest."""
    at = max(text.rfind("&", -_LONGEST), text.rfind("<", -_LONGEST))
    return (text, "") if at < 0 else (text[:at], text[at:])


def _legal(text: str) -> bytes:
    if _DECLARATION.search(text):
        raise ProtocolError(
            f"The answer declares a document type, which Tally never does. It holds: {shown(text)}", maybe_done=True
        )
    if _RAW.search(text):
        text = text.translate(_CONTROLS)
    if "&#" in text:
        text = _REFERENCE.sub(_resolved, text)
    if "UDF:" in text:  # a prefix that is nowhere declared, of fields that a customer's own TDL adds
        text = _UDF.sub(r"<\1UDF_", text)
    return text.encode("utf-8", "replace")


def _resolved(found: re.Match[str]) -> str:
    code = int(found[1], 16) if found[1] else int(found[2])
    if code in _CONTROLS:
        return _CONTROLS[code]
    legal_xml = code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
    return found[0] if legal_xml else "\ufffd"


def shown(text: str) -> str:
    """The beginning of an answer on one line, for a message."""
    return " ".join(text[:300].split())
