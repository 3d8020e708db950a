"""Documents that are read: one page at once, by Amazon Textract."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from erpflow.api.bodies import Answer, Body
from erpflow.api.callers import Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.problems import ApiError
from erpflow.api.surroundings import surroundings_of
from erpflow.api.vendors.whose import WhichConnection, own_connection
from erpflow.connectors.aws_textract import AwsTextract, Reading, StoredDocument
from erpflow.errors import ConfigError
from erpflow.services.bills.formats import check_format
from erpflow.services.bills.reading import FoundField, found_in

router = APIRouter(tags=["documents"], route_class=IdempotentRoute)

SYSTEM = "aws_textract"

Name = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\s\x00](?:[^\x00-\x1f]*)$")]


class S3Document(Body):
    """An object of S3, in the region of the connection, which its keys may read."""

    bucket: str = Field(min_length=3, max_length=255, pattern=r"^[0-9A-Za-z._-]+$")
    key: Name
    version: Name | None = None


class DocumentToRead(Body):
    """A document of one page: its bytes in base64, or where it is in S3.

    A body has 2 MiB at most, which is 1.5 MB of a document; what is larger (up to Textract's 10 MB) goes by `s3`.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    document: str | None = Field(default=None, min_length=1, description="JPEG, PNG, TIFF or PDF, in base64")
    s3: S3Document | None = None
    kind: Reading = Field(default=Reading.EXPENSE, description="expense: a bill; text: its lines; forms: its keys")
    raw: bool = Field(default=False, description="Also what Textract itself answered")

    @model_validator(mode="after")
    def one_document(self) -> DocumentToRead:
        """Refuse none, and two."""
        if (self.document is None) == (self.s3 is None):
            raise ValueError("give the document, or where it is in s3: one of them")
        return self


class ReadField(Answer):
    """A field as it is printed (`value`), and what it means (`amount`, `currency`, `date`): null where it is not sure.

    `document`: of several bills on one page. Confidences from 0 to 100.
    """

    type: str
    label: str | None
    value: str
    confidence: float | None
    type_confidence: float | None
    page: int | None
    document: int
    amount: Decimal | None
    currency: str | None
    date: date | None


class LineItem(Answer):
    """A line of a bill, by the columns that were found."""

    fields: list[ReadField]


class ReadLine(Answer):
    """A line of text."""

    text: str
    confidence: float | None
    page: int | None


class DocumentRead(Answer):
    """What was read. Of an expense `fields` and `line_items`, of text `lines`, of forms `fields` and `lines`."""

    kind: Reading
    pages: int | None
    fields: list[ReadField]
    line_items: list[LineItem]
    lines: list[ReadLine]
    raw: dict[str, Any] | None = None


@router.post("/analyze")
def analyze_document(
    request: Request, caller: Running, body: DocumentToRead, connection_id: WhichConnection = None
) -> DocumentRead:
    """Read a document of one page. Each time is charged by AWS; with an Idempotency-Key a repetition is not.

    A format that is not read is refused by its first bytes, before anything is sent. What AWS refuses is a 422, its
    throttling, after boto3's own attempts, a 503.
    """
    around = surroundings_of(request)
    row = own_connection(around, caller, SYSTEM, connection_id)
    document = _document(body)
    with around.connect(row) as vendor:
        if not isinstance(vendor, AwsTextract):
            raise ConfigError(f"This needs a connection to Amazon Textract, not to {vendor.spec.title}.")
        answer = vendor.read_document(body.kind, document)
    found = found_in(body.kind, answer)
    return DocumentRead(
        kind=body.kind,
        pages=found.pages,
        fields=_fields(found.fields),
        line_items=[LineItem(fields=_fields(item)) for item in found.items],
        lines=[ReadLine(text=line.text, confidence=line.confidence, page=line.page) for line in found.lines],
        raw=dict(answer) if body.raw else None,
    )


def _document(body: DocumentToRead) -> bytes | StoredDocument:
    if body.s3 is not None:
        return StoredDocument(body.s3.bucket, body.s3.key, body.s3.version)
    try:
        document = base64.b64decode("".join((body.document or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "document: it is not base64.", field="document"
        ) from None
    check_format(document)
    return document


def _fields(fields: Sequence[FoundField]) -> list[ReadField]:
    return [
        ReadField(
            type=one.type,
            label=one.label,
            value=one.text,
            confidence=one.confidence,
            type_confidence=one.type_confidence,
            page=one.page,
            document=one.document,
            amount=one.amount,
            currency=one.currency,
            date=one.day,
        )
        for one in fields
    ]
