"""The one way out: every request a connector sends passes here, with its time-outs, limits, retries and redaction.

Around a `requests.Session` that somebody else authenticated: Airflow's HTTP hook, or `session.build_session`.
What an answer means is the vendor's business: a connector gives a `Judge`, and what to do next follows from the
error it returns. `RateLimited` is waited for; `VendorUnavailable` is tried again when the call is idempotent, or when
nothing can have been done (`maybe_done` is False).
"""

from __future__ import annotations

import logging
import random
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import requests
import structlog
import urllib3.exceptions
from requests.auth import AuthBase
from urllib3.response import BaseHTTPResponse

from erpflow.connectors.account import RenewableAuth
from erpflow.connectors.answer import NOTHING_LOST, Answer, Judge, judge_by_status, retry_after
from erpflow.connectors.deadline import Deadline, enforce_deadlines, within
from erpflow.connectors.limiter import Limiter, Unlimited
from erpflow.connectors.network import public_only
from erpflow.connectors.preparing import RequestMaker
from erpflow.connectors.redaction import RedactingFilter, redact, secrets_of, without_secrets
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    ProtocolError,
    RateLimited,
    VendorUnavailable,
)

log = structlog.get_logger(__name__)
for _noisy in ("urllib3.connectionpool", "urllib3.connection"):
    logging.getLogger(_noisy).addFilter(RedactingFilter())

CORRELATION_HEADER: Final = "X-Correlation-Id"
_CHUNK_BYTES: Final = 256 * 1024
_REDIRECTS: Final = 3
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})  # 304 is an answer: nothing has changed

