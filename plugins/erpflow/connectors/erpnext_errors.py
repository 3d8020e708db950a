"""What Frappe means by its error answers. The status alone misleads: 417 is almost anything, 500 often our own mistake.

Source: captures of Frappe 15.55 (docs/systems/erpnext.md, "Errors").
"""

from __future__ import annotations

import html
import re
from typing import Final

import msgspec

from erpflow.connectors.answer import EXCERPT_CHARACTERS, Answer, excerpt, judge_by_status
from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    StaleVersion,
    VendorUnavailable,
)

_REFUSED: Final = frozenset({"AuthenticationError", "SessionExpired", "InvalidAuthorizationToken"})
_BUSY: Final = frozenset({"TooManyRequestsError", "RateLimitExceededError"})
_PASSING: Final = frozenset(
    {
        "QueryDeadlockError",
        "QueryTimeoutError",
        "SessionStopped",
        "InReadOnlyMode",
        "ConnectionError",
        "RedisWrappedError",
    }
)
_DATABASE: Final = frozenset({"OperationalError", "InterfaceError"})
# MariaDB: too many connections, shutting down, host blocked, lock wait, deadlock, and the client's own losses.
_LOST_DATABASE: Final = frozenset({0, 1040, 1053, 1129, 1205, 1213, 2002, 2003, 2006, 2013, 2055})
_DATABASE_CODE = re.compile(r"\((\d+),")
_DATABASE_GONE = re.compile(r"(?i)connection|server closed|terminating")  # PostgreSQL sites have no code
_DOING: Final = {"POST": "create", "PUT": "change", "DELETE": "delete"}
_TAG = re.compile(r"<[^>]*>")


class ErrorBody(msgspec.Struct):
    """The body of a v1 error. Any part may be absent: a 404 has no `exception`, an unknown route only `exc_type`."""

    exc_type: str | None = None
    exception: str | None = None
    server_messages: str | None = msgspec.field(name="_server_messages", default=None)
    error_message: str | None = msgspec.field(name="_error_message", default=None)

    @property
    def message(self) -> str:
        """What the site says, as plain text on one line."""
        told = " ".join(filter(None, map(plain, server_messages(self.server_messages or "[]"))))
        return told or plain(self.error_message or "") or plain((self.exception or "").partition(": ")[2])


class _Message(msgspec.Struct):
    message: str = ""


def error_body(body: bytes) -> ErrorBody | None:
    """A Frappe error body, or None: a proxy's page, or not an error of Frappe's at all."""
    try:
        found = msgspec.json.decode(body, type=ErrorBody)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if found.exc_type or found.exception else None


def server_messages(text: str) -> list[str]:
    """The messages in `_server_messages`, which is a JSON string of a list of JSON strings; they hold HTML."""
    try:
        inner = msgspec.json.decode(text, type=list[str])
        return [msgspec.json.decode(item, type=_Message).message for item in inner]
    except (msgspec.DecodeError, RecursionError):
        return [text]


def plain(text: str) -> str:
    """HTML as plain text on one line, at most 300 characters."""
    flat = " ".join(html.unescape(_TAG.sub(" ", text)).split())
    return flat if len(flat) <= EXCERPT_CHARACTERS else f"{flat[: EXCERPT_CHARACTERS - 1]}…"


def judge(answer: Answer) -> ErpflowError | None:
    """What an answer of Frappe's means: by `exc_type` first, then by status; None when it is not an error."""
    if 200 <= answer.status < 300:
        return None
    body = error_body(answer.body)
    if body is None:
        return _judge_foreign(answer)
    what = f"ERPNext answered {answer.method} {answer.path} with {body.exc_type or 'an error'} (HTTP {answer.status})"
    told = f": {body.message}" if body.message else ""
    return _judge_by_type(answer, body, said=f"{what}{told}") or _judge_by_status(answer, said=f"{what}{told}")


def _judge_by_type(answer: Answer, body: ErrorBody, *, said: str) -> ErpflowError | None:
    kind = body.exc_type
    if kind in _REFUSED:
        return _refused(said)
    if kind == "PermissionError":
        return _forbidden(answer, body, said=said)
    if kind in _BUSY:
        return RateLimited(f"{said}. The site's time budget is used up.", retry_after=60.0)
    if kind in _PASSING or (kind in _DATABASE and _database_lost(body.exception or "")):
        return VendorUnavailable(f"{said}. It passes; the run can be repeated.")
    if kind == "TimestampMismatchError":
        return StaleVersion(said)
    if kind == "DoesNotExistError":
        return ProtocolError(f"{said}. Check that the site has this DocType and that the API user may see it.")
    return None


def _judge_by_status(answer: Answer, *, said: str) -> ErpflowError:
    """For types nobody listed: a site's own apps raise their own. An unlisted 500 is a mistake that repeats itself."""
    by_status = judge_by_status(answer)
    if answer.status == 401:
        return _refused(said)
    if isinstance(by_status, PermissionDenied | RateLimited | VendorUnavailable):
        by_status.args = (f"{said}.",)
        return by_status
    return ProtocolError(f"{said}. The answer begins: {excerpt(answer.body)}")


def _judge_foreign(answer: Answer) -> ErpflowError | None:
    """An answer Frappe did not write: a proxy's page or the WSGI server's. Their plain 500 is a crash; it passes."""
    if answer.status == 500:
        return VendorUnavailable(
            f"{answer.method} {answer.path} was answered with HTTP 500 and no word of Frappe's. "
            f"{plain(excerpt(answer.body))}"
        )
    return judge_by_status(answer)


def _refused(said: str) -> AuthFailed:
    return AuthFailed(
        f"{said}. The API key or secret is wrong, or was generated anew. "
        "Generate keys in the API user's settings and put both into the connection."
    )


def _forbidden(answer: Answer, body: ErrorBody, *, said: str) -> AuthFailed | PermissionDenied:
    """Frappe answers a request without credentials, a guest's, with 403 and not 401."""
    if not answer.authenticated or " Guest " in f" {body.message} ":
        return AuthFailed(f"{said}. It came without credentials: put the API key and secret into the connection.")
    doing = "read" if answer.path.endswith("frappe.client.get_list") else _DOING.get(answer.method, "read")
    return PermissionDenied(f"{said}. Give the API user a role that may {doing} it.")


def database_code(exception: str) -> int | None:
    """MariaDB's number of an error, or None where there is none."""
    code = _DATABASE_CODE.search(exception)
    return int(code[1]) if code else None


def _database_lost(exception: str) -> bool:
    """Whether the site lost its database (passes), rather than was asked for a column it has not (never passes)."""
    code = database_code(exception)
    return bool(_DATABASE_GONE.search(exception)) if code is None else code in _LOST_DATABASE
