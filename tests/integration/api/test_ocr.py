"""Documents that are read at Textract, by bytes or from S3: what is printed as values, and every refusal in words."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from erpflow.api.rights import Right
from tests.calling import ALL, Api, serve
from tests.contract.aws_documents import INVOICE, pdf, png
from tests.integration.conftest import Installation, Sandbox

PATH = "/ocr/analyze"
KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
READER = {"login": "AKIAI44QH8DHBEXAMPLE", "password": "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"}
AWS = {"path": "^/aws_textract"}


@pytest.fixture
def desk(installation: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API of an installation with a connection to the sandbox's Textract."""
    requests.post(f"{sandbox.url}/_sandbox/reset", json={"vendor": "aws_textract"}, timeout=10).raise_for_status()
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(installation.home / "none"))
    monkeypatch.chdir(installation.home)
    for api in serve(installation.database):
        connect(api, sandbox)
        yield api


def connect(api: Api, sandbox: Sandbox, *, client: Any = None) -> str:
    account = {
        "name": "reader", "system": "aws_textract", "url": f"{sandbox.url}/aws_textract", "login": KEY_ID,
        "password": SECRET, "settings": {"region": "eu-central-1", "allow_private_networks": "true"},
    }  # fmt: skip
    made = (client or api.client).post("/api/erp/connections", json=account)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def changed(api: Api, **account: Any) -> str:
    """The only connection, with another account."""
    [connection] = api.client.get("/api/erp/connections").json()["items"]
    api.client.put(f"/api/erp/connections/{connection['id']}", json=account).raise_for_status()
    return str(connection["id"])


def given(document: bytes = b"", **more: Any) -> dict[str, Any]:
    return {"document": base64.b64encode(document or png()).decode(), **more}


def throttle(sandbox: Sandbox, times: int, code: str = "ProvisionedThroughputExceededException") -> None:
    body = {"code": code, "times": times}
    requests.post(f"{sandbox.url}/_sandbox/aws_textract/throttle", json=body, timeout=10).raise_for_status()


def test_a_bill_is_read_with_its_lines(desk: Api) -> None:
    for document in (pdf(), png()):
        answer = desk.client.post(PATH, json=given(document))
        assert answer.status_code == 200, answer.text
        said = answer.json()
        fields = {field["type"]: field for field in said["fields"]}
        assert (said["kind"], said["pages"], said["lines"], said["raw"]) == ("expense", 1, [], None)
        assert (fields["TOTAL"]["value"], fields["TOTAL"]["amount"], fields["TOTAL"]["currency"]) == (
            "122,00 €", "122.00", "EUR",
        )  # fmt: skip
        assert (fields["INVOICE_RECEIPT_DATE"]["date"], fields["INVOICE_RECEIPT_DATE"]["page"]) == ("2026-01-19", 1)
        assert (fields["VENDOR_NAME"]["value"], fields["VENDOR_NAME"]["confidence"]) == ("ACME d.o.o.", 98.5)
        [line] = said["line_items"]
        columns = {field["type"]: field for field in line["fields"]}
        assert (columns["QUANTITY"]["amount"], columns["UNIT_PRICE"]["amount"]) == ("2", "50.00")


def test_text_and_forms_are_read_and_what_textract_said_is_shown_when_asked_for(desk: Api) -> None:
    text = desk.client.post(PATH, json=given(kind="text", raw=True)).json()
    assert [line["text"] for line in text["lines"]] == list(INVOICE)
    assert (text["fields"], text["raw"]["DocumentMetadata"]) == ([], {"Pages": 1})
    assert "ResponseMetadata" not in text["raw"]
    forms = desk.client.post(PATH, json=given(kind="forms")).json()
    assert ("Total:", "122,00 €") in {(field["label"], field["value"]) for field in forms["fields"]}


def test_an_object_of_s3_is_read_in_the_version_that_is_named(desk: Api, sandbox: Sandbox) -> None:
    stored = {"bucket": "invoices", "key": "2026/a b.pdf", "version": "v2"}
    body = {**stored, "content": base64.b64encode(pdf(["Total: 1,00 €"])).decode()}
    requests.post(f"{sandbox.url}/_sandbox/aws_textract/objects", json=body, timeout=10).raise_for_status()
    [field] = desk.client.post(PATH, json={"s3": stored}).json()["fields"]
    assert field["amount"] == "1.00"
    gone = desk.client.post(PATH, json={"s3": {"bucket": "invoices", "key": "2026/a b.pdf"}})
    assert (gone.status_code, gone.json()["errors"][0]["code"]) == (422, "InvalidS3ObjectException")


def test_what_cannot_be_right_is_refused_before_aws_is_asked(desk: Api, sandbox: Sandbox) -> None:
    sandbox.fault(**AWS, kind="status", status=500)
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "one of them"),
        (given(s3={"bucket": "abc", "key": "x"}), "one of them"),
        ({"document": "not base64!"}, "not base64"),
        ({"document": ""}, "at least 1"),
        (given(b"GIF89a"), "a GIF"),
        (given(b"PK\x03\x04"), "a ZIP archive"),
        (given(kind="tables"), "kind"),
        (given(pages=2), "pages"),
        ({"s3": {"bucket": "a#b", "key": "x"}}, "bucket"),
        ({"s3": {"bucket": "abc", "key": " "}}, "key"),
    )
    for body, named in wrong:
        answer = desk.client.post(PATH, json=body)
        assert (answer.status_code, named in answer.text) == (422, True), answer.text
    large = desk.client.post(PATH, json=given(b"%PDF-" + bytes(1_600_000)))
    assert (large.status_code, large.json()["code"]) == (413, "request_entity_too_large")
    assert desk.client.post(PATH, content=b"[" * 100_000).status_code == 422
    faults = requests.get(f"{sandbox.url}/_sandbox/faults", timeout=10).json()["faults"]
    assert [fault["hits"] for fault in faults] == [0]


