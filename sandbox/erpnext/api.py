"""The site's HTTP surface: `/api`, `/api/v1`, `/api/v2`, private files, and the old `/?cmd=`."""

import logging
from functools import partial
from typing import Any
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sandbox.erpnext import documents, limiter, listing, meta, methods, trash
from sandbox.erpnext.answers import answer, bad_request_page, refuse, respond
from sandbox.erpnext.auth import NOBODY, Identity, identify
from sandbox.erpnext.errors import FrappeError, no_route, server_error, throw
from sandbox.erpnext.forms import Arguments, read_arguments
from sandbox.erpnext.query import read_query
from sandbox.erpnext.render import as_dict
from sandbox.erpnext.site import Call, Site
from sandbox.vendor import ASGIApp, app_of

log = logging.getLogger("sandbox.erpnext")

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
READ_ONLY = (
    "Site is running in read only mode for maintenance or site update, this action can not be performed right now. "
    "Please try again later."
)


def create_app(site: Site) -> ASGIApp:
    """The site as an ASGI application; its paths start at `/api`."""
    return app_of(partial(handle, site))


async def handle(site: Site, request: Request) -> Response:
    line = len(request.method) + len(raw_path(request)) + len(" HTTP/1.1") + 1
    if line > site.switches.request_line_limit:
        return bad_request_page(line, site.switches.request_line_limit)
    version = 2 if path_parts(request)[:2] == ["api", "v2"] else 1
    identity = NOBODY
    metered = None
    try:
        arguments = await read_arguments(request)
        check_up(site)
        metered = limiter.begin(site)
        limiter.check(metered)
        identity = identify(site, request.headers.get("authorization"), request.headers.get("cookie"))
        method = "GET" if request.method == "HEAD" else request.method  # the server drops the body of a HEAD
        call = Call(site, identity.user, method, version)
        response = dispatch(call, identity, path_parts(request), arguments)
    except FrappeError as error:
        response = refuse(error, version=version, identity=identity)
    except ClientDisconnect:
        raise
    except Exception as error:  # the vendor answers any Python error as 500 with its name
        log.exception("%s %s failed in a way the sandbox did not foresee", request.method, request.scope["path"])
        response = refuse(server_error(type(error).__name__, str(error)), version=version, identity=identity)
    limiter.finish(site, metered, response)
    return response


