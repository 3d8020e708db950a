"""What the vendor answers when it refuses: status, exc_type and messages as the captures show them."""

import json
from hashlib import sha224
from typing import Any

Message = dict[str, Any]  # one entry of _server_messages

FRAPPE = "frappe.exceptions"
CORE_FRAMES = ("app.py", "application"), ("api/__init__.py", "handle")


class FrappeError(Exception):
    """A refusal; `exc_type` and `status` decide how a client should react."""

    def __init__(
        self,
        exc_type: str,
        status: int,
        text: str = "",
        *,
        module: str = FRAPPE,
        messages: tuple[Message, ...] = (),
        error_message: str | None = None,
        from_app: bool = False,
        traced: bool = True,
        named: bool = True,
        cookies: str = "guest",
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(text)
        self.exc_type = exc_type
        self.status = status
        self.text = text
        self.module = module
        self.messages = messages
        self.error_message = error_message  # `_error_message`, only on missing permissions
        self.from_app = from_app  # `_exc_source`: the error was raised in ERPNext, not in the framework
        self.named = named  # False: `exception` shows the module alone before its text
        self.traced = traced  # 404 answers carry neither `exception` nor `exc`
        self.cookies = cookies  # which Set-Cookie lines go with it: guest, cleared or none
        self.extra = extra or {}

    @property
    def qualified(self) -> str:
        name = f"{self.module}.{self.exc_type}" if self.module else self.exc_type
        name = name if self.named else self.module
        return f"{name}: {self.text}" if self.text else name

    @property
    def traceback(self) -> str:
        """A traceback of the vendor's form; its frames are not the vendor's."""
        frames = "".join(f'  File "apps/frappe/frappe/{file}", in {name}\n' for file, name in CORE_FRAMES)
        return f"Traceback (most recent call last):\n{frames}{self.qualified}\n"


def raised(text: str, *, title: str = "Message") -> Message:
    """A message that was thrown, as `frappe.throw` leaves it."""
    digest = sha224(text.encode()).hexdigest()
    return {"message": text, "title": title, "indicator": "red", "raise_exception": 1, "__frappe_exc_id": digest}


def plain(text: str, *, title: str = "Message", **extra: Any) -> Message:
    """A message that was only shown, as `frappe.msgprint` leaves it."""
    return {"message": text, "title": title, **extra}


def encode_messages(messages: list[Message]) -> str:
    """`_server_messages`: a JSON string of a list of JSON strings."""
    return json.dumps([json.dumps(message) for message in messages])


def throw(text: str, *, exc_type: str = "ValidationError", title: str = "Message", **extra: Any) -> FrappeError:
    """What `frappe.throw` leads to: 417 and the text twice, in `exception` and in the messages."""
    return FrappeError(exc_type, extra.pop("status", 417), text, messages=(raised(text, title=title),), **extra)


def app_error(
    text: str, *, exc_type: str = "ValidationError", module: str = FRAPPE, title: str = "Message"
) -> FrappeError:
    """The same, thrown by ERPNext's own code in a save."""
    return throw(text, exc_type=exc_type, module=module, title=title, from_app=True)


def does_not_exist(doctype: str, name: str) -> FrappeError:
    text = f"{doctype} {name} not found"
    return FrappeError("DoesNotExistError", 404, text, messages=(raised(text),), traced=False)


def no_route() -> FrappeError:
    return FrappeError("DoesNotExistError", 404, traced=False)


def server_error(exc_type: str, text: str, *, module: str = "", **extra: Any) -> FrappeError:
    """A mistake of the client that the vendor answers with 500, or a fault of the server."""
    return FrappeError(exc_type, 500, text, module=module, **extra)


def bad_json(problem: json.JSONDecodeError, *, cookies: str = "guest") -> FrappeError:
    return server_error("JSONDecodeError", str(problem), module="json.decoder", cookies=cookies)


def unauthenticated() -> FrappeError:
    return FrappeError("AuthenticationError", 401, cookies="cleared")


def login_refused(message: str) -> FrappeError:
    return FrappeError("AuthenticationError", 401, cookies="none", extra={"message": message})


def not_whitelisted(function: str) -> FrappeError:
    text = (
        "<details><summary>You are not permitted to access this resource.</summary>"
        f"Function <strong>{function}</strong> is not whitelisted.</details>"
    )
    return throw(text, exc_type="PermissionError", title="Method Not Allowed", status=403)


def no_doctype_access(user: str, doctype: str) -> FrappeError:
    need = "does not have doctype access via role permission for document"
    text = f"User <strong>{user}</strong> {need} <strong>{doctype}</strong>"
    return FrappeError("PermissionError", 403, messages=(plain(text),), error_message=f"No permission for {doctype}")


def no_document_access(user: str, doctype: str, name: str | None, *, action: str) -> FrappeError:
    text = f"User <strong>{user}</strong> does not have access to this document: {doctype} - {name}"
    need = f"You need the '{action}' permission on <strong>{doctype}</strong> {name or ''} to perform this action."
    return FrappeError("PermissionError", 403, messages=(plain(text),), error_message=need)


def timestamp_mismatch(stored: str, now: str) -> FrappeError:
    return throw(
        f"Error: Document has been modified after you have opened it ({stored}, {now}). "
        "Please refresh to get the latest document.",
        exc_type="TimestampMismatchError",
    )


def link_exists(doctype: str, name: str, by: str, by_name: str, *, hint: str | None = None) -> FrappeError:
    """Something still links here; with a hint (`hint`), `exception` carries only the hint."""
    verb = "Cannot delete or cancel because"
    text = (
        f'{verb} {doctype} <a href="/app/Form/{doctype}/{name}">{name}</a> is linked with '
        f'{by} <a href="/app/Form/{by}/{by_name}">{by_name}</a> '
    )
    messages = (raised(text), raised(hint)) if hint else (raised(text),)
    return FrappeError("LinkExistsError", 417, hint or text, messages=messages)
