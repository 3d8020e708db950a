"""JMESPath: where something is in an answer. Numbers keep their digits on the way."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import jmespath
import jmespath.exceptions
import msgspec
from jmespath.parser import ParsedResult

from erpflow.connectors.answer import excerpt
from erpflow.connectors.base import RawRecord
from erpflow.errors import ProtocolError

_PLAIN: Final = re.compile(r'(?:\w+|"[^"\\]+")(?:\.(?:\w+|"[^"\\]+"))*')
_STEP: Final = re.compile(r'\w+|"[^"\\]+"')
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_RAW_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
encode: Final = msgspec.json.Encoder(decimal_format="number").encode


@lru_cache(maxsize=1024)
def compiled(text: str) -> ParsedResult:
    """The parsed expression. Raises ValueError with a sentence about what is wrong with it."""
    try:
        return jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as error:
        raise ValueError(" ".join(str(error).split())) from None


def search(text: str, data: Any) -> Any:
    """What the expression finds in `data`; None where it finds nothing, or does not fit what is there."""
    try:
        return compiled(text).search(data)
    except jmespath.exceptions.JMESPathError:
        return None


def text_at(text: str, data: Any) -> str | None:
    """What the expression finds, as text; None for null, empty text, objects and lists."""
    found = search(text, data)
    if isinstance(found, bool) or found is None or isinstance(found, dict | list):
        return None
    return str(found) or None


def decoded(body: bytes) -> Any:
    """JSON with its decimals as Decimal; None for an empty body. Raises msgspec.DecodeError."""
    try:
        return _DECODER.decode(body) if body.strip() else None
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from None


def rows_at(text: str, body: bytes, *, what: str) -> list[RawRecord]:
    """The records of an answer, as the bytes the vendor sent where the expression is a plain path.

    Raises ProtocolError when there is no list of objects.
    """
    try:
        rows = _walked(text, body) if text == "@" or _PLAIN.fullmatch(text) else _searched(text, body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{what} is not what was asked for ({error}). It begins: {excerpt(body)}") from None
    if rows is None or any(not bytes(row).lstrip().startswith(b"{") for row in rows):
        raise ProtocolError(f"{what} has no list of records at `{text}`. It begins: {excerpt(body)}")
    return rows


def _walked(text: str, body: bytes) -> list[RawRecord] | None:
    part = body
    for step in _STEP.findall(text):
        part = bytes(_RAW_OBJECT.decode(part).get(step.strip('"'), b"null"))
    if part.lstrip().startswith(b"["):
        return _RAW_LIST.decode(part)
    _DECODER.decode(part)  # what is no JSON at all is said to be none
    return None


def _searched(text: str, body: bytes) -> list[RawRecord] | None:
    found = search(text, _DECODER.decode(body))
    return [msgspec.Raw(encode(row)) for row in found] if isinstance(found, list) else None
