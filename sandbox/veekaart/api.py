"""The store's HTTP surface: the contract at the root, and the profile that was observed under `/api/sync`."""

import asyncio
import hashlib
import logging
import re
from functools import partial
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.veekaart import listing, posts
from sandbox.veekaart.answers import Refusal, encode, refused, refused_as_observed, reply, success, wire_time
from sandbox.veekaart.store import ApiKey, Kept, Store
from sandbox.vendor import ASGIApp, app_of

log = logging.getLogger("sandbox.veekaart")

API_VERSION = "2026-01"
TABLES = ("products", "inventory", "pricing")
OBSERVED = ["api", "sync"]
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


def create_app(store: Store) -> ASGIApp:
    """The store as an ASGI application."""
    return app_of(partial(handle, store))


async def handle(store: Store, request: Request) -> Response:
    parts = path_parts(request)
    is_observed = parts[:2] == OBSERVED
    request_id = request.headers.get("x-request-id") or store.next_request()
    try:
        if is_observed:
            response = await observed(store, request, parts[2:])
        else:
            response = await contract(store, request, parts)
    except Refusal as refusal:
        response = refused_as_observed(refusal) if is_observed else refused(refusal, request_id=request_id)
    except ClientDisconnect:
        raise
    except Exception:
        log.exception("%s %s failed in a way the sandbox did not foresee", request.method, request.scope["path"])
        response = refused(Refusal("server_error", "Internal server error"), request_id=request_id)
    response.headers["x-request-id"] = request_id
    return response


def path_parts(request: Request) -> list[str]:
    """The path split at its slashes, then decoded: a SKU may hold a slash."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return [unquote(part) for part in path.partition(b"?")[0].decode("latin-1").strip("/").split("/")]


# -- the contract -----------------------------------------------------------------------------------------------------


async def contract(store: Store, request: Request, parts: list[str]) -> Response:
    key = identify(store, request.headers.get("authorization"))
    wait = store.seconds_to_wait()
    if wait:
        raise Refusal("rate_limited", "Too many requests", wait=wait)
    if parts == ["ping"]:
        require(request, "GET")
        return reply(success(about(store)))
    if parts[0] not in TABLES or len(parts) > 2:
        raise Refusal("not_found", f"There is nothing at /{'/'.join(parts)}")
    table = parts[0]
    if len(parts) == 2 and parts[1]:
        require(request, "GET")
        return reply(success(listing.single(store, table, parts[1])))
    if request.method == "GET":
        return reply(success(listing.listed(store, table, request.query_params)))
    require(request, "POST")
    return await once(store, key, table, request)


def identify(store: Store, authorization: str | None) -> ApiKey:
    """The holder of the key. Raises Refusal (unauthorized, forbidden)."""
    kind, _, secret = (authorization or "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise Refusal("unauthorized", "Missing API key")
    key = store.keys.get(secret.strip())
    if key is None:
        raise Refusal("unauthorized", "Invalid API key")
    if key.refusal is not None:
        raise Refusal("forbidden", key.refusal)
    return key


def require(request: Request, method: str) -> None:
    if request.method != method:
        raise Refusal("method_not_allowed", "Method not allowed")


def about(store: Store) -> dict[str, object]:
    limits = {
        "max_batch": store.switches.max_batch,
        "requests_per_minute": store.switches.requests_per_minute,
    }
    return {
        "store_id": store.store_id,
        "store_name": store.title,
        "api_version": API_VERSION,
        "time": wire_time(store.clock.now()),
        "limits": limits,
    }


async def once(store: Store, key: ApiKey, table: str, request: Request) -> Response:
    """A post, done once for each Idempotency-Key: the first reply again for the same body."""
    body = await request.body()
    name = request.headers.get("idempotency-key")
    if name is None:
        status, answer = await work(store, table, body)
        return reply(answer, status=status)
    if not _KEY.fullmatch(name):
        raise Refusal("validation_error", "Idempotency-Key must be 1 to 64 of A-Z a-z 0-9 _ -", field="Idempotency-Key")
    fingerprint = hashlib.sha256(table.encode() + b"\n" + body).digest()
    kept = store.remembered(key.secret, name)
    if kept is not None:
        if kept.body != fingerprint:
            raise Refusal("idempotency_conflict", "Key used with a different body")
        if kept.answer is None:
            raise Refusal("idempotency_in_progress", "The first request with this key is still running")
        return reply(kept.answer[1], status=kept.answer[0], headers={"idempotent-replay": "true"})
    kept = store.kept[(key.secret, name)] = Kept(fingerprint, store.clock.now())
    try:
        kept.answer = await work(store, table, body)
    finally:
        if kept.answer is None:  # a refused request may come again with its key
            del store.kept[(key.secret, name)]
    status, answer = kept.answer
    return reply(answer, status=status)


async def work(store: Store, table: str, body: bytes) -> tuple[int, bytes]:
    """Try every row; the status and the body of the reply. Raises Refusal for a body that holds no rows."""
    rows = posts.rows_of(store, table, body)
    if store.switches.work_s:
        await asyncio.sleep(store.switches.work_s)
    try:
        return 200, success(posts.post(store, table, rows))
    except Refusal as refusal:
        answer = refused(refusal, request_id=store.next_request())
        return refusal.status, bytes(answer.body)


# -- the observed profile ----------------------------------------------------------------------------------------------


async def observed(store: Store, request: Request, parts: list[str]) -> Response:
    """Three posts and nothing else: no key is asked for, and the reply holds a number."""
    if len(parts) != 1 or parts[0] not in TABLES:
        raise Refusal("not_found", "Not found")
    if request.method != "POST":
        raise Refusal("method_not_allowed", "Method not allowed")
    wait = store.seconds_to_wait()
    if wait:
        raise Refusal("rate_limited", "Too many requests", wait=wait)
    rows = posts.rows_of(store, parts[0], await request.body())
    try:
        taken = posts.post(store, parts[0], rows)["synced_count"]
    except Refusal:
        taken = 0
    return reply(encode({"success": True, "data": {"synced_count": taken}}))
