"""Razorpay, asked for subscriptions. Its oddities: docs/systems/razorpay.md; its webhooks: razorpay_webhooks.py.

Source: razorpay/markdown-docs, api/understand.md, api/authentication.md, payments/subscriptions/*.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

import msgspec
import requests
from requests.auth import AuthBase, _basic_auth_str

from erpflow.connectors import network
from erpflow.connectors.account import Account
from erpflow.connectors.answer import Answer
from erpflow.connectors.base import LOGIN_AND_PASSWORD, CheckResult, ConnectorSpec, Limits, reported
from erpflow.connectors.razorpay_errors import NO_SUCH_ID, UNREADABLE, Refused, judge, unreadable
from erpflow.connectors.redaction import MASK
from erpflow.connectors.service import Service
from erpflow.connectors.signing import header_safe
from erpflow.connectors.transport import ONE_ATTEMPT, Retries, Timeouts, Transport
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import VendorRecord

LARGEST_PAGE: Final = 100  # a larger `count` is refused
MOST_PAGES: Final = 100
_VERSION: Final = "/v1"
_LIVE, _TEST = "rzp_live_", "rzp_test_"

_WRITING: Final = Retries(attempts=3, cap=4.0, patience=8.0)  # whoever asks for a subscription waits for it

T = TypeVar("T")


class Subscription(msgspec.Struct):
    """What of a subscription has to be there; `record` is all of it."""

    id: str
    created_at: int
    entity: str = "subscription"
    notes: dict[str, Any] | list[Any] = msgspec.field(default_factory=dict)
    record: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def own_notes(self) -> Mapping[str, Any]:
        """The notes by name: without one, Razorpay writes an empty list."""
        return self.notes if isinstance(self.notes, dict) else {}


class _Listed(msgspec.Struct):
    items: list[msgspec.Raw]


_SUBSCRIPTION: Final = msgspec.json.Decoder(Subscription)
_RECORD: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_LISTED: Final = msgspec.json.Decoder(_Listed)


class KeyAuth(AuthBase):
    """`Authorization: Basic …` of a key id and its secret. The word is case-strict at Razorpay."""

    def __init__(self, key_id: str | None, secret: str | None) -> None:
        """Raises ConfigError for what no header can carry."""
        self.key_id = header_safe(key_id, what="key id", spaces="")
        self._secret = header_safe(secret, what="key secret", spaces="")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return (self._secret, f"{self.key_id}:{self._secret}") if self._secret else ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = _basic_auth_str(self.key_id, self._secret)
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyAuth) and (self.key_id, self._secret) == (other.key_id, other._secret)

    def __hash__(self) -> int:
        return hash((self.key_id, self._secret))

    def __repr__(self) -> str:
        return f"KeyAuth({MASK})"


class Razorpay(Service):
    """One key of a Razorpay account: the key decides whether it is about test data or live data."""

    private_networks = False
    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="razorpay",
        title="Razorpay",
        auth=("basic",),
        entities={},
        limits=Limits(per_second=100.0, concurrent=4),  # none is published; the project's own ceiling
        settings={network.SETTING: "true lets its requests into private networks, where a test double may be."},
        credentials=LOGIN_AND_PASSWORD,
        timeouts=Timeouts(connect=5.0, read=25.0, total=30.0),
    )

    @classmethod
    def auth(cls, account: Account) -> KeyAuth:
        return KeyAuth(account.login, account.password)

    @classmethod
    def address(cls, account: Account) -> str:
        return account.address.rstrip("/").removesuffix(_VERSION)

    @classmethod
    def may_reach_private(cls, account: Account) -> bool:
        return network.allowed_by(account.extra.get(network.SETTING))

    def __init__(self, transport: Transport, *, page_size: int | None = None) -> None:
        super().__init__(transport, page_size=page_size)
        self._page = min(page_size or LARGEST_PAGE, LARGEST_PAGE)

    @property
    def mode(self) -> str:
        """Whose data the key opens, `test` or `live`: nothing of the one is ever seen in the other.

        Raises ConfigError for a key that does not say.
        """
        auth = self._transport.auth
        key_id = auth.key_id if isinstance(auth, KeyAuth) else ""
        for prefix, mode in ((_LIVE, "live"), (_TEST, "test")):
            if key_id.startswith(prefix):
                return mode
        raise ConfigError(
            f"The login of this connection is no key id of Razorpay: it begins with {_TEST} or {_LIVE}. Copy it again "
            "from Account & Settings, API keys."
        )

    @reported
    def check(self) -> CheckResult:
        mode = self.mode
        answer = self._ask("/payments", query={"count": "1"}, retries=ONE_ATTEMPT)
        _decode(answer, _LISTED)
        return CheckResult(success=True, message=f"Signed in to {mode} data", account=f"{mode} data")

    def create_subscription(self, values: VendorRecord) -> Subscription:
        """Make a subscription of what Razorpay calls its fields; amounts in the smallest unit, times in Unix seconds.

        There is no idempotency key for it: what may be done (`maybe_done` of the error) has to be looked up before it
        is sent again. Raises Refused for what Razorpay refuses, AuthFailed, PermissionDenied, RateLimited,
        VendorUnavailable, ProtocolError.
        """
        answer = self._transport.request(
            "POST",
            f"{_VERSION}/subscriptions",
            body=msgspec.json.encode(values),
            headers={"Content-Type": "application/json"},
            judge=judge,
            idempotent=False,
            retries=_WRITING,
        )
        return _subscription(answer, answer.body)

    def subscription(self, subscription_id: str) -> Subscription | None:
        """One subscription; None when the account has none of that id: Razorpay answers 400, not 404."""
        try:
            answer = self._ask(f"/subscriptions/{quote(subscription_id, safe='')}")
        except Refused as refused:
            if refused.problems[0].message == NO_SUCH_ID:
                return None
            raise
        return _subscription(answer, answer.body)

    def subscriptions_made(
        self, since: datetime, until: datetime, *, retries: Retries | None = None
    ) -> Iterator[Subscription]:
        """Those made between two moments, both included, the newest first (UNVERIFIED; nothing here depends on it).

        What is made meanwhile moves others to later pages, so one may come twice; none is left out, as none is ever
        deleted. Raises ProtocolError when there are more than may be looked through.
        """
        span = {"from": str(int(since.timestamp())), "to": str(int(until.timestamp()))}
        for number in range(MOST_PAGES):
            query = {**span, "count": str(self._page), "skip": str(number * self._page)}
            answer = self._ask("/subscriptions", query=query, retries=retries)
            items = _decode(answer, _LISTED).items
            yield from (_subscription(answer, bytes(item)) for item in items)
            if len(items) < self._page:  # there is no total and no `has_more`
                return
        raise ProtocolError(
            f"Razorpay has more than {MOST_PAGES * self._page:,} subscriptions made between {since:%Y-%m-%d %H:%M}Z "
            f"and {until:%Y-%m-%d %H:%M}Z, and they cannot be looked through."
        )

    def _ask(self, path: str, *, query: Mapping[str, str] | None = None, retries: Retries | None = None) -> Answer:
        return self._transport.request("GET", f"{_VERSION}{path}", query=query, judge=judge, retries=retries)


def moment(seconds: object) -> datetime | None:
    """A time of Razorpay's (Unix seconds) as aware UTC; None where there is none."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _subscription(answer: Answer, raw: bytes) -> Subscription:
    try:
        found = _SUBSCRIPTION.decode(raw)
        found.record = _RECORD.decode(raw)
    except UNREADABLE as error:
        raise unreadable(answer, error) from None
    if found.entity != "subscription" or not found.id.startswith("sub_"):
        raise unreadable(answer, ValueError("it is no subscription"))
    return found


def _decode(answer: Answer, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(answer.body)
    except UNREADABLE as error:
        raise unreadable(answer, error) from None
