"""Textract's HTTP surface: one address, the operation in `X-Amz-Target`."""

import base64
import binascii
import hashlib
import json
import logging
import re
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.aws_textract import reading
from sandbox.aws_textract.answers import Refusal, refused, reply
from sandbox.aws_textract.documents import lines_of
from sandbox.aws_textract.signature import verify
from sandbox.aws_textract.state import Textract
from sandbox.vendor import ASGIApp, app_of

log = logging.getLogger("sandbox.aws_textract")

PREFIX = "/aws_textract"  # where the sandbox serves it: a client signs the whole path
OPERATIONS = ("AnalyzeExpense", "DetectDocumentText", "AnalyzeDocument", "GetExpenseAnalysis")
_JOB = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def create_app(textract: Textract) -> ASGIApp:
    """Textract as an ASGI application."""
    return app_of(partial(handle, textract))


async def handle(textract: Textract, request: Request) -> Response:
    body = await request.body()
    try:
        path = f"{PREFIX}{request.scope['path']}".rstrip("/")  # boto3 signs an address as it is given one
        key = verify(textract, method=request.method, path=path, headers=request.headers, body=body)
        _, _, operation = request.headers.get("x-amz-target", "").partition("Textract.")
        if request.method != "POST" or operation not in OPERATIONS:
            raise Refusal("UnknownOperationException", "")
        if key.allowed is not None and operation not in key.allowed:
            who = "User: arn:aws:iam::123456789012:user/reader"
            raise Refusal("AccessDeniedException", f"{who} is not authorized to perform: textract:{operation}")
        if textract.throttled:
            code = textract.throttled.pop(0)
            raise Refusal(code, "Rate exceeded", status=500 if code == "InternalServerError" else 400)
        return reply(answer(textract, operation, given_in(body)))
    except Refusal as refusal:
        return refused(refusal)
    except Exception:
        log.exception("%s failed in a way the sandbox did not foresee", request.headers.get("x-amz-target"))
        return refused(Refusal("InternalServerError", "Internal server error", status=500))


def given_in(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Refusal("SerializationException", "The body is not JSON")
    return given


def answer(textract: Textract, operation: str, given: dict[str, Any]) -> dict[str, Any]:
    """What an operation answers with. Raises Refusal."""
    if operation == "GetExpenseAnalysis":
        if not _JOB.fullmatch(str(given.get("JobId", ""))):
            raise invalid()
        raise Refusal("InvalidJobIdException", "Request has invalid Job Id")  # no job is ever started here
    document = document_in(textract, given.get("Document"))
    lines = lines_of(document)
    prepared = textract.readings.get((hashlib.sha256(document).hexdigest(), operation))
    if prepared is not None:
        return prepared
    if operation == "AnalyzeExpense":
        return reading.expense(lines)
    if operation == "DetectDocumentText":
        return reading.text(lines)
    if given.get("FeatureTypes") != ["FORMS"]:
        raise invalid()
    return reading.forms(lines)


def document_in(textract: Textract, given: Any) -> bytes:
    """The bytes of a request, or of the object that it names. Raises Refusal."""
    if not isinstance(given, dict) or len(given.keys() & {"Bytes", "S3Object"}) != 1:
        raise invalid()
    if "Bytes" in given:
        try:
            return base64.b64decode(given["Bytes"], validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise invalid() from None
    named = given["S3Object"]
    found = textract.objects.get((named.get("Bucket"), named.get("Name"), named.get("Version")))
    if found is None:
        message = "Unable to get object metadata from S3. Check object key, region and/or access permissions."
        raise Refusal("InvalidS3ObjectException", message)
    return found


def invalid() -> Refusal:
    return Refusal("InvalidParameterException", "Request has invalid parameters")
