"""Amazon Textract, asked to read one page at once. Its oddities: docs/systems/aws_textract.md.

Source: botocore's model textract/2018-06-27.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Final

from erpflow.connectors import network
from erpflow.connectors.account import Account
from erpflow.connectors.aws_errors import NO_SUCH_JOB
from erpflow.connectors.aws_keys import AwsKeys, keys_of
from erpflow.connectors.aws_wire import AwsClient
from erpflow.connectors.base import CheckResult, ConnectorSpec, Limits, reported
from erpflow.connectors.service import Service
from erpflow.connectors.transport import Timeouts
from erpflow.errors import ConfigError, PermissionDenied, ProtocolError
from erpflow.vocabulary import VendorRecord

_NO_JOB: Final = "0" * 64
"""No job is called so: asking after it costs nothing, and tells whether the keys are good."""


class Reading(StrEnum):
    """What is read in a document."""

    EXPENSE = "expense"
    TEXT = "text"
    FORMS = "forms"


_OPERATIONS: Final[Mapping[Reading, tuple[str, Mapping[str, Any]]]] = {
    Reading.EXPENSE: ("AnalyzeExpense", {}),
    Reading.TEXT: ("DetectDocumentText", {}),
    Reading.FORMS: ("AnalyzeDocument", {"FeatureTypes": ["FORMS"]}),
}


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """An object of S3, in the region of the connection."""

    bucket: str
    key: str
    version: str | None = None


class AwsTextract(Service):
    """Textract in one region, with the keys of one AWS account."""

    private_networks = False
    own_address = False
    spec: ClassVar[ConnectorSpec] = ConnectorSpec(
        system="aws_textract",
        title="Amazon Textract",
        auth=("aws_keys",),
        entities={},
        # What an account may ask for a second differs by region and operation, from 1 up (UNVERIFIED).
        limits=Limits(per_second=5.0, concurrent=4),
        settings={
            "region": "The region, such as eu-central-1. Objects of S3 have to be in it too.",
            network.SETTING: "true lets its requests into private networks, where a test double may be.",
        },
        required_settings=frozenset({"region"}),
        timeouts=Timeouts(connect=5.0, read=60.0, total=60.0),
    )

    @classmethod
    def auth(cls, account: Account) -> AwsKeys:
        return keys_of(account)

    @classmethod
    def may_reach_private(cls, account: Account) -> bool:
        return network.allowed_by(account.extra.get(network.SETTING))

    @classmethod
    def counted_as(cls, account: Account) -> str | None:
        """An account's limits count by region; the machine's role is one account, whoever uses it."""
        return f"{account.address} {account.login or 'role'}"

    @reported
    def check(self) -> CheckResult:
        region = self._keys.region
        try:
            self._client.call("GetExpenseAnalysis", {"JobId": _NO_JOB})
        except PermissionDenied:
            message = f"The keys are good in {region}. Whether they may read documents is not tested: they may not ask"
            message += " after jobs (textract:GetExpenseAnalysis), which costs nothing and is not needed otherwise."
            return CheckResult(success=True, message=message, account=region)
        except ProtocolError as error:
            if NO_SUCH_JOB not in str(error):
                raise
        return CheckResult(success=True, message=f"Signed in to {region}", account=region)

    def read_document(self, reading: Reading, document: bytes | StoredDocument) -> VendorRecord:
        """Read one page: what Textract found, as boto3 gives it. It is charged for each page.

        Raises RecordRejected for a document that Textract does not take, ProtocolError for an answer that is not its
        own, else what `AwsClient.call` raises.
        """
        operation, more = _OPERATIONS[reading]
        found = self._client.call(operation, {"Document": _document(document), **more})
        if "DocumentMetadata" not in found:  # boto3 makes nothing of a page for people, and says so to nobody
            raise ProtocolError(
                f"{self._transport.host} answered {operation} with something that is not Textract's. Check the "
                "connection's address.",
                maybe_done=True,
            )
        return found

    @cached_property
    def _keys(self) -> AwsKeys:
        auth = self._transport.auth
        if not isinstance(auth, AwsKeys):
            raise ConfigError("This session was made for another system, and cannot sign for AWS.")
        return auth

    @cached_property
    def _client(self) -> AwsClient:
        return AwsClient("textract", self._keys, self._transport)


def _document(document: bytes | StoredDocument) -> dict[str, Any]:
    if isinstance(document, bytes):
        return {"Bytes": document}
    version = {"Version": document.version} if document.version else {}
    return {"S3Object": {"Bucket": document.bucket, "Name": document.key, **version}}
