"""Answers as the vendor's web server sends them: JSON bodies, error envelopes of v1 and v2, cookies, HTML pages."""

import html
import json
from typing import Any

from starlette.responses import Response

from sandbox.erpnext.auth import NOBODY, Identity, cookies
from sandbox.erpnext.errors import FrappeError, encode_messages
from sandbox.erpnext.site import Call

SERVER = ("server", "gunicorn")
SEPARATORS = (",", ":")
READ_SIZE = 8192  # gunicorn complains about what it has read so far


def respond(
    body: bytes,
    *,
    status: int = 200,
    media_type: str = "application/json",
    identity: Identity = NOBODY,
    cookie_kind: str = "guest",
) -> Response:
    response = Response(body, status_code=status, headers={"content-type": media_type, SERVER[0]: SERVER[1]})
    for line in cookies(identity, cookie_kind):
        response.raw_headers.append((b"set-cookie", line.encode("latin-1")))
    return response


def encode(body: Any) -> bytes:
    """JSON as the vendor writes it: no spaces, everything beyond ASCII escaped."""
    return json.dumps(body, separators=SEPARATORS).encode()


def answer(call: Call, body: dict[str, Any], *, status: int = 200, identity: Identity = NOBODY) -> Response:
    """A success, with the messages the request has left (v1 only: v2 was not seen to send them)."""
    if call.messages and call.version == 1:
        body = {**body, "_server_messages": encode_messages(call.messages)}
    return respond(encode(body), status=status, identity=identity)


def refuse(error: FrappeError, *, version: int = 1, identity: Identity = NOBODY) -> Response:
    body = error_v2(error) if version == 2 else error_v1(error)
    return respond(encode(body), status=error.status, identity=identity, cookie_kind=error.cookies)


def error_v1(error: FrappeError) -> dict[str, Any]:
    body: dict[str, Any] = dict(error.extra)
    if error.traced:
        body["exception"] = error.qualified
    body["exc_type"] = error.exc_type
    if error.from_app:
        body["_exc_source"] = "erpnext (app)"
    if error.traced:
        body["exc"] = json.dumps([error.traceback])
    if error.messages:
        body["_server_messages"] = encode_messages(list(error.messages))
    if error.error_message:
        body["_error_message"] = error.error_message
    return body


def error_v2(error: FrappeError) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": error.exc_type}
    if error.traced:
        entry["exception"] = error.traceback
    if error.messages:
        last = error.messages[-1]
        entry |= {key: last[key] for key in ("message", "title", "indicator") if key in last}
    return {"errors": [entry]}


def bad_request_page(length: int, limit: int) -> Response:
    """What gunicorn says to a request line over its limit, before the application sees anything."""
    seen = min(length, READ_SIZE)
    reason = html.escape(f"Request Line is too large ({seen} > {limit})")
    page = (
        "<html>\n  <head>\n    <title>Bad Request</title>\n  </head>\n  <body>\n"
        f"    <h1><p>Bad Request</p></h1>\n    {reason}\n  </body>\n</html>\n"
    )
    return Response(page, status_code=400, headers={"content-type": "text/html", "connection": "close"})
