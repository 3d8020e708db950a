"""Subscriptions at Razorpay, made once for each key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Path, Query, Request
from pydantic import AwareDatetime, Field, StringConstraints, field_validator

from erpflow.api.bodies import After, Answer, Body, Limit, Page, page_of
from erpflow.api.callers import Looking, Running
from erpflow.api.idempotency import HEADER, IdempotentRoute
from erpflow.api.problems import ApiError, not_found
from erpflow.api.surroundings import surroundings_of
from erpflow.api.vendors.whose import WhichConnection, own_connection
from erpflow.connectors.base import Connector
from erpflow.connectors.razorpay import Razorpay, moment
from erpflow.errors import ConfigError
from erpflow.services.payments.money import minor_units
from erpflow.services.payments.subscriptions import NOTE, Desk, KeyReused, Subscribed
from erpflow.store import listing, payment_requests
from erpflow.store.payment_requests import RequestState

router = APIRouter(tags=["razorpay"], route_class=IdempotentRoute)

SYSTEM = "razorpay"
OWN_NOTES = 14
"""Razorpay takes 15, and ours is one of them."""
MOST = 2**31 - 1
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

Mode = Literal["test", "live"]
Text = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]+$")]
Key = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")]
PlanId = Annotated[str, StringConstraints(pattern=r"^plan_[A-Za-z0-9]{14}$")]
OfferId = Annotated[str, StringConstraints(pattern=r"^offer_[A-Za-z0-9]{14}$")]
SubscriptionId = Annotated[str, Path(max_length=64, pattern=r"^[A-Za-z0-9_-]+$", description="As Razorpay calls it")]
Moment = Annotated[AwareDatetime, Field(description="With an offset; whole seconds count")]


class AddonItem(Body):
    """What is charged once, with the first payment. `amount` in the currency's own unit: 99.50 are 99 rupees and 50."""

    name: Text
    amount: Decimal = Field(gt=0, max_digits=18)
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217")


class Addon(Body):
    """A charge on top of the plan."""

    item: AddonItem


