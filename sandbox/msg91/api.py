"""MSG91's API v5, as far as sending goes, with its refusals in the forms that were seen.

Sources: MSG91's help pages, its own WhatsApp SDK, and what several clients agree on; the exact forms of the balance and
of a missing key on Flow are UNVERIFIED.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.faults import UNAUTHORIZED
from sandbox.msg91.account import Account
from sandbox.vendor import ASGIApp

NO_TEMPLATE = "Template ID Missing or Invalid Template"
NUMBER = re.compile(r"\d{10,15}")


class Refused(Exception):
    """A request that is refused, with the answer to it."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class Api:
    """The handlers."""

    def __init__(self, account: Account) -> None:
        self.account = account

    async def flow(self, request: Request) -> Response:
        """An SMS by a template to each recipient: `message` is the request's id when it is taken."""
        self._let_in(request, request.headers.get("authkey"), is_whatsapp=False)
        raw = await request.body()
        body = _object(raw)
        template = self.account.sms.get(str(body.get("template_id") or body.get("flow_id")))
        if template is None or template.product != "flow":
            raise self._refused_sms(NO_TEMPLATE, "211")
        recipients = body.get("recipients") or ([body] if "mobiles" in body else [])
        numbers = [(each, number) for each in recipients if isinstance(each, dict) for number in _numbers(each)]
        if not numbers:
            raise self._refused_sms("Mobile numbers missing", "101")
        if any(not NUMBER.fullmatch(number) for _, number in numbers):
            raise self._refused_sms("Invalid mobile number", "202")
        sender = str(body.get("sender") or "")
        if sender and not re.fullmatch(r"[A-Za-z]{6}", sender):
            raise self._refused_sms("Invalid sender id", "203")
        if self.account.is_repeated(raw):
            raise self._refused_sms("Same request within 10 seconds", "311")
        self._pay(len(numbers))
        request_id = self.account.new_id(24)
        used = sender if template.sender_from_api else "FIRMAX"
        for each, number in numbers:
            reference = str(each.get("CRQID") or "")
            self.account.text_to(template, each, number, request_id=request_id, reference=reference, sender=used)
        return JSONResponse({"message": request_id, "type": "success"})

    async def bulk(self, request: Request) -> Response:
        """A WhatsApp template to each recipient; what is wrong with it shows afterwards."""
        self._let_in(request, request.headers.get("authkey"), is_whatsapp=True)
        body = _object(await request.body())
        template = (body.get("payload") or {}).get("template") if isinstance(body.get("payload"), dict) else None
        sends = template.get("to_and_components") if isinstance(template, dict) else None
        if body.get("integrated_number") not in self.account.numbers:
            raise Refused(_failed({"message": "Integrated number not found"}, status=400))
        if body.get("content_type") != "template" or not isinstance(template, dict) or not sends:
            raise Refused(_failed("Something went wrong", status=400))
        request_id = self.account.new_id(32)
        for each in sends:
            components = each.get("components")
            for number in each.get("to") or ():
                if not isinstance(components, dict):
                    raise Refused(_failed("Something went wrong", status=400))
                self.account.whatsapp_to(template, components, str(number), request_id=request_id)
        said = "Your request is in process, check delivery reports for status"
        return JSONResponse(
            {"status": "success", "hasError": False, "data": said, "errors": None, "request_id": request_id}
        )

    async def templates(self, request: Request) -> Response:
        self._let_in(request, request.headers.get("authkey"), is_whatsapp=True)
        if request.path_params["number"] not in self.account.numbers:
            raise Refused(_failed({"message": "Integrated number not found"}, status=400))
        listed = [
            {
                "name": each.name,
                "category": each.category,
                "status": each.status,
                "rejection_reason": None,
                "languages": [{"language": language} for language in each.languages],
            }
            for each in self.account.whatsapp.values()
        ]
        return JSONResponse({"status": "success", "hasError": False, "data": listed, "errors": None})

    async def balance(self, request: Request) -> Response:
        """The credits as a plain number; a refusal is an object."""
        self._let_in(request, request.query_params.get("authkey"), is_whatsapp=False)
        return PlainTextResponse(str(self.account.switches.balance))

    def _let_in(self, request: Request, key: str | None, *, is_whatsapp: bool) -> None:
        is_known = key in self.account.keys and not request.scope.get(UNAUTHORIZED)
        code = None if is_known and self.account.switches.on_the_list else "418" if is_known else "201"
        if code is not None and is_whatsapp:
            raise Refused(_unauthorized(code))
        if code is not None:
            said = "IP is not whitelisted" if code == "418" else "AuthenticationFailure"
            status = 401 if self.account.switches.refusal_status != 200 else 200
            raise Refused(JSONResponse({"message": said, "type": "error", "code": code}, status_code=status))
        if self.account.is_over_the_limit():
            wait = self.account.switches.retry_after
            headers = {} if wait is None else {"Retry-After": str(wait)}
            raise Refused(JSONResponse({"message": "Too Many Requests"}, status_code=429, headers=headers))

    def _pay(self, credits: int) -> None:
        if self.account.switches.balance < credits:
            raise self._refused_sms("Insufficient balance", "301")
        self.account.switches.balance -= credits

    def _refused_sms(self, message: str, code: str) -> Refused:
        """The text alone for a bad template, as it was seen; with a code for the others (UNVERIFIED)."""
        body = {"message": message, "type": "error"} | ({"code": code} if code != "211" else {})
        return Refused(JSONResponse(body, status_code=self.account.switches.refusal_status))


def create_app(account: Account) -> ASGIApp:
    """The account as an ASGI application."""
    api = Api(account)
    whatsapp = "/api/v5/whatsapp"
    return Starlette(
        routes=[
            Route("/api/v5/flow", api.flow, methods=["POST"]),
            Route("/api/v5/flow/", api.flow, methods=["POST"]),
            Route(f"{whatsapp}/whatsapp-outbound-message/bulk/", api.bulk, methods=["POST"]),
            Route(f"{whatsapp}/get-template-client/{{number}}", api.templates, methods=["GET"]),
            Route("/api/balance.php", api.balance, methods=["GET"]),
        ],
        exception_handlers={Refused: _answered},
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refused(JSONResponse({"message": "Invalid JSON", "type": "error"}, status_code=400))
    return body


def _numbers(recipient: Mapping[str, Any]) -> list[str]:
    return [part.strip() for part in str(recipient.get("mobiles") or "").split(",") if part.strip()]


def _failed(errors: Any, *, status: int) -> Response:
    return JSONResponse({"status": "fail", "hasError": True, "data": None, "errors": errors}, status_code=status)


def _unauthorized(code: str) -> Response:
    said = {"status": "fail", "hasError": True, "errors": "Unauthorized", "code": "401", "apiError": code}
    return JSONResponse(said, status_code=401)


async def _answered(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # noqa: S101  (it is registered for this class)
    return error.answer
