"""One POST to one receiver, who may be slow, hostile or gone: bounded in time and bytes, never led elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookiejar import DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from erpflow import __version__
from erpflow.connectors.answer import Answer, excerpt, retry_after
from erpflow.connectors.deadline import Deadline, enforce_deadlines, within
from erpflow.connectors.network import MOST_TRIED, VARIABLE, public_only
from erpflow.connectors.redaction import redact
from erpflow.connectors.signing import Unsigned
from erpflow.errors import ConfigError

TIMEOUT_S: Final = 10.0
"""For one whole exchange, from the connection to the last byte that is read."""
MOST_BYTES: Final = 4096
"""Of an answer that says no: the beginning of its reason. Of one that says yes nothing is read."""
GONE: Final = 410
_PATIENCE: Final = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt. `status`: of HTTP, None when no answer came. `error`: None when it was taken.

    `gone`: the receiver wants nothing any more. `retry_after`: how long it asks to be left alone.
    """

    status: int | None
    error: str | None = None
    gone: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """Where messages may go."""

    private_networks: bool = False
    plain_http: bool = False
    timeout_s: float = TIMEOUT_S


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    now: datetime,
    reach: Reach,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """POST a message once; every way in which it can fail is an outcome, not an exception.

    A 2xx is a yes, everything else a no: also a redirect, which could lead anywhere.
    """
    if urlsplit(url).scheme != "https" and not reach.plain_http:
        return Outcome(None, "The address is not https, and others are not allowed any more. Nothing was sent.")
    try:
        with _session() as session, within(Deadline(clock() + reach.timeout_s, clock)):
            with nullcontext() if reach.private_networks else public_only():
                response = session.post(
                    url,
                    data=body,
                    headers={
                        "Content-Type": "application/json",
                        "Accept": "*/*",
                        "User-Agent": f"erpflow/{__version__}",
                        **headers,
                    },
                    timeout=(reach.timeout_s / MOST_TRIED, reach.timeout_s),
                    allow_redirects=False,
                    stream=True,
                )
            with response:
                return _judged(response, now=now)
    except ConfigError:
        return Outcome(
            None,
            "The address leads into a private network, to this machine or a cloud's own service. Nothing was sent. If "
            f"it is right, set {VARIABLE}=true.",
        )
    except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:  # requests' own errors are OSErrors
        return Outcome(None, _broken(error, reach))


def _session() -> requests.Session:
    """A session of one message: what one receiver sets or leaves open, no other meets."""
    session = requests.Session()
    session.auth = Unsigned()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    enforce_deadlines(session)
    return session


def _judged(response: requests.Response, *, now: datetime) -> Outcome:
    status = response.status_code
    if 200 <= status < 300:
        return Outcome(status)
    if 300 <= status < 400:
        return Outcome(status, f"HTTP {status}: redirects are not followed. Subscribe the address it leads to.")
    if status == GONE:
        return Outcome(status, "HTTP 410: the receiver wants nothing any more.", gone=True)
    said = excerpt(_beginning(response))
    answer = Answer("POST", "", status, response.headers, b"", 0.0, "", authenticated=False)
    wait = retry_after(answer, now=now) if status in _PATIENCE else None
    return Outcome(
        status,
        redact(f"HTTP {status}{': ' + said if said else ''}"),
        retry_after=None if wait is None else timedelta(seconds=wait),
    )


def _beginning(response: requests.Response) -> bytes:
    """The first bytes of a reason; none when it does not come, for the status says enough."""
    try:
        return response.raw.read1(MOST_BYTES, decode_content=False) or b""
    except (OSError, urllib3.exceptions.HTTPError, ValueError):
        return b""


def _broken(error: Exception, reach: Reach) -> str:
    """Why no answer came, without the address: for some receivers it is the secret."""
    reasons = [error]
    while isinstance(under := _under(reasons[-1]), Exception) and under not in reasons:
        reasons.append(under)
    if any(isinstance(each, urllib3.exceptions.NameResolutionError) for each in reasons):
        return "There is no such host."
    if any(isinstance(each, urllib3.exceptions.NewConnectionError) for each in reasons):
        return "Nobody takes a connection there."
    if any(isinstance(each, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError) for each in reasons):
        return f"No answer within {reach.timeout_s:g} seconds."
    if any(isinstance(each, requests.exceptions.SSLError | urllib3.exceptions.SSLError) for each in reasons):
        return "No trusted TLS connection: its certificate is not valid for this address."
    return f"The connection broke: {type(reasons[-1]).__name__}."


def _under(error: Exception) -> object:
    inner = getattr(error, "reason", None)
    return inner if isinstance(inner, Exception) else next((a for a in error.args if isinstance(a, Exception)), None)
