"""Answers as the store writes them: the envelope of the contract, and the two words of the observed profile."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from starlette.responses import Response

STATUSES = {
    "invalid_json": 400, "validation_error": 400, "batch_too_large": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "idempotency_conflict": 409, "idempotency_in_progress": 409,
    "payload_too_large": 413,
    "all_rows_invalid": 422,
    "rate_limited": 429,
    "server_error": 500,
}  # fmt: skip

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Refusal(Exception):
    """A request that is refused as a whole. `wait`: seconds for Retry-After; `data`: what goes along."""

    def __init__(
        self, code: str, message: str, *, field: str | None = None, wait: int | None = None, data: Any = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.wait = wait
        self.data = data

    @property
    def status(self) -> int:
        return STATUSES[self.code]


def encode(value: Any) -> bytes:
    """JSON with amounts as numbers of exactly their digits."""
    return _encode(value)


def reply(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def success(data: Any) -> bytes:
    return encode({"success": True, "data": data})


def refused(refusal: Refusal, *, request_id: str) -> Response:
    """The error envelope of the contract."""
    error = {"code": refusal.code, "message": refusal.message, "field": refusal.field, "details": None}
    body: dict[str, Any] = {"success": False, "error": error, "request_id": request_id}
    if refusal.data is not None:
        body["data"] = refusal.data
    headers = {} if refusal.wait is None else {"retry-after": str(refusal.wait)}
    return reply(encode(body), status=refusal.status, headers=headers)


def refused_as_observed(refusal: Refusal) -> Response:
    """The error of the observed profile: a sentence, and details."""
    headers = {} if refusal.wait is None else {"retry-after": str(refusal.wait)}
    body = encode({"error": refusal.message, "details": refusal.field})
    return reply(body, status=refusal.status, headers=headers)


def wire_time(moment: datetime) -> str:
    """A time as the store writes it: `2026-01-19T05:00:00.123456Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def plain(value: Decimal | int) -> Decimal:
    """A number without zeros behind its last digit: 18 and not 18.00."""
    number = Decimal(value).normalize()
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number