def raw_path(request: Request) -> bytes:
    """The path and query as they were sent, without the prefix the site is mounted under."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return path + (b"?" + query if query else b"")


def path_parts(request: Request) -> list[str]:
    """The path split at its slashes, still percent-encoded: a name may hold a slash."""
    return raw_path(request).partition(b"?")[0].decode("latin-1").strip("/").split("/")


def check_up(site: Site) -> None:
    """Raises FrappeError for a site in maintenance (503) or without its database (500); both before any login."""
    if site.switches.maintenance:
        raise FrappeError("SessionStopped", 503, "Session Stopped", cookies="none")
    if site.switches.database_down:
        text = "(2003, \"Can't connect to MySQL server on 'DB_HOST' ([Errno 111] Connection refused)\")"
        raise server_error("OperationalError", text, module="pymysql.err", cookies="none")


def dispatch(call: Call, identity: Identity, parts: list[str], arguments: Arguments) -> Response:
    if parts[0] == "private" and parts[1:2] == ["files"]:
        return download(call, "/" + "/".join(parts))
    if parts == [""] and "cmd" in arguments.values:
        return run_method(call, identity, str(arguments.values.pop("cmd")), arguments)
    if parts[0] != "api" or len(parts) < 3:
        raise no_route()
    rest = [unquote(part) for part in parts[1:]]
    if call.version == 2:
        return dispatch_v2(call, identity, rest[1:], arguments)
    return dispatch_v1(call, identity, rest[1:] if rest[0] == "v1" else rest, arguments)


def dispatch_v1(call: Call, identity: Identity, rest: list[str], arguments: Arguments) -> Response:
    kind, *tail = rest
    if kind == "method" and tail:
        return run_method(call, identity, "/".join(tail).rstrip("/"), arguments)
    if kind != "resource" or not tail or call.method == "PATCH":
        raise no_route()
    doctype, name = tail[0], "/".join(tail[1:]).rstrip("/")
    if not name:
        return collection(call, identity, doctype, arguments)
    return single(call, identity, doctype, name, arguments)


def dispatch_v2(call: Call, identity: Identity, rest: list[str], arguments: Arguments) -> Response:
    kind, *tail = rest or [""]
    tail = [part for part in tail if part]
    if kind == "method" and tail:
        return run_method(call, identity, "/".join(tail), arguments)
    if kind == "doctype" and len(tail) == 2 and tail[1] in ("meta", "count"):
        return about_doctype(call, identity, tail[0], tail[1], arguments)
    if kind != "document" or not tail:
        raise no_route()
    if len(tail) >= 4 and tail[-2] == "method":
        return document_method(call, identity, tail[0], "/".join(tail[1:-2]), tail[-1])
    if len(tail) == 1:
        return collection(call, identity, tail[0], arguments)
    return single(call, identity, tail[0], "/".join(tail[1:]), arguments)


# -- resources --------------------------------------------------------------------------------------------------------


def collection(call: Call, identity: Identity, doctype: str, arguments: Arguments) -> Response:
    """List or create."""
    if call.method == "GET":
        query = read_query(call.site, doctype, arguments.values, version=call.version)
        return answer(call, {"data": listing.run(call, query)}, identity=identity)
    if call.method != "POST":
        raise no_route()
    check_writable(call)
    with call.site.transaction():
        saved = documents.insert(call, doctype, arguments.document())
    return answer(call, {"data": saved.shown()}, identity=identity)


def single(call: Call, identity: Identity, doctype: str, name: str, arguments: Arguments) -> Response:
    """Read, update, delete, or run a method of one document."""
    if call.method == "GET":
        return answer(call, {"data": read_one(call, doctype, name)}, identity=identity)
    check_writable(call)
    if call.method == "POST":
        method = arguments.document().get("run_method") or arguments.values.get("run_method")
        return document_method(call, identity, doctype, name, str(method))
    with call.site.transaction():
        if call.method == "DELETE":
            trash.delete(call, doctype, name)
            return answer(call, {"data": "ok"}, status=202, identity=identity)
        values = arguments.document()
        saved = documents.update(call, doctype, name, values)
    return answer(call, {"data": saved.shown()}, identity=identity)


def read_one(call: Call, doctype: str, name: str) -> dict[str, Any]:
    """A document with its child tables; a DocType document is made from what the site knows about itself."""
    if doctype == "DocType":
        return meta.doctype_document(call, name)
    doc = documents.load(call, doctype, name)
    documents.require(call, "read", doctype, doc.name)
    return as_dict(doc, loaded=True)


def document_method(call: Call, identity: Identity, doctype: str, name: str, method: str) -> Response:
    """Methods of a document that may be called from outside: submit and cancel.

    Raises FrappeError (403) for any other.
    """
    check_writable(call)
    stored = documents.load(call, doctype, name)
    becomes = {"submit": 1, "cancel": 2}.get(method)
    if becomes is None:
        raise throw("Not permitted", exc_type="PermissionError", status=403)
    with call.site.transaction():
        saved = documents.save(call, stored, {"docstatus": becomes})
    return answer(call, {"data": saved.shown()}, identity=identity)


def check_writable(call: Call) -> None:
    """Raises FrappeError (503 InReadOnlyMode) while the site is in read-only mode."""
    if call.site.switches.read_only and call.method in WRITES:
        raise throw(READ_ONLY, exc_type="InReadOnlyMode", title="In Read Only Mode", status=503)


def about_doctype(call: Call, identity: Identity, doctype: str, what: str, arguments: Arguments) -> Response:
    if what == "meta":
        return answer(call, {"data": meta.doctype_meta(call, doctype)}, identity=identity)
    query = read_query(call.site, doctype, arguments.values)
    return answer(call, {"data": listing.count(call, query)}, identity=identity)


# -- methods and files ------------------------------------------------------------------------------------------------


def run_method(call: Call, identity: Identity, name: str, arguments: Arguments) -> Response:
    """A whitelisted function by its dotted path; its result goes under `message` (v1) or `data` (v2)."""
    done = methods.run(call, identity, name, arguments)
    body: dict[str, Any] = {} if done.result is None else {"data" if call.version == 2 else "message": done.result}
    return answer(call, {**body, **done.extra}, identity=done.identity)


def download(call: Call, path: str) -> Response:
    content = call.site.files.get(unquote(path))
    if content is None or call.user == "Guest":
        raise FrappeError("PermissionError", 403, "You don't have permission to access this file")
    response = respond(content, media_type="text/plain; charset=utf-8")
    del response.headers["content-length"]  # sent in chunks, as the vendor streams files
    return response
