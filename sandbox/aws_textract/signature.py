"""Signature Version 4, verified: written from AWS's documentation, and not with a client's code.

Source: AWS, "Create a signed AWS API request". The words of refusals are UNVERIFIED.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sandbox.aws_textract.answers import Refusal
from sandbox.aws_textract.state import Key, Textract

SERVICE = "textract"
ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=5)
_HEADER = re.compile(
    rf"{ALGORITHM} Credential=([^/,\s]+)/(\d{{8}})/([^/,]+)/([^/,]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)
_MUST_BE_SIGNED = ("host", "x-amz-date")


def verify(textract: Textract, *, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Key:
    """Who signed a request. Raises Refusal."""
    found = _HEADER.fullmatch(headers.get("authorization", ""))
    if found is None:
        raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
    key_id, day, region, service, signed, signature = found.groups()
    key = textract.keys.get(key_id)
    if key is None:
        raise Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")
    at = _moment(headers.get("x-amz-date", ""))
    if at is None or abs(textract.now() - at) > SKEW or not headers["x-amz-date"].startswith(day):
        raise Refusal("InvalidSignatureException", f"Signature not yet current or expired: {headers.get('x-amz-date')}")
    if (region, service) != (textract.region, SERVICE):
        raise Refusal("InvalidSignatureException", f"Credential should be scoped to a valid region, not '{region}'.")
    names = signed.split(";")
    if any(name not in names for name in _MUST_BE_SIGNED) or any(name not in headers for name in names):
        raise Refusal("InvalidSignatureException", "Host and X-Amz-Date must be among the signed headers.")
    canonical = "\n".join(
        (
            method, path, "", *(f"{name}:{' '.join(headers[name].split())}" for name in names), "", signed,
            hashlib.sha256(body).hexdigest(),
        )
    )  # fmt: skip
    scope = f"{day}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join((ALGORITHM, headers["x-amz-date"], scope, hashed))
    secret = b"AWS4" + key.secret.encode()
    for part in (day, region, service, "aws4_request"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(hmac.new(secret, text.encode(), hashlib.sha256).hexdigest(), signature):
        raise Refusal(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method.",
        )
    return key


def _moment(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
