"""What a vendor answered, and what HTTP alone says it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    VendorUnavailable,
)

EXCERPT_CHARACTERS: Final = 300
LONGEST_WAIT: Final = 86_400.0
NOTHING_LOST: Final = " Nothing was lost; the run can be repeated."
"""How an error about a broken connection ends: true of a sync, not of what may not be sent twice."""
_GATEWAY_TROUBLE: Final = frozenset({502, 503, 504})
_UNTOLD_WAIT: Final = 60.0  # seconds, when a vendor refuses without saying for how long


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor answered. `latency` in seconds; `authenticated`: the request carried credentials."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    latency: float
    correlation_id: str
    authenticated: bool

    @property
    def server_time(self) -> datetime | None:
        """The vendor's clock (the Date header) as aware UTC, or None."""
        return http_date(self.headers.get("Date", ""))


Judge = Callable[[Answer], ErpflowError | None]
"""Says what an answer means: None if it is what was asked for."""


def judge_by_status(answer: Answer) -> ErpflowError | None:
    """What HTTP alone says of an answer, for vendors who mean it and for what their connectors do not know better."""
    status, what = answer.status, f"{answer.method} {answer.path} was answered with HTTP {answer.status}"
    if 200 <= status < 300:
        return None
    if status == 401:
        return AuthFailed(f"{what}: the credentials are refused. Check the connection's login and secret.")
    if status == 403:
        return PermissionDenied(
            f"{what}: the account may not do this. Ask the vendor's administrator for the permission."
        )
    if status == 429:
        return RateLimited(f"{what}: too many requests.", retry_after=_UNTOLD_WAIT)
    if status in _GATEWAY_TROUBLE:
        return VendorUnavailable(f"{what}: the vendor is down or busy. {excerpt(answer.body)}")
    return ProtocolError(
        f"{what}, which is not expected. The answer begins: {excerpt(answer.body)}", maybe_done=status >= 500
    )


def excerpt(body: bytes) -> str:
    """The beginning of an answer on one line, for a message: at most 300 characters."""
    text = " ".join(body[: EXCERPT_CHARACTERS * 8].decode("utf-8", "replace").split())
    return text if len(text) <= EXCERPT_CHARACTERS else f"{text[: EXCERPT_CHARACTERS - 1]}…"


def retry_after(answer: Answer, *, now: datetime) -> float | None:
    """Seconds the vendor asks us to wait (Retry-After, in seconds or as a date by its own clock), or None."""
    text = answer.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), LONGEST_WAIT)
    at = http_date(text)
    return None if at is None else min(max(0.0, (at - (answer.server_time or now)).total_seconds()), LONGEST_WAIT)


def http_date(text: str) -> datetime | None:
    """An HTTP date as aware UTC, or None if it is not one."""
    try:
        at = parsedate_to_datetime(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
