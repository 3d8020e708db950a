"""Keeps secrets out of what people read: log events, exception messages and excerpts of answers (invariant 8)."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import requests
from requests.auth import HTTPBasicAuth

MASK: Final = "***"
_SHORTEST_SECRET: Final = 4  # masking shorter ones would eat ordinary words, and they protect nothing
_SHORTEST_IN_DATA: Final = 8  # in a vendor's data a shorter one is more likely an amount or a number of a house

_NAMES = r"[\w.-]*(?:token|secret(?:[_-]?key)?|password|passwd|pwd|(?:api|auth)[_-]?key|signature|authorization|sid)"
_PATTERNS: Final = (
    (
        re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(['\"]?\s*[:=]\s*['\"]?)[^\r\n'\",}]+"),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"(?i)\b(token)\s+[^\s:'\"]+:[^\s'\"]+"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{12,}"), rf"\1 {MASK}"),
    (re.compile(rf"(?i)([?&;](?:{_NAMES}|key|sig|code)=)[^&#\s'\"]+"), rf"\1{MASK}"),
    (re.compile(rf"(?i)([\"'](?:{_NAMES})[\"']\s*:\s*[\"'])[^\"']+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(https?://)[^/\s@]+@"), rf"\1{MASK}@"),
)
_SECRET_HEADER = re.compile(r"(?i)auth|token|key|secret|cookie|password")


def redact(text: str, *, secrets: Iterable[str] = ()) -> str:
    """`text` without the given secrets and without anything that has the shape of one."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def secrets_of(session: requests.Session) -> tuple[str, ...]:
    """Every secret a session would send, in the spellings in which it could come back; the longest first."""
    found: set[str] = set()
    auth = session.auth
    if isinstance(auth, tuple):
        auth = HTTPBasicAuth(*auth)
    if isinstance(auth, HTTPBasicAuth):
        found |= {_text(auth.password), f"{_text(auth.username)}:{_text(auth.password)}"}
    found |= set(getattr(auth, "secrets", ()))
    for name, value in session.headers.items():
        if _SECRET_HEADER.search(name):
            found |= {_text(value), *_text(value).split()[1:]}
    spellings = {form for secret in found for form in (secret, quote(secret, safe=""), _base64(secret))}
    return tuple(sorted((s for s in spellings if len(s) >= _SHORTEST_SECRET), key=len, reverse=True))


def without_secrets(body: bytes, *, secrets: Iterable[str]) -> bytes:
    """Data without the given secrets, otherwise byte for byte what it was: for a vendor that echoes what it is sent."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_IN_DATA:
            body = body.replace(secret.encode(), MASK.encode())
    return body


class RedactingFilter(logging.Filter):
    """Masks secrets in the records of a library's logger: urllib3 logs whole URLs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        return True


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _base64(secret: str) -> str:
    return base64.b64encode(secret.encode()).decode()
