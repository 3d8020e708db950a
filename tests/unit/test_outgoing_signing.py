"""Messages are signed as Standard Webhooks says: its own library accepts them, and nothing that was changed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from erpflow.errors import ConfigError
from erpflow.services.outgoing.signing import checked_secret, new_secret, signature, signed_headers
from erpflow.store.vault import Secret

SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
EVENT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'


def encoded(length: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(length))).decode()


def test_a_message_has_the_signature_that_openssl_computes() -> None:
    # printf '%s' 'msg_….1614265330.{"test": 2432232314}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary
    assert signature(EVENT, "1614265330", BODY, secret=SECRET) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "body", [BODY, '{"name": "Žiga – 北京"}'.encode(), b'{"a": "\\u0000", "b": [1.50, null]}', b"{}"]
)
def test_the_official_library_accepts_what_is_signed(body: bytes) -> None:
    secret = new_secret()
    headers = signed_headers(EVENT, body, at=datetime.now(UTC), secrets=[secret])
    assert isinstance(Webhook(secret.reveal()).verify(body, dict(headers)), dict)


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp"])
def test_the_official_library_refuses_what_was_changed_on_the_way(changed: str) -> None:
    secret = new_secret()
    now = datetime.now(UTC)
    headers = dict(signed_headers(EVENT, BODY, at=now, secrets=[secret]))
    body = BODY
    if changed == "body":
        body = BODY.replace(b"4", b"5")
    elif changed == "webhook-id":
        headers[changed] = "msg_another"
    else:
        headers[changed] = str(int(now.timestamp()) + 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.reveal()).verify(body, headers)


def test_the_official_library_refuses_a_message_that_is_repeated_later() -> None:
    secret = new_secret()
    headers = signed_headers(EVENT, BODY, at=datetime.now(UTC) - timedelta(minutes=6), secrets=[secret])
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret.reveal()).verify(BODY, dict(headers))


def test_while_a_secret_is_rotated_both_verify_and_a_third_does_not() -> None:
    old, new, other = new_secret(), new_secret(), new_secret()
    headers = dict(signed_headers(EVENT, BODY, at=datetime.now(UTC), secrets=[new, old]))
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (old, new):
        Webhook(secret.reveal()).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(other.reveal()).verify(BODY, headers)


def test_a_new_secret_is_random_and_as_long_as_the_standard_asks() -> None:
    assert new_secret(random=lambda length: b"\x01" * length).reveal() == f"whsec_{'AQEB' * 10}AQE="
    assert new_secret().reveal() != new_secret().reveal()
    assert 24 <= len(base64.b64decode(new_secret().reveal().removeprefix("whsec_"))) <= 64


@pytest.mark.parametrize("length", [24, 64])
def test_a_secret_that_the_receiver_brings_may_be_as_long_as_the_standard_allows(length: int) -> None:
    assert checked_secret(f" {encoded(length)}\n").reveal() == encoded(length)


@pytest.mark.parametrize(
    "text", ["", "whsec_", encoded(23), encoded(65), encoded(32).removeprefix("whsec_"), "whsec_ž" * 8, "whsec_a b"]
)
def test_a_secret_that_is_none_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ConfigError, match="24 to 64 bytes in base64") as refused:
        checked_secret(text)
    assert len(text) < 10 or text not in str(refused.value)


def test_a_secret_is_not_read_by_accident() -> None:
    assert f"{SECRET} {SECRET!r}" == "*** ***"
