"""Who signs for AWS: the connection's own keys, or the machine's role where whoever runs it says so."""

from __future__ import annotations

import pytest

from erpflow.connectors.account import Account
from erpflow.connectors.aws_errors import error_of
from erpflow.connectors.aws_keys import ROLE_VARIABLE, keys_of
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    VendorUnavailable,
)

AWS = "https://textract.eu-central-1.amazonaws.com"


def account(
    address: str = AWS, login: str | None = None, password: str | None = None, region: str = "eu-central-1"
) -> Account:
    return Account(address=address, login=login, password=password, extra={"region": region})


def test_the_connections_keys_sign_and_are_not_shown() -> None:
    keys = keys_of(account(login="AKIAEXAMPLE", password="very-secret"))
    assert (keys.key_id, keys.region, keys.is_role, keys.secrets) == (
        "AKIAEXAMPLE",
        "eu-central-1",
        False,
        ("very-secret",),
    )
    assert "very-secret" not in repr(keys)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (account(login="AKIAEXAMPLE"), "belong together"),
        (account(password="very-secret"), "belong together"),
        (account(login="AKIAEXAMPLE", password="x" * 20, region="Frankfurt"), "like eu-central-1"),
        (account(login="AKIAEXAMPLE", password="x" * 20, region="us-east-1"), "not in the region us-east-1"),
        (account(), ROLE_VARIABLE),
    ],
)
def test_what_cannot_sign_is_refused(wrong: Account, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        keys_of(wrong)


def test_the_machines_role_signs_only_for_aws_and_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ROLE_VARIABLE, "true")
    assert keys_of(account()).is_role
    for elsewhere in ("https://textract.example.com", "http://textract.eu-central-1.amazonaws.com",
                      "https://textract.eu-central-1.amazonaws.com.example.com"):  # fmt: skip
        with pytest.raises(ConfigError, match="only signs for AWS"):
            keys_of(account(elsewhere))
    monkeypatch.setenv(ROLE_VARIABLE, "no")
    with pytest.raises(ConfigError, match="may not be used"):
        keys_of(account())


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("UnrecognizedClientException", 400, AuthFailed),
        ("InvalidSignatureException", 400, AuthFailed),
        ("AccessDeniedException", 400, PermissionDenied),
        ("ProvisionedThroughputExceededException", 400, RateLimited),
        ("ThrottlingException", 400, RateLimited),
        ("UnsupportedDocumentException", 400, RecordRejected),
        ("DocumentTooLargeException", 400, RecordRejected),
        ("BadDocumentException", 400, RecordRejected),
        ("InvalidS3ObjectException", 400, RecordRejected),
        ("InvalidParameterException", 400, RecordRejected),
        ("InternalServerError", 500, VendorUnavailable),
        ("502", 502, VendorUnavailable),
        ("SomethingNew", 400, ProtocolError),
    ],
)
def test_each_code_of_aws_says_what_to_do(code: str, status: int, kind: type[ErpflowError]) -> None:
    error = error_of(code, "as it is", status=status, operation="AnalyzeExpense")
    assert type(error) is kind and "as it is" in str(error)
