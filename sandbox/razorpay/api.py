"""Razorpay's HTTP surface under `/v1`, as far as subscriptions go."""

import base64
import binascii
import hmac
import json
import logging
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.razorpay import checks, subscriptions
from sandbox.razorpay.answers import NO_SUCH_URL, Refusal, not_authenticated, refused, reply
from sandbox.razorpay.listing import listed
from sandbox.razorpay.state import Account, Book, Key
from sandbox.vendor import ASGIApp, app_of

log = logging.getLogger("sandbox.razorpay")

SCHEME = "Basic "  # case-strict


def create_app(account: Account) -> ASGIApp:
    """The account as an ASGI application."""
    return app_of(partial(handle, account))


async def handle(account: Account, request: Request) -> Response:
    try:
        key = identify(account, request.headers.get("authorization"))
        parts = request.scope["path"].strip("/").split("/")
        if parts[0] != "v1" or len(parts) < 2:
            raise no_such_url()
        given = await body_of(request) if request.method in ("POST", "PATCH", "PUT") else {}
        return reply(answer(account, key, request, parts[1:], given))
    except Refusal as refusal:
        return refused(refusal)
    except ClientDisconnect:
        raise
    except Exception:
        log.exception("%s %s failed in a way the sandbox did not foresee", request.method, request.scope["path"])
        error = {"code": "SERVER_ERROR", "description": "We are facing some trouble completing your request."}
        return reply({"error": error}, status=500)


def identify(account: Account, authorization: str | None) -> Key:
    """The key of a request. Raises Refusal."""
    if authorization is None or not authorization.startswith(SCHEME):
        raise not_authenticated()
    try:
        id_, colon, secret = base64.b64decode(authorization.removeprefix(SCHEME), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise not_authenticated() from None
    key = account.keys.get(id_)
    if key is None or not colon or not hmac.compare_digest(key.secret.encode(), secret.encode()):
        raise not_authenticated()
    return key


def no_such_url() -> Refusal:
    # The documentation lists the sentence with 400 as well; for a feature that is off, as 400 (UNVERIFIED).
    return Refusal(NO_SUCH_URL)


async def body_of(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if not raw:
        return {}
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Refusal("The request could not be read as JSON.")  # the words are UNVERIFIED
    return given


def answer(account: Account, key: Key, request: Request, parts: list[str], given: dict[str, Any]) -> Any:
    """What a request answers with. Raises Refusal."""
    book = account.books[key.mode]
    if parts == ["payments"] and request.method == "GET":
        return listed({}, request.query_params)
    if not key.subscribes:
        raise no_such_url()
    match (request.method, *parts):
        case ("POST", "plans"):
            return subscriptions.make_plan(account, book, given)
        case ("GET", "plans"):
            return listed(book.plans, request.query_params)
        case ("GET", "plans", id_):
            return checks.known(book.plans, id_)
        case ("POST", "subscriptions"):
            return subscriptions.subscribe(account, book, given)
        case ("GET", "subscriptions"):
            return listed(book.subscriptions, request.query_params, filters=("plan_id",))
        case ("GET", "subscriptions", id_):
            return checks.known(book.subscriptions, id_)
        case ("POST", "subscriptions", id_, ("cancel" | "pause" | "resume") as verb):
            return changed(account, book, id_, verb, given)
    raise no_such_url()


def changed(account: Account, book: Book, id_: str, verb: str, given: dict[str, Any]) -> dict[str, Any]:
    if verb == "cancel":
        return subscriptions.cancel(account, book, id_, given)
    if verb == "pause":
        return subscriptions.pause(account, book, id_, given)
    return subscriptions.resume(book, id_, given)
