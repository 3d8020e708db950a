"""boto3 over our own transport: it checks, signs, retries and reads; every request goes out as everybody's does.

boto3 lets a handler of `before-send` answer in place of its own HTTP session. Ours sends through `Transport`: so the
time-outs, the limits that all workers share, the networks that may be reached and the redaction hold for each attempt
(ADR 26).
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from erpflow.connectors.answer import Answer
from erpflow.connectors.aws_errors import refusal
from erpflow.connectors.aws_keys import AwsKeys
from erpflow.connectors.transport import ONE_ATTEMPT, Transport
from erpflow.errors import ConfigError, ErpflowError, FieldProblem, ProtocolError, RateLimited, RecordRejected

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse  # type: ignore[import-untyped]

ATTEMPTS: Final = 3
# At DEBUG they write whole documents and what is signed.
for _talkative in ("auth", "endpoint", "parsers", "hooks", "client", "retries.standard", "retryhandler"):
    logging.getLogger(f"botocore.{_talkative}").setLevel(logging.INFO)


class AwsClient:
    """One AWS service in one region, as boto3 knows it."""

    def __init__(self, service: str, keys: AwsKeys, transport: Transport, *, attempts: int = ATTEMPTS) -> None:
        """`attempts` of boto3 at one call, the first among them; only what AWS has not done is tried again.

        Raises ConfigError when boto3 cannot be set up, as for want of credentials.
        """
        # Not at the top: it takes a third of a second, and hardly anybody asks AWS.
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        self._transport = transport
        config = Config(
            region_name=keys.region,
            retries={"mode": "standard", "total_max_attempts": attempts},
            ignore_configured_endpoint_urls=True,
        )
        own = {"aws_access_key_id": keys.key_id, "aws_secret_access_key": keys.secret} if not keys.is_role else {}
        try:
            self._client = boto3.session.Session(region_name=keys.region, **own).client(
                service, endpoint_url=transport.base_url, config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise ConfigError(f"boto3 cannot be set up for {service}: {transport.redact(str(error))}") from None
        self._client.meta.events.register(f"before-send.{service}", self._send)

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What AWS answers to an operation (`AnalyzeExpense`), without boto3's own metadata.

        Raises RecordRejected, AuthFailed, PermissionDenied, RateLimited, VendorUnavailable, ProtocolError, ConfigError.
        """
        from botocore import xform_name  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
        from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

        try:
            found: dict[str, Any] = getattr(self._client, xform_name(operation))(**parameters)
        except ClientError as error:
            raise self._redacted(refusal(error.response, operation=operation)) from None
        except ParamValidationError as error:
            raise RecordRejected([FieldProblem("document", "invalid", self._transport.redact(str(error)))]) from None
        except NoCredentialsError:
            raise ConfigError(
                "This machine has no role of AWS, and the connection no access key. Put one into the connection."
            ) from None
        except (ResponseParserError, BotoCoreError) as error:
            raise ProtocolError(
                f"boto3 cannot make sense of what {self._transport.host} answers to {operation}: "
                f"{self._transport.redact(str(error))[:300]}",
                maybe_done=True,
            ) from None
        return {name: value for name, value in found.items() if name != "ResponseMetadata"}

    def _send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Send what boto3 made and signed, once: it asks again by itself. Raises what `Transport.request` raises."""
        from botocore.awsrequest import AWSResponse

        answer = self._transport.request(
            str(request.method),
            str(request.url).removeprefix(self._transport.base_url),
            body=_bytes(request.body),
            headers={name: _text(value) for name, value in request.headers.items() if name != "Content-Length"},
            judge=_whatever,
            retries=ONE_ATTEMPT,
        )
        headers = {name: value for name, value in answer.headers.items() if name.lower() != "content-encoding"}
        return AWSResponse(request.url, answer.status, headers, _Body(answer.body))

    def _redacted(self, error: ErpflowError) -> ErpflowError:
        if isinstance(error, RateLimited):
            self._transport.limiter.pause(error.retry_after)  # the whole connection, not only this request
        error.args = tuple(self._transport.redact(arg) if isinstance(arg, str) else arg for arg in error.args)
        return error


class _Body(io.BytesIO):
    """A body as boto3 reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """All of it."""
        while piece := self.read(65_536):
            yield piece


def _whatever(_: Answer) -> None:
    """Every answer is boto3's to judge."""


def _bytes(body: bytes | str | None) -> bytes | None:
    return body.encode() if isinstance(body, str) else body


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
