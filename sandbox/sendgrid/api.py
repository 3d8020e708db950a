"""SendGrid's Web API v3, as far as sending goes. Source: Twilio's OpenAPI of mail/send, templates and scopes."""

import json
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.sendgrid.account import Account, ApiKey, Template
from sandbox.sendgrid.mail import Problem, problems
from sandbox.vendor import ASGIApp

LARGEST = 30 * 1024 * 1024
HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html"
UNVERIFIED_SENDER = (
    "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved."
)


class Refused(Exception):
    """A request that is refused: its status, and why."""

    def __init__(self, status: int, *found: Problem, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.status = status
        self.found = found
        self.headers = headers


class Api:
    """The handlers."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def send(self, request: Request) -> Response:
        """Queue a mail: 202 without a body, or 200 when only its form was to be looked at."""
        self._holder(request, "mail.send")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise Refused(415, ("Content-Type should be application/json.", None))
        raw = await request.body()
        if len(raw) > LARGEST:
            raise Refused(413, ("content too large", None))
        mail = _read(raw)
        limits = self._limited()
        found = problems(self.account, mail)
        if found:
            raise Refused(400, *found)
        if not self.account.may_send_as(mail["from"]["email"]):
            raise Refused(403, (UNVERIFIED_SENDER, "from"))
        if not self.account.switches.has_credits:
            raise Refused(401, ("Maximum credits exceeded", None))
        if ((mail.get("mail_settings") or {}).get("sandbox_mode") or {}).get("enable") is True:
            return Response(status_code=200, headers=limits)
        return Response(status_code=202, headers={**limits, "X-Message-Id": self.account.take(mail)})

    async def scopes(self, request: Request) -> Response:
        return JSONResponse({"scopes": list(self._holder(request).scopes)})

    async def templates(self, request: Request) -> Response:
        self._holder(request, "templates.read")
        listed = [_shown(each) for each in self.account.templates.values()]
        wanted = listed if "dynamic" in request.query_params.get("generations", "legacy").split(",") else []
        return JSONResponse({"result": wanted, "_metadata": {"count": len(wanted)}})

    async def template(self, request: Request) -> Response:
        self._holder(request, "templates.read")
        found = self.account.templates.get(request.path_params["id"])
        if found is None:
            raise Refused(404, ("not found", None))
        return JSONResponse(_shown(found))

    def _holder(self, request: Request, scope: str | None = None) -> ApiKey:
        kind, _, secret = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            raise Refused(401, ("authorization required", None))
        key = self.account.keys.get(secret.strip())
        if key is None:
            raise Refused(401, ("The provided authorization grant is invalid, expired, or revoked", None))
        if scope is not None and scope not in key.scopes:
            raise Refused(403, ("access forbidden", None))
        return key

    def _limited(self) -> dict[str, str]:
        """The headers of the limit. Raises Refused when it is spent."""
        found = self.account.limits(spend=True)
        if found is None:
            return {}
        limit, left, reset = found
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": str(reset),
        }
        if left < 0:
            raise Refused(429, ("too many requests", None), headers=headers)
        return headers


def create_app(account: Account) -> ASGIApp:
    """The account as an ASGI application."""
    api = Api(account)
    return Starlette(
        routes=[
            Route("/v3/mail/send", api.send, methods=["POST"]),
            Route("/v3/scopes", api.scopes, methods=["GET"]),
            Route("/v3/templates", api.templates, methods=["GET"]),
            Route("/v3/templates/{id}", api.template, methods=["GET"]),
        ],
        exception_handlers={Refused: _refused, HTTPException: _not_there},
    )


def _read(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused(400, ("Bad Request", None)) from None


def _shown(template: Template) -> dict[str, Any]:
    version = {"id": f"v-{template.id[2:]}", "active": int(template.is_active), "subject": template.subject}
    return {"id": template.id, "name": template.name, "generation": "dynamic", "versions": [version]}


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101  (it is registered for this class)
    errors = [{"message": message, "field": field, "help": HELP} for message, field in error.found]
    return JSONResponse({"errors": errors}, status_code=error.status, headers=error.headers)


async def _not_there(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (it is registered for this class)
    message = "method not allowed" if error.status_code == 405 else "not found"
    return JSONResponse({"errors": [{"message": message, "field": None}]}, status_code=error.status_code)