Taken = TypeVar("Taken")
Consumer = Callable[[Answer, Iterator[bytes]], Taken]
"""Takes a body in pieces as they arrive. The answer it gets has no body of its own. It raises nothing but errors of
`erpflow.errors`: an OSError of its own would be taken for one of the network."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: to connect, between two bytes, and for one whole exchange.

    `rest`: how long nobody asks after an answer that did not come in time, of a vendor that goes on with what was given
    up and keeps everybody else waiting meanwhile.
    """

    connect: float = 10.0
    read: float = 60.0
    total: float = 180.0
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently one call is tried in place; longer waits are the task's business.

    `attempts` counts the first one. Waits double from `base` seconds to `cap`, times a random share (full jitter).
    A vendor's own wait of up to `patience` seconds is slept here; a longer one frees the worker.
    """

    attempts: int = 4
    base: float = 0.5
    cap: float = 15.0
    patience: float = 30.0


ONE_ATTEMPT: Final = Retries(attempts=1)


@dataclass(frozen=True, slots=True)
class _Failure:
    """No answer, or none that may be used.

    `again`: sending the call once more may help, but not before `wait` seconds.
    """

    error: ErpflowError
    again: bool = False
    wait: float = 0.0

    @property
    def undone(self) -> bool:
        """What was asked for cannot have been done, so even a write may be sent again."""
        return not getattr(self.error, "maybe_done", False)


class Transport:
    """Sends a connector's requests to one vendor. `clock` in seconds that never go back, `now` the wall clock.

    Without `private_networks` it reaches public addresses only (network.py).
    """

    def __init__(
        self,
        session: requests.Session,
        *,
        base_url: str,
        limiter: Limiter | None = None,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        max_body: int = 64 * 1024 * 1024,
        private_networks: bool = True,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self.base_url = checked_base_url(base_url)
        self.host = urlsplit(self.base_url).netloc
        self.limiter: Limiter = Unlimited() if limiter is None else limiter
        self.retries = retries or Retries()
        self._session = session
        self._timeouts = timeouts or Timeouts()
        self._max_body = max_body
        self._private_networks = private_networks
        self.clock = clock
        self._now, self._sleep, self._jitter, self._new_id = now, sleep, jitter, new_id
        # Vendors set session cookies on token calls (ERPNext: sid=Guest); sending them back could change who we are.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.cookies.clear()
        enforce_deadlines(session)
        self._maker = RequestMaker(session, base_url=self.base_url)
        # Proxies and certificates come from the environment once, not with every request; what the connection itself
        # says about certificates wins (requests would let REQUESTS_CA_BUNDLE win).
        verify = None if session.verify is True else session.verify
        self._wire = session.merge_environment_settings(self.base_url, {}, stream=True, verify=verify, cert=None)

    def wait(self, seconds: float) -> None:
        """Sleep, for vendors who have to be asked again whether something is ready."""
        self._sleep(seconds)

    def redact(self, text: str) -> str:
        """`text` without this connection's secrets."""
        return redact(text, secrets=secrets_of(self._session))

    def without_secrets(self, body: bytes) -> bytes:
        """What is about to land, without this connection's secrets: for vendors that echo a request in its answer."""
        return without_secrets(body, secrets=secrets_of(self._session))

    @property
    def auth(self) -> AuthBase | None:
        """What signs the requests; None when nothing does, or not by an auth class."""
        return self._session.auth if isinstance(self._session.auth, AuthBase) else None

    def before_closing(self, last: Callable[[], None]) -> None:
        """Calls `last` once, before the session is closed: to give back what is held open at the vendor."""
        close = self._session.close

        def closing() -> None:
            self._session.close = close  # type: ignore[method-assign]
            try:
                last()
            finally:
                close()

        self._session.close = closing  # type: ignore[method-assign]

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        judge: Judge | None = None,
        idempotent: bool | None = None,
        retries: Retries | None = None,
        cost: float = 1.0,
        limited: bool = True,
    ) -> Answer:
        """Sends one request and gives back the answer its judge accepted.

        `path` is already percent-encoded, and so is a `query` given as text. `cost`: what the vendor counts the request
        as; not `limited`: it passes by the limiter, whose owner may have closed it. `idempotent` (sent twice, it does
        what once does) defaults to what HTTP says of reading methods, and False for all others. A write is sent again
        only when it cannot have been done: it never left, or was refused; otherwise the error says so (`maybe_done`).
        Raises what the judge returned, RateLimited, VendorUnavailable, ProtocolError or ConfigError.
        """
        call = _Call(
            method=method,
            path=path,
            url=f"{self.base_url}{path}{_query(query)}",
            body=body,
            headers=dict(headers or {}),
            judge=judge or judge_by_status,
            repeatable=method in _IDEMPOTENT if idempotent is None else idempotent,
            retries=retries or self.retries,
            correlation_id=self._new_id(),
            cost=cost,
            most=self._max_body,
            limiter=self.limiter if limited else Unlimited(),
        )
        return self._answered(call)

    def stream(
        self,
        method: str,
        path: str,
        *,
        consume: Consumer[Taken],
        most: int,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        judge: Judge | None = None,
        idempotent: bool | None = None,
        retries: Retries | None = None,
    ) -> Taken:
        """Sends one request and hands out the body in pieces, at most `most` bytes of it: what `consume` makes of them.

        For answers too large to be held. Everything else is as in `request`. `consume` is called anew for every
        attempt, and sees only answers with a 2xx; all others are read whole and judged. What it raises is judged like
        the error of a judge: `VendorUnavailable` is tried again.
        """
        sink = _Sink(consume)
        self._answered(
            _Call(
                method=method,
                path=path,
                url=f"{self.base_url}{path}",
                body=body,
                headers=dict(headers or {}),
                judge=judge or judge_by_status,
                repeatable=method in _IDEMPOTENT if idempotent is None else idempotent,
                retries=retries or self.retries,
                correlation_id=self._new_id(),
                most=most,
                cost=1.0,
                limiter=self.limiter,
                sink=sink,
            )
        )
        return sink.taken()

    def _answered(self, call: _Call) -> Answer:
        """The answer to a call, after as many attempts as it takes and may take."""
        attempt, renewed = 1, False
        torn: ErpflowError | None = None  # a write of which an earlier attempt may have done what a later one did not
        while True:
            outcome = self._attempt(call)
            if not renewed and _is_refusal(outcome) and self._renewed():
                renewed = True  # a refused request was not carried out: even a write may be sent again
                log.info("credentials_renewed", **call.names)
                continue
            if isinstance(outcome, Answer):
                log.debug(
                    "answered", **call.names, status=outcome.status, seconds=round(outcome.latency, 3), attempt=attempt
                )
                return outcome
            wait = self._wait(call, outcome, attempt)
            if wait is None:
                raise self._redacted(torn or outcome.error)
            if call.method not in _IDEMPOTENT and getattr(outcome.error, "maybe_done", False):
                torn = outcome.error
            log.warning(
                "tried_again",
                **call.names,
                reason=str(self._redacted(outcome.error)),
                wait=round(wait, 2),
                attempt=attempt,
            )
            self._sleep(wait)
            attempt += 1

    def _renewed(self) -> bool:
        """Whether the session has other credentials now than those that were refused."""
        auth = self._session.auth
        try:
            return isinstance(auth, RenewableAuth) and auth.renew()
        except ErpflowError as error:
            raise self._redacted(error) from None

    def _wait(self, call: _Call, failure: _Failure, attempt: int) -> float | None:
        """Seconds to wait before the next attempt; None when there is none."""
        if attempt >= call.retries.attempts:
            return None
        backoff = min(call.retries.cap, call.retries.base * 2.0 ** (attempt - 1)) * self._jitter()
        if isinstance(failure.error, RateLimited):  # refused, so not done: even a write may be sent again
            asked = failure.error.retry_after
            return max(backoff, asked) if asked <= call.retries.patience else None
        return max(backoff, failure.wait) if failure.again and (call.repeatable or failure.undone) else None

    def _attempt(self, call: _Call) -> Answer | _Failure:
        for _ in range(_REDIRECTS + 1):
            try:
                outcome = self._held_back(call) or self._exchange(call)
            finally:
                call.limiter.done()
            if isinstance(outcome, _Failure) or outcome.status not in _REDIRECTING:
                break
            followed = self._redirected(call, outcome)
            if isinstance(followed, _Failure):
                return followed
            call = followed
        else:
            return _Failure(
                ProtocolError(f"{self.host} redirects {call.path} in a circle. Check the connection's host.")
            )
        if isinstance(outcome, _Failure) or (call.sink is not None and call.sink.is_full):
            return outcome
        return self._judged(call, outcome)

    def _held_back(self, call: _Call) -> _Failure | None:
        """Waits until a request may leave; why it may not, when that would take too long."""
        wait = call.limiter.acquire(call.cost)
        while wait <= call.retries.patience:
            if wait > 0:
                self._sleep(wait)
            wait = call.limiter.leave()
            if wait == 0:
                return None
        return _Failure(
            RateLimited(
                f"{call.method} {call.path} has to wait {wait:.0f} s for the limits of {self.host}; "
                "nothing was sent, and it is due again after that.",
                retry_after=wait,
            )
        )

    def _judged(self, call: _Call, answer: Answer) -> Answer | _Failure:
        error = call.judge(answer)
        if error is None:
            return answer
        asked = retry_after(answer, now=self._now())
        pause = None
        if isinstance(error, VendorUnavailable) and asked is not None and asked > call.retries.patience:
            pause = asked
            if call.repeatable or not error.maybe_done:  # a write that may be done was not merely put off
                error = RateLimited(str(error), retry_after=asked)
        elif isinstance(error, RateLimited):
            pause = error.retry_after = error.retry_after if asked is None else asked
        if pause is not None:
            log.warning("vendor_asked_to_wait", **call.names, status=answer.status, seconds=pause)
            call.limiter.pause(pause)  # the whole connection, not only this request
        return _Failure(error, again=_passes(error, status=answer.status), wait=asked or 0.0)

    def _exchange(self, call: _Call) -> Answer | _Failure:
        """One request, one answer. Errors are returned: raised from here they would carry URLs and headers along."""
        started = self.clock()
        deadline = Deadline(at=started + self._timeouts.total, clock=self.clock)
        try:
            request = self._maker.request(
                call.method, call.url, body=call.body, headers={CORRELATION_HEADER: call.correlation_id, **call.headers}
            )
            with within(deadline), self._reach():
                timeout = (min(self._timeouts.connect, self._timeouts.total), self._timeouts.read)
                response = self._maker.send(request, timeout=timeout, **self._wire)
                with response:
                    answer = Answer(
                        method=call.method,
                        path=call.path,
                        status=response.status_code,
                        headers=response.headers,
                        body=b"",
                        latency=self.clock() - started,
                        correlation_id=call.correlation_id,
                        authenticated="Authorization" in request.headers,
                    )
                    if call.sink is None or not 200 <= answer.status < 300:
                        pieces = list(_pieces(response.raw, limit=min(call.most, self._max_body)))
                        answer = replace(answer, body=pieces[0] if len(pieces) == 1 else b"".join(pieces))
                    else:
                        call.sink.fill(answer, _pieces(response.raw, limit=call.most))
        except _TooLarge as error:
            return _Failure(
                ProtocolError(
                    f"{self.host} answered {call.method} {call.path} with more than {error.limit:,} bytes; "
                    "reading stopped there. Ask for smaller pages.",
                    maybe_done=True,
                )
            )
        except ErpflowError as error:  # nothing was sent, for want of what to sign with; or the consumer's own
            return _Failure(error, again=isinstance(error, VendorUnavailable))
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:  # requests' own errors are OSErrors
            return self._broken(call, error)
        return replace(answer, latency=self.clock() - started)

    def _reach(self) -> AbstractContextManager[None]:
        return nullcontext() if self._private_networks else public_only(own_proxies=bool(self._session.proxies))

    def _broken(self, call: _Call, error: Exception) -> _Failure:
        reasons = _reasons(error)
        what = f"{call.method} {call.path} at {self.host}"
        if _any(reasons, ValueError, requests.exceptions.InvalidHeader) and not _any(reasons, *_NETWORK):
            return _Failure(
                ConfigError(
                    f"{what} cannot be sent: {type(error).__name__}. Check the connection's host, login and secret."
                )
            )
        if type(error) is OSError:  # requests' own word for a CA bundle or certificate that is not there
            return _Failure(
                ConfigError(f"{what} cannot be sent: {error}. Correct the connection's `verify` or `cert`.")
            )
        if _any(reasons, *_TLS) and not _any(reasons, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return _Failure(
                ProtocolError(
                    f"{what}: no trusted TLS connection ({reasons[-1]}). Check the host, or the connection's `verify`."
                )
            )
        if _any(reasons, urllib3.exceptions.DecodeError, requests.exceptions.ContentDecodingError):
            return _Failure(
                ProtocolError(f"{what}: the compressed body cannot be unpacked ({reasons[-1]}).", maybe_done=True)
            )
        left, rest = not _any(reasons, *_NEVER_LEFT), 0.0
        if _any(reasons, urllib3.exceptions.NameResolutionError):
            text = f"{what}: no such host. Check the connection's host."
        elif _any(reasons, *_TIMEOUTS) and not _any(reasons, ConnectionRefusedError):
            text = (
                f"{what} did not answer in time (to connect {self._timeouts.connect:g} s, between bytes "
                f"{self._timeouts.read:g} s, in all {self._timeouts.total:g} s)."
            )
            rest = self._timeouts.rest if left else 0.0
        else:
            text = f"{what}: the connection broke ({type(reasons[-1]).__name__}: {reasons[-1]})."
        if rest:
            self.limiter.pause(rest)
        error = VendorUnavailable(text + NOTHING_LOST, maybe_done=left)
        return _Failure(error, again=rest <= call.retries.patience)

    def _redirected(self, call: _Call, answer: Answer) -> _Call | _Failure:
        target = urljoin(call.url, answer.headers.get("Location", ""))
        here, there = urlsplit(call.url), urlsplit(target)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            return _Failure(
                ProtocolError(
                    f"{self.host} redirects {call.path} to {there.scheme}://{there.hostname}, and credentials are "
                    "not sent to another address. If that is the right one, make it the connection's host."
                )
            )
        if call.method not in _IDEMPOTENT or target == call.url:
            return _Failure(
                ProtocolError(
                    f"{self.host} redirects {call.method} {call.path} (HTTP {answer.status}). "
                    "Check the connection's host."
                )
            )
        return replace(call, url=target, path=there.path)

    def _redacted(self, error: ErpflowError) -> ErpflowError:
        secrets = secrets_of(self._session)
        error.args = tuple(redact(arg, secrets=secrets) if isinstance(arg, str) else arg for arg in error.args)
        return error


@dataclass(frozen=True, slots=True)
class _Call:
    """One request on its way, through all its attempts."""

    method: str
    path: str
    url: str = field(repr=False)
    body: bytes | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    judge: Judge
    repeatable: bool
    retries: Retries
    correlation_id: str
    most: int
    cost: float
    limiter: Limiter
    sink: _Sink[Any] | None = field(default=None, repr=False)

    @property
    def names(self) -> dict[str, str]:
        """What a log event says about it: never the query, never the body."""
        return {"method": self.method, "path": _shown(self.path), "correlation_id": self.correlation_id}


class _Sink(Generic[Taken]):
    """Where the body of a streamed answer goes, and what was made of it."""

    def __init__(self, consume: Consumer[Taken]) -> None:
        self._consume = consume
        self._taken: list[Taken] = []

    @property
    def is_full(self) -> bool:
        return bool(self._taken)

    def fill(self, answer: Answer, pieces: Iterator[bytes]) -> None:
        self._taken = [self._consume(answer, pieces)]

    def taken(self) -> Taken:
        """What the consumer made of the body. Raises ProtocolError for an accepted answer that was no 2xx."""
        if not self._taken:
            raise ProtocolError("The vendor's answer holds no body that could be read.", maybe_done=True)
        return self._taken[0]


def checked_base_url(url: str) -> str:
    """The address of a vendor without a trailing slash. Raises ConfigError when it is not an http(s) address."""
    try:
        parts = urlsplit(url.strip())
        sane = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sane = False
    if not sane:
        raise ConfigError(f"The host {redact(url)!r} is not an address. Write it like https://erp.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(
            f"The host {redact(url)!r} holds more than an address. "
            "Put the login and the secret in the connection's own fields."
        )
    return parts.geturl().rstrip("/")


@lru_cache(maxsize=1024)
def _shown(path: str) -> str:
    return redact(path)


def _query(query: Mapping[str, str] | str | None) -> str:
    text = query if isinstance(query, str) else urlencode(query or {})
    return f"?{text}" if text else ""


def _is_refusal(outcome: Answer | _Failure) -> bool:
    return isinstance(outcome, _Failure) and isinstance(outcome.error, AuthFailed)


def _passes(error: ErpflowError, *, status: int) -> bool:
    """Whether asking once more may help: an outage, or a refusal with a 4xx that the vendor is known to take back."""
    return isinstance(error, VendorUnavailable) and (not 400 <= status < 500 or not error.maybe_done)


class _TooLarge(Exception):
    """The body is larger than anybody asked for: than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit


_TLS: Final = (requests.exceptions.SSLError, urllib3.exceptions.SSLError)
_TIMEOUTS: Final = (TimeoutError, requests.exceptions.Timeout, urllib3.exceptions.TimeoutError)
_NEVER_LEFT: Final = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ConnectTimeoutError,
    requests.exceptions.ConnectTimeout,
    urllib3.exceptions.ProxyError,
)
"""No connection came to be, so no byte of the request was sent."""
_NETWORK: Final = (requests.exceptions.ConnectionError, requests.exceptions.Timeout, urllib3.exceptions.HTTPError)


def _pieces(raw: BaseHTTPResponse, *, limit: int) -> Iterator[bytes]:
    """The unpacked body in pieces as they arrive, and no more than the limit of it."""
    declared = raw.headers.get("Content-Length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _TooLarge(limit)
    size = 0
    while piece := raw.read1(_CHUNK_BYTES, decode_content=True):
        size += len(piece)
        if size > limit:
            raise _TooLarge(limit)
        yield piece
    raw.release_conn()


def _reasons(error: BaseException) -> list[BaseException]:
    """The error and what lies under it: requests wraps urllib3's, which wrap the socket's."""
    found: list[BaseException] = []
    pending: list[object] = [error]
    while pending:
        item = pending.pop(0)
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            pending += [getattr(item, "reason", None), *item.args, item.__cause__, item.__context__]
    return found


def _any(errors: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(error, kinds) for error in errors)
