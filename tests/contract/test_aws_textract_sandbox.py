"""The sandbox's Textract, driven by AWS's own client: boto3 signs, and reads what is answered by AWS's own model."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.contract.aws_documents import INVOICE, pdf, png
from tests.contract.sandboxes import sandbox

KEY = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
READER = ("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
LARGEST = 10 * 1024 * 1024


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("aws_textract", folder=tmp_path_factory.mktemp("textract")) as found:
        yield found


@pytest.fixture
def textract(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """boto3's client, with nothing of this machine's configuration."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    requests.post(f"{url}/_sandbox/reset", json={"vendor": "aws_textract"}, timeout=10).raise_for_status()
    return client(url)


def client(url: str, key: tuple[str, str] = KEY, *, region: str = "eu-central-1", attempts: int = 1) -> Any:
    return boto3.session.Session(aws_access_key_id=key[0], aws_secret_access_key=key[1], region_name=region).client(
        "textract",
        endpoint_url=f"{url}/aws_textract",
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, parameter_validation=False),
    )


def code_of(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return str(refused.value.response["Error"]["Code"])


@pytest.mark.parametrize("document", [pdf(), png()], ids=["pdf", "png"])
def test_an_invoice_is_read_as_the_model_describes_it(textract: Any, document: bytes) -> None:
    found = textract.analyze_expense(Document={"Bytes": document})
    assert found["DocumentMetadata"] == {"Pages": 1}
    [expense] = found["ExpenseDocuments"]
    total = next(field for field in expense["SummaryFields"] if field["Type"]["Text"] == "TOTAL")
    assert (total["ValueDetection"]["Text"], total["Currency"]["Code"]) == ("122,00 €", "EUR")
    [line] = expense["LineItemGroups"][0]["LineItems"]
    kinds = [field["Type"]["Text"] for field in line["LineItemExpenseFields"]]
    assert kinds == ["ITEM", "QUANTITY", "UNIT_PRICE", "PRICE", "EXPENSE_ROW"]
    assert textract.analyze_expense(Document={"Bytes": document})["ExpenseDocuments"] == [expense]


def test_text_and_forms_are_blocks_that_refer_to_each_other(textract: Any) -> None:
    found = textract.detect_document_text(Document={"Bytes": png()})
    assert [block["Text"] for block in found["Blocks"] if block["BlockType"] == "LINE"] == list(INVOICE)
    found = textract.analyze_document(Document={"Bytes": png()}, FeatureTypes=["FORMS"])
    ids = {block["Id"] for block in found["Blocks"]}
    assert all(set(relation["Ids"]) <= ids for block in found["Blocks"] for relation in block.get("Relationships", []))
    assert {"KEY", "VALUE"} == {kind for block in found["Blocks"] for kind in block.get("EntityTypes", [])}


def test_an_object_of_s3_is_read_and_one_that_is_not_there_refused(textract: Any, url: str) -> None:
    content = base64.b64encode(pdf()).decode()
    body = {"bucket": "invoices", "key": "a.pdf", "content": content}
    requests.post(f"{url}/_sandbox/aws_textract/objects", json=body, timeout=10).raise_for_status()
    there = {"S3Object": {"Bucket": "invoices", "Name": "a.pdf"}}
    assert textract.analyze_expense(Document=there)["ExpenseDocuments"]
    gone = {"S3Object": {"Bucket": "invoices", "Name": "b.pdf"}}
    assert code_of(textract.analyze_expense, Document=gone) == "InvalidS3ObjectException"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"GIF89a", "UnsupportedDocumentException"),
        (pdf(pages=2), "UnsupportedDocumentException"),
        (pdf()[:-7], "BadDocumentException"),
        (b"%PDF-" + bytes(LARGEST), "DocumentTooLargeException"),
    ],
    ids=["gif", "two pages", "cut off", "too large"],
)
def test_what_is_not_read_at_once_is_refused_by_code(textract: Any, document: bytes, code: str) -> None:
    assert code_of(textract.analyze_expense, Document={"Bytes": document}) == code


def test_wrong_requests_are_refused_by_code(textract: Any) -> None:
    assert code_of(textract.analyze_expense, Document={}) == "InvalidParameterException"
    assert code_of(textract.get_expense_analysis, JobId="0" * 64) == "InvalidJobIdException"
    assert code_of(textract.analyze_id, DocumentPages=[]) == "UnknownOperationException"


def test_only_what_is_signed_with_a_known_key_for_this_region_is_let_in(textract: Any, url: str) -> None:
    document = {"Bytes": png()}
    for other, code in (
        (client(url, ("AKIAUNKNOWN", KEY[1])), "UnrecognizedClientException"),
        (client(url, (KEY[0], "wrong")), "InvalidSignatureException"),
        (client(url, region="us-east-1"), "InvalidSignatureException"),
        (client(url, READER), "AccessDeniedException"),
    ):
        assert code_of(other.analyze_expense, Document=document) == code
    assert client(url, READER).detect_document_text(Document=document)["Blocks"]
    answer = requests.post(f"{url}/aws_textract/", data=b"{}", timeout=10)
    assert (answer.status_code, answer.json()["__type"]) == (400, "MissingAuthenticationTokenException")


def test_a_body_that_was_changed_on_its_way_is_refused(textract: Any) -> None:
    def change(request: Any, **_: Any) -> None:
        request.body = request.body.replace(b"Document", b"document")

    textract.meta.events.register("before-send.textract", change)
    assert code_of(textract.analyze_expense, Document={"Bytes": png()}) == "InvalidSignatureException"


def test_boto3_itself_comes_back_after_throttling(textract: Any, url: str) -> None:
    body = {"code": "ProvisionedThroughputExceededException", "times": 1}
    requests.post(f"{url}/_sandbox/aws_textract/throttle", json=body, timeout=10).raise_for_status()
    found = client(url, attempts=2).detect_document_text(Document={"Bytes": png()})
    assert found["ResponseMetadata"]["RetryAttempts"] == 1
    requests.post(f"{url}/_sandbox/aws_textract/throttle", json=body, timeout=10).raise_for_status()
    assert code_of(textract.detect_document_text, Document={"Bytes": png()}) == body["code"]
