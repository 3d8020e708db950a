"""What AWS means when it refuses a request, by the code that boto3 reads from it.

Source: botocore's model of Textract (its errors); those of the signature are AWS's common ones (UNVERIFIED list).
"""

from __future__ import annotations

from typing import Any, Final

from erpflow.errors import (
    AuthFailed,
    ErpflowError,
    FieldProblem,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    VendorUnavailable,
)

NO_SUCH_JOB: Final = "InvalidJobIdException"
DENIED: Final = frozenset({"AccessDeniedException", "AccessDenied", "OptInRequired"})
THROTTLED: Final = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException", "Throttling"})
SOON_S: Final = 5.0
"""How long a connection rests that AWS still throttled after boto3's own attempts: limits are per second."""

_UNSIGNED: Final = frozenset(
    {
        "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
        "IncompleteSignature", "IncompleteSignatureException", "MissingAuthenticationToken",
        "MissingAuthenticationTokenException", "ExpiredToken", "ExpiredTokenException", "RequestExpired",
    }
)  # fmt: skip
_REFUSED: Final = {
    "UnsupportedDocumentException": "Textract does not read this document at once: it takes JPEG, PNG, TIFF and PDF, "
    "and of TIFF and PDF those of a single page.",
    "DocumentTooLargeException": "The document is too large to be read at once: 10 MB at most.",
    "BadDocumentException": "Textract cannot read this document: it is damaged, or protected by a password.",
    "InvalidS3ObjectException": "Textract cannot get this object of S3: check bucket and key, that the bucket is in "
    "the connection's region, and that its keys may read the object.",
    "InvalidParameterException": "Textract does not take this request.",
}


def error_of(code: str, message: str, *, status: int, operation: str) -> ErpflowError:
    """The error of the family for a refusal of AWS."""
    text = " ".join(message.split())
    said = f"AWS answered {operation} with {code or f'HTTP {status}'}: {text or 'it does not say why'}."
    if code in _UNSIGNED:
        return AuthFailed(f"{said} Check the connection's access key id, its secret and the clock of this machine.")
    if code in DENIED:
        return PermissionDenied(f"{said} Allow textract:{operation} (and s3:GetObject) in the policy of these keys.")
    if code in THROTTLED:
        return RateLimited(f"{said} boto3 tried again in vain; ask again later.", retry_after=SOON_S)
    if code in _REFUSED:
        return RecordRejected([FieldProblem("document", code, f"{_REFUSED[code]} AWS: {text or code}")])
    if status >= 500:
        return VendorUnavailable(said)
    return ProtocolError(f"{said} This is not expected.")


def refusal(response: Any, *, operation: str) -> ErpflowError:
    """The same of what boto3 read (`ClientError.response`)."""
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    return error_of(
        str(error.get("Code") or ""),
        str(error.get("Message") or ""),
        status=int(metadata.get("HTTPStatusCode") or 0),
        operation=operation,
    )
