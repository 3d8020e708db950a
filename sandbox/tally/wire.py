"""Tally's characters: what charset it answers in, and the markup it writes, which is not always XML."""

import re
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

CODE_PAGE = "latin-1"
NUMBERS = frozenset({"ALTERID", "MASTERID", "ALTMSTID", "ALTVCHID", "LANGUAGEID"})
AMOUNTS = frozenset({"AMOUNT", "CREDITLIMIT", "OPENINGVALUE"})
QUANTITIES = frozenset({"ACTUALQTY", "BILLEDQTY", "OPENINGBALANCE"})
DATES = frozenset({"DATE", "EFFECTIVEDATE", "REFERENCEDATE", "BOOKSFROM", "STARTINGFROM", "APPLICABLEFROM"})
PLACEHOLDER = "\ue004"  # a request may hold &#4;, which its parser may not
_CONTROL = re.compile(r"&#0*4;|&#[xX]0*4;")


def is_wide(request: Request) -> bool:
    return "utf-16" in request.headers.get("content-type", "").lower()


def text_of(body: bytes, *, wide: bool) -> str | None:
    """The request as text; None when it is not in the charset it says."""
    if not wide:
        if body.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in body[:4]:
            return None
        return body.decode("utf-8", "replace")
    try:
        return body.removeprefix(b"\xff\xfe").decode("utf-16-le")
    except UnicodeDecodeError:
        return None


def parseable(text: str) -> str:
    return _CONTROL.sub(PLACEHOLDER, text)


def answer(text: str, *, wide: bool) -> Response:
    """An answer in the charset of its request: UTF-16 without a mark, or UTF-8 with ? for what the code page lacks."""
    if wide:
        return Response(text.encode("utf-16-le"), headers={"content-type": "text/xml; charset=utf-16"})
    narrow = text.encode(CODE_PAGE, "replace").decode(CODE_PAGE)
    return Response(narrow.encode(), headers={"content-type": "text/xml; charset=utf-8"})


def escaped(text: str) -> str:
    marked = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return "".join(f"&#{ord(char)};" if ord(char) < 32 else char for char in marked)


def type_of(tag: str) -> str:
    for kind, tags in (("Number", NUMBERS), ("Amount", AMOUNTS), ("Quantity", QUANTITIES), ("Date", DATES)):
        if tag in tags:
            return kind
    if tag.endswith("RATE"):
        return "Rate"
    return "Logical" if tag.startswith("IS") else "String"


def element(tag: str, value: Any) -> str:
    """One field with its TYPE, as fetched ones have it; numbers and quantities begin with a blank."""
    if tag.endswith(".LIST"):
        return listed(tag, value)
    kind, text = type_of(tag), escaped(str(value))
    blank = " " if kind in ("Number", "Quantity") and text else ""
    return f'<{tag} TYPE="{kind}">{blank}{text}</{tag}>'


def listed(tag: str, entries: Iterable[Any]) -> str:
    """A list; an empty one is written as white space."""
    found = list(entries)
    if not found:
        return f"<{tag}>      </{tag}>"
    inner = tag.removesuffix(".LIST")
    if all(isinstance(entry, str) for entry in found):
        texts = "".join(f"<{inner}>{escaped(text)}</{inner}>" for text in found)
        return f'<{tag} TYPE="String">{texts}</{tag}>'
    return "".join(f"<{tag}>{nested(entry)}</{tag}>" for entry in found)


def nested(fields: dict[str, Any]) -> str:
    """The fields of an entry: without TYPE, quantities with their blank."""
    parts = []
    for tag, value in fields.items():
        if tag.endswith(".LIST"):
            parts.append(listed(tag, value))
        else:
            blank = " " if tag in QUANTITIES and value else ""
            parts.append(f"<{tag}>{blank}{escaped(str(value))}</{tag}>")
    return "".join(parts)