class NotifyInfo(Body):
    """Whom Razorpay sends the link to."""

    notify_phone: str | None = Field(default=None, pattern=r"^\+?[0-9]{8,15}$")
    notify_email: str | None = Field(default=None, max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")


class SubscriptionWanted(Body):
    """A subscription to a plan. `key` is yours: with one key it is made once, however often it is asked for.

    Without a `key` the header Idempotency-Key counts as one; without either each request makes another subscription.
    """

    plan_id: PlanId
    total_count: int = Field(ge=1, le=MOST)
    quantity: int | None = Field(default=None, ge=1, le=MOST)
    start_at: Moment | None = None
    expire_by: Moment | None = None
    customer_notify: bool | None = None
    addons: list[Addon] = Field(default=[], max_length=50)
    offer_id: OfferId | None = None
    notes: dict[Text, Text] = Field(default={}, max_length=OWN_NOTES)
    notify_info: NotifyInfo | None = None
    key: Key | None = None

    @field_validator("notes")
    @classmethod
    def without_ours(cls, notes: dict[str, str]) -> dict[str, str]:
        """Refuse the note that is ours."""
        if NOTE in notes:
            raise ValueError(f'the note "{NOTE}" is set by erpflow')
        return notes

    @field_validator("start_at", "expire_by")
    @classmethod
    def later_than_any_clock(cls, at: datetime | None) -> datetime | None:
        """Refuse what can only be a mistake; whether it is still to come is for Razorpay's clock to say."""
        if at is not None and at < EARLIEST:
            raise ValueError("it lies before the year 2000")
        return at


class RazorpaySubscription(Answer):
    """A subscription as Razorpay has it. Times in UTC; `short_url` is where the customer agrees."""

    id: str
    plan_id: str | None = None
    customer_id: str | None = None
    offer_id: str | None = None
    status: str | None = None
    quantity: int | None = None
    total_count: int | None = None
    paid_count: int | None = None
    remaining_count: int | None = None
    customer_notify: bool | None = None
    short_url: str | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    charge_at: datetime | None = None
    current_start: datetime | None = None
    current_end: datetime | None = None
    expire_by: datetime | None = None
    ended_at: datetime | None = None
    created_at: datetime | None = None
    notes: dict[str, str] = Field(default_factory=dict)


class SubscriptionMade(Answer):
    """The subscription of a key. `repeated`: an earlier request made it; it is shown as it was then."""

    key: str
    mode: Mode
    repeated: bool
    subscription: RazorpaySubscription


class SubscriptionRequest(Answer):
    """What is known of a request. `unknown`: send it again with its key; `rejected`: nothing was made."""

    id: str
    connection_id: str | None
    key: str
    mode: Mode
    state: RequestState
    remote_id: str | None
    error: str | None
    attempts: int
    requested_by: str
    created_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None


@router.post("/subscriptions")
def subscribe_at_razorpay(
    request: Request, caller: Running, body: SubscriptionWanted, connection_id: WhichConnection = None
) -> SubscriptionMade:
    """Make a subscription, once: the same key with the same body gets the first answer, with another body a 409.

    What Razorpay refuses is a 422 in its own words. When nobody knows whether it was made it is a 502 that says so:
    send the same again, and it is looked for at Razorpay before anything is sent.
    """
    around = surroundings_of(request)
    values = values_of(body)
    row = own_connection(around, caller, SYSTEM, connection_id)
    key = body.key or request.headers.get(HEADER) or str(uuid4())
    with around.connect(row) as vendor:
        desk = Desk(around.database, _razorpay(vendor), caller.tenant_id, row.id, caller.name)
        try:
            made = desk.subscribe(values, key=key)
        except KeyReused as error:
            raise ApiError(HTTPStatus.CONFLICT, "key_reused", str(error), field="key") from None
    return _made(made)


@router.get("/subscriptions")
def list_razorpay_requests(
    request: Request,
    caller: Looking,
    state: RequestState | None = None,
    key: Annotated[str | None, Query(max_length=255)] = None,
    limit: Limit = 50,
    after: After = None,
) -> Page[SubscriptionRequest]:
    """What was asked for and what became of it, the newest first; `state=unknown` is what somebody has to send again.

    Razorpay is not asked.
    """
    with surroundings_of(request).database.session(caller.tenant_id) as store:
        found = listing.page(store, payment_requests.LISTING, limit=limit, after=after, state=state, key=key)
    return Page[SubscriptionRequest].model_validate(page_of(found))


@router.get("/subscriptions/{subscription_id}")
def get_razorpay_subscription(
    request: Request, caller: Looking, subscription_id: SubscriptionId, connection_id: WhichConnection = None
) -> RazorpaySubscription:
    """A subscription as Razorpay has it now."""
    around = surroundings_of(request)
    row = own_connection(around, caller, SYSTEM, connection_id)
    with around.connect(row) as vendor:
        found = _razorpay(vendor).subscription(subscription_id)
    if found is None:
        raise not_found("subscription", subscription_id)
    return shown(found.record)


def values_of(body: SubscriptionWanted) -> dict[str, Any]:
    """A request as Razorpay takes it. Raises 422 for an amount that its currency does not have."""
    given = body.model_dump(exclude_none=True, exclude_defaults=True, exclude={"key", "addons"})
    for name in ("start_at", "expire_by"):
        if name in given:
            given[name] = int(given[name].timestamp())
    if body.addons:
        given["addons"] = [{"item": _item(each.item, number)} for number, each in enumerate(body.addons)]
    return given


def _item(item: AddonItem, number: int) -> dict[str, Any]:
    try:
        amount = minor_units(item.amount, item.currency)
    except ValueError as error:
        field = f"addons.{number}.item.amount"
        raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", f"{field}: {error}.", field=field) from None
    return {"name": item.name, "amount": amount, "currency": item.currency}


def _razorpay(vendor: Connector) -> Razorpay:
    if not isinstance(vendor, Razorpay):
        raise ConfigError(f"This needs a connection to Razorpay, not to {vendor.spec.title}.")
    return vendor


def _made(made: Subscribed) -> SubscriptionMade:
    return SubscriptionMade.model_validate(
        {"key": made.key, "mode": made.mode, "repeated": made.repeated, "subscription": shown(made.subscription)}
    )


_TEXTS = ("id", "plan_id", "customer_id", "offer_id", "status", "short_url")
_NUMBERS = ("quantity", "total_count", "paid_count", "remaining_count")
_TIMES = (
    "start_at", "end_at", "charge_at", "current_start", "current_end", "expire_by", "ended_at", "created_at",
)  # fmt: skip
_YES_OR_NO = {"True": True, "1": True, "False": False, "0": False}


def shown(record: Mapping[str, Any]) -> RazorpaySubscription:
    """A subscription in our words: what Razorpay writes in an unforeseen way is left out, and not the whole lost."""
    notes = record.get("notes")
    told = record.get("customer_notify")  # true, or 1
    return RazorpaySubscription.model_validate(
        {
            **{name: record.get(name) for name in _TEXTS if isinstance(record.get(name), str)},
            **{name: record.get(name) for name in _NUMBERS if _is_whole(record.get(name))},
            **{name: moment(record.get(name)) for name in _TIMES},
            "customer_notify": _YES_OR_NO.get(str(told)),
            "notes": {str(name): str(text) for name, text in notes.items()} if isinstance(notes, dict) else {},
        }
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