def test_what_aws_does_not_read_is_told_in_both_words(desk: Api) -> None:
    for document, code in ((pdf(pages=2), "UnsupportedDocumentException"), (pdf()[:-7], "BadDocumentException")):
        answer = desk.client.post(PATH, json=given(document))
        [problem] = answer.json()["errors"]
        assert (answer.status_code, problem["field"], problem["code"]) == (422, "document", code)
        assert "AWS: Request has" in problem["detail"]


def test_throttling_is_waited_for_by_boto3_and_then_said(desk: Api, sandbox: Sandbox) -> None:
    throttle(sandbox, 1)
    assert desk.client.post(PATH, json=given()).status_code == 200
    throttle(sandbox, 3)
    answer = desk.client.post(PATH, json=given())
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "rate_limited", "5")
    assert "ProvisionedThroughputExceededException" in answer.json()["detail"]
    connection = desk.client.get("/api/erp/connections").json()["items"][0]["id"]
    limits = desk.client.get(f"/api/erp/connections/{connection}/rate-limits").json()
    assert limits["paused_until"] is not None  # all of it rests, and not only this request


def test_an_answer_that_is_lost_is_not_asked_for_again_by_itself(desk: Api, sandbox: Sandbox) -> None:
    codes = {"reset_after_commit": "vendor_unavailable", "truncate": "vendor_unavailable", "html": "protocol_error"}
    for kind, code in codes.items():
        sandbox.fault(**AWS, kind=kind)
        answer = desk.client.post(PATH, json=given())
        assert (answer.status_code, answer.json().get("code")) == (502, code), answer.text
        [fault] = requests.get(f"{sandbox.url}/_sandbox/faults", timeout=10).json()["faults"]
        assert fault["hits"] == 1  # reading is charged
        sandbox.heal()


def test_a_repetition_with_its_key_is_not_read_again(desk: Api, sandbox: Sandbox) -> None:
    key = {"Idempotency-Key": "bill-17"}
    first = desk.client.post(PATH, json=given(), headers=key)
    sandbox.fault(**AWS, kind="status", status=500)
    again = desk.client.post(PATH, json=given(), headers=key)
    assert (again.status_code, again.json()) == (200, first.json())


def test_wrong_keys_and_a_policy_that_forbids_it_are_told_apart_and_no_secret_shows(
    desk: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        changed(desk, password="canary-secret-7f41")
        wrong = desk.client.post(PATH, json=given())
        changed(desk, **READER)
        denied = desk.client.post(PATH, json=given())
        assert desk.client.post(PATH, json=given(kind="text")).status_code == 200
    assert (wrong.status_code, wrong.json()["code"]) == (502, "auth_failed")
    assert (denied.status_code, denied.json()["code"]) == (502, "permission_denied")
    seen = wrong.text + denied.text + caplog.text
    assert not [secret for secret in ("canary-secret-7f41", SECRET, READER["password"], "Signature=") if secret in seen]
    assert given()["document"][:60] not in caplog.text


def test_the_connection_is_tried_without_a_charge(desk: Api) -> None:
    connection = desk.client.get("/api/erp/connections").json()["items"][0]["id"]

    def tried() -> dict[str, Any]:
        return dict(desk.client.post(f"/api/erp/connections/{connection}/test").json())

    assert (tried()["success"], tried()["message"]) == (True, "Signed in to eu-central-1")
    changed(desk, **READER)
    assert tried()["success"] is True and "is not tested" in tried()["message"]
    changed(desk, password="wrong-7f1c")
    assert tried()["success"] is False and "InvalidSignatureException" in tried()["message"]
    changed(desk, login="", password="")
    assert tried()["success"] is False and "ERPFLOW_AWS_MACHINE_ROLE" in tried()["message"]


def test_private_networks_are_out_of_reach_unless_the_connection_says_so(desk: Api, sandbox: Sandbox) -> None:
    changed(desk, settings={"allow_private_networks": ""})
    answer = desk.client.post(PATH, json=given())
    assert (answer.status_code, "private network" in answer.text) == (422, True)


def test_a_connection_says_its_region(desk: Api, sandbox: Sandbox) -> None:
    account = {"name": "other", "system": "aws_textract", "url": f"{sandbox.url}/aws_textract"}
    refused = desk.client.post("/api/erp/connections", json=account)
    assert (refused.status_code, refused.json()["field"]) == (422, "settings.region")


def test_another_company_has_no_reader_and_reading_needs_the_right_to_run(desk: Api, sandbox: Sandbox) -> None:
    ours = desk.client.get("/api/erp/connections").json()["items"][0]["id"]
    theirs = desk.as_key(desk.key(*ALL, tenant_id=desk.tenant("acme")))
    assert theirs.post(PATH, json=given()).status_code == 404
    assert theirs.post(PATH, json=given(), params={"connection_id": ours}).status_code == 404
    assert desk.as_key(desk.key(Right.LOOK)).post(PATH, json=given()).status_code == 403
    assert desk.nobody().post(PATH, json=given()).status_code == 401
