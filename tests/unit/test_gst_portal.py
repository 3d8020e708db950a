"""The GST portal's connector apart from any portal: what is encrypted, what refusals mean, what settings must say."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from erpflow.connectors.account import Account
from erpflow.connectors.answer import Answer
from erpflow.connectors.gst_portal import GstPortal, _row_errors
from erpflow.connectors.gst_portal_crypto import Encrypted, Plain, PortalSession, Sealed, decrypt, encrypt
from erpflow.connectors.gst_portal_errors import OtpRefused, PortalRefused, SessionNeeded, judge
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    VendorUnavailable,
)
from sandbox.gst_portal import envelope

KEY = bytes(range(32))
SESSION = PortalSession("token", base64.b64encode(KEY).decode(), datetime(2026, 1, 1, tzinfo=UTC))
keys = st.binary(min_size=32, max_size=32)


def answer(body: bytes, *, status: int = 200, method: str = "POST") -> Answer:
    return Answer(method, "/returns", status, {}, body, 0.1, "id", authenticated=True)


def refused(code: str, **more: Any) -> ErpflowError | None:
    return judge(
        answer(msgspec.json.encode({"status_cd": "0", "error": {"error_cd": code, "message": "said"}}), **more)
    )


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200), keys)
def test_what_is_encrypted_comes_back_and_the_portal_reads_it_too(data: bytes, key: bytes) -> None:
    assert decrypt(encrypt(data, key), key) == data
    assert envelope.unaes(base64.b64encode(encrypt(data, key)).decode(), key) == data


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_a_body_is_opened_by_the_portal_and_an_answer_by_us(data: bytes) -> None:
    crypto = Encrypted("")
    assert envelope.opened(crypto.seal(data, SESSION), KEY) == data
    sealed = msgspec.json.decode(msgspec.json.encode(envelope.sealed(data, KEY)), type=Sealed)
    assert crypto.open(sealed, SESSION) == data


def test_the_key_of_the_app_is_for_the_portal_alone() -> None:
    crypto = Encrypted(envelope.public_pem())
    pending, told = crypto.new_key()
    key = base64.b64decode(pending)
    assert envelope.app_key(told["app_key"]) == key
    proof = crypto.otp("575757", pending=pending)
    assert envelope.unaes(proof["otp"], key) == b"575757" and envelope.app_key(proof["app_key"]) == key
    session_key = crypto.session_key(envelope.coded(envelope.aes(KEY, key)), pending=pending)
    assert base64.b64decode(session_key) == KEY


@pytest.mark.parametrize("spoilt", ["data", "rek", "hmac"])
def test_an_answer_that_was_changed_on_the_way_is_not_used(spoilt: str) -> None:
    members: dict[str, str] = envelope.sealed(b'{"chksum":"1"}', KEY)
    members[spoilt] = envelope.sealed(b'{"chksum":"2"}', KEY)[spoilt]
    sealed = msgspec.json.decode(msgspec.json.encode(members), type=Sealed)
    with pytest.raises(ProtocolError):
        Encrypted("").open(sealed, SESSION)


def test_in_plain_mode_the_summary_goes_back_byte_for_byte() -> None:
    data = b'{ "a":1.50,  "b" : [ ] }'
    assert data in msgspec.json.encode(Plain().seal(data, SESSION))
    sealed = msgspec.json.decode(b'{"status_cd":"1","data":' + data + b"}", type=Sealed)
    assert Plain().open(sealed, SESSION) == data


@pytest.mark.parametrize(
    "certificate", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_certificate_that_is_none_is_told_with_what_to_do(certificate: str) -> None:
    with pytest.raises(ConfigError, match="public_key"):
        Encrypted(certificate).new_key()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *[(code, SessionNeeded) for code in ("RETOTPREQUEST", "AUTH158", "AUTH4033", "AUTH4038")],
        *[(code, OtpRefused) for code in ("AUTH4034", "EVCREQUEST", "OTP0001", "OTP0011")],
        ("TEC4002", ConfigError),
        ("RET191251", VendorUnavailable),
        ("RET11402", PermissionDenied),
        *[(code, AuthFailed) for code in ("AUTH113", "AUTH151", "RET11400", "RET11420")],
        *[(code, PortalRefused) for code in ("RET11416", "RET11417", "RET00003", "RET09001", "RET12521", "RET191175")],
    ],
)
def test_each_code_is_its_member_of_the_family_and_nothing_was_done(code: str, kind: type[ErpflowError]) -> None:
    found = refused(code)
    assert type(found) is kind and code in str(found) and "said" in str(found)
    assert not getattr(found, "maybe_done", False)


@pytest.mark.parametrize(("body", "status"), [(b"<html>", 504), (b"", 502)])
def test_a_gateway_that_gave_up_leaves_open_what_was_done(body: bytes, status: int) -> None:
    found = judge(answer(body, status=status))
    assert isinstance(found, VendorUnavailable) and found.maybe_done


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": 1}', b'{"status_cd": {}}', b'{"status_cd": "2"}'])
def test_an_answer_to_a_write_that_cannot_be_read_leaves_open_what_was_done(body: bytes) -> None:
    found = judge(answer(body))
    assert isinstance(found, ProtocolError) and found.maybe_done
    read = judge(answer(body, method="GET"))
    assert isinstance(read, ProtocolError) and not read.maybe_done


def test_an_error_report_is_read_by_document() -> None:
    report = {
        "b2b": [{"ctin": "27", "error_cd": "A", "error_msg": "one\n two", "inv": [{"inum": "1"}, {"inum": "2"}]}],
        "cdnr": [{"ctin": "27", "error_cd": "B", "nt": [{"nt_num": "3"}]}],
        "cdnur": [{"nt_num": "4", "error_cd": "C"}],
        "b2cs": [{"pos": "07", "error_cd": "D"}],
        "nil": {"error_cd": "E"},
    }
    found = [(each.section, each.code, each.documents) for each in _row_errors(report)]
    assert found == [
        ("b2b", "A", ("1", "2")), ("cdnr", "B", ("3",)), ("cdnur", "C", ("4",)), ("b2cs", "D", ()), ("nil", "E", ()),
    ]  # fmt: skip
    assert _row_errors(report)[0].message == "one two"
    assert [(each.section, each.code) for each in _row_errors({"error_cd": "RET191106"})] == [("", "RET191106")]
    assert _row_errors(None) == _row_errors("x") == _row_errors({"b2b": ["x", 7]}) == []


def test_requests_say_for_whom_they_are_and_never_show_the_secret() -> None:
    extra = {"gstin": "29aabcv1234m1z5", "username": "someone"}
    auth = GstPortal.auth(Account("https://gsp.example", "client", "hush-hush", extra))
    request = auth(requests.Request("GET", "https://gsp.example/x").prepare())
    wanted = {"clientid": "client", "client-secret": "hush-hush", "state-cd": "29", "gstin": "29AABCV1234M1Z5"}
    assert request.headers.items() >= wanted.items()
    assert "hush-hush" not in repr(auth) and auth.secrets == ("hush-hush",)
    assert "token" not in repr(SESSION) and SESSION.key not in repr(SESSION)


def test_a_mode_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"did you mean .plain"):
        GstPortal.auth(Account("https://gsp.example", "a", "b", {"mode": "plane"}))


@pytest.mark.parametrize(
    "sealed", [Sealed(msgspec.Raw(b'"x"')), Sealed(msgspec.Raw(b"7")), Sealed(msgspec.Raw(b'"eA=="'), "é", "é")]
)
def test_an_answer_that_is_not_encrypted_is_said_to_be_none(sealed: Sealed) -> None:
    with pytest.raises(ProtocolError):
        Encrypted("").open(sealed, SESSION)


def test_an_hmac_that_is_no_text_of_base64_is_the_wrong_one() -> None:
    members = envelope.sealed(b"{}", KEY) | {"hmac": "é"}
    sealed = msgspec.json.decode(msgspec.json.encode(members), type=Sealed)
    with pytest.raises(ProtocolError, match="HMAC"):
        Encrypted("").open(sealed, SESSION)


def test_a_session_key_of_another_length_is_refused_at_once() -> None:
    sek = base64.b64encode(encrypt(b"short", KEY)).decode()
    with pytest.raises(ProtocolError, match="5 bytes"):
        Encrypted("").session_key(sek, pending=base64.b64encode(KEY).decode())


def test_a_refusal_that_says_nothing_is_one() -> None:
    assert isinstance(judge(answer(b'{"status_cd": 0, "error": null}')), PortalRefused)
