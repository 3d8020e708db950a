"""How requests prove that they are the vendor's: each scheme right, wrong, missing, doubled, encoded otherwise."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow.errors import ConfigError, SignatureInvalid
from erpflow.store.vault import Secret
from erpflow.webhooks.registration import checked_facts, new_secret
from erpflow.webhooks.systems import usual_verification
from erpflow.webhooks.verification import Headers, Request, Verification, check_secret, verification_of, verify

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
BODY = b'{"id": "1", "token": "s3cret"}'
SECRET = "s3cret"
SCHEMES: dict[str, dict[str, Any]] = {
    "hex": {"scheme": "hmac", "header": "X-Signature"},
    "base64": {"scheme": "hmac", "header": "X-Signature", "encoding": "base64"},
    "prefixed": {"scheme": "hmac", "header": "X-Hub-Signature-256", "prefix": "sha256="},
    "sha1": {"scheme": "hmac", "header": "X-Signature", "algorithm": "sha1", "encoding": "base64"},
    "sha512": {"scheme": "hmac", "header": "X-Signature", "algorithm": "sha512"},
    "standard": {"scheme": "standard_webhooks"},
    "bearer": {"scheme": "bearer"},
    "own header": {"scheme": "bearer", "header": "X-Token"},
    "basic": {"scheme": "basic", "username": "vendor"},
    "channel": {"scheme": "channel_token"},
}


def scheme(name: str) -> Verification:
    return verification_of(SCHEMES[name], where="a test")


def proof(name: str, *, body: bytes = BODY, secret: str = SECRET, at: datetime = NOW) -> list[tuple[str, str]]:
    """The headers of a right request, made without the code under test."""
    data = SCHEMES[name]
    if data["scheme"] == "hmac":
        digest = hmac.new(secret.encode(), body, data.get("algorithm", "sha256")).digest()
        text = base64.b64encode(digest).decode() if data.get("encoding") == "base64" else digest.hex()
        return [(data["header"], data.get("prefix", "") + text)]
    if data["scheme"] == "standard_webhooks":
        stamp = str(int(at.timestamp()))
        digest = hmac.new(secret.encode(), f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(digest).decode()
        return [("webhook-id", "msg_1"), ("webhook-timestamp", stamp), ("webhook-signature", signature)]
    if data["scheme"] == "basic":
        return [("Authorization", "Basic " + base64.b64encode(f"vendor:{secret}".encode()).decode())]
    if data["scheme"] == "bearer":
        return [("X-Token", secret)] if "header" in data else [("Authorization", f"Bearer {secret}")]
    return []


def is_accepted(
    verification: Verification, headers: Headers, *, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,)
) -> bool:
    try:
        verify(verification, Request(headers, body, now=NOW), secrets=[Secret(text) for text in secrets])
    except SignatureInvalid as error:
        assert not any(text in str(error) for text in secrets if text)
        return False
    return True


@pytest.mark.parametrize("name", SCHEMES)
def test_a_request_that_knows_the_secret_is_accepted_whatever_the_case_of_its_headers(name: str) -> None:
    assert is_accepted(scheme(name), proof(name))
    assert is_accepted(scheme(name), [(key.upper(), value) for key, value in proof(name)])


@pytest.mark.parametrize("name", SCHEMES)
def test_another_secret_is_refused(name: str) -> None:
    assert not is_accepted(scheme(name), proof(name), secrets=("another",))


@pytest.mark.parametrize("name", SCHEMES)
def test_a_webhook_without_a_secret_or_with_an_empty_one_accepts_nothing(name: str) -> None:
    assert not is_accepted(scheme(name), proof(name, secret=""), secrets=())
    assert not is_accepted(scheme(name), proof(name, secret=""), body=b'{"token": ""}', secrets=("",))


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "channel"])
def test_a_missing_or_doubled_header_is_refused(name: str) -> None:
    assert not is_accepted(scheme(name), [])
    for header in proof(name):
        assert not is_accepted(scheme(name), [each for each in proof(name) if each != header])
        assert not is_accepted(scheme(name), [*proof(name), header])


@pytest.mark.parametrize("name", [name for name in SCHEMES if SCHEMES[name]["scheme"] in ("hmac", "standard_webhooks")])
def test_the_very_bytes_are_signed(name: str) -> None:
    same = json.dumps(json.loads(BODY), indent=1).encode()
    assert not is_accepted(scheme(name), proof(name), body=same)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_secret_before_is_good_beside_the_new_one(name: str) -> None:
    assert is_accepted(scheme(name), proof(name), secrets=("the new one", SECRET))


def test_a_signature_in_the_other_encoding_or_without_its_prefix_is_refused() -> None:
    digest = hmac.new(SECRET.encode(), BODY, "sha256").digest()
    texts = {"hex": digest.hex(), "base64": base64.b64encode(digest).decode(), "prefixed": f"sha256={digest.hex()}"}
    for name in texts:
        header = SCHEMES[name]["header"]
        accepted = {other for other, text in texts.items() if is_accepted(scheme(name), [(header, text)])}
        assert accepted == {name}
    assert is_accepted(scheme("prefixed"), [("X-Hub-Signature-256", f"sha256={digest.hex().upper()}")])


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(0, True), (299, True), (-299, True), (301, False), (-301, False), (86_400, False)]
)
def test_a_stamp_that_is_too_old_or_too_new_is_a_replay(seconds: int, accepted: bool) -> None:
    assert is_accepted(scheme("standard"), proof("standard", at=NOW - timedelta(seconds=seconds))) is accepted


@pytest.mark.parametrize("stamp", ["", "now", "1e9", "-5", "١٢٣", "9" * 40])
def test_a_stamp_that_is_no_number_is_refused(stamp: str) -> None:
    digest = hmac.new(SECRET.encode(), f"msg_1.{stamp}.".encode() + BODY, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    headers = [("webhook-id", "msg_1"), ("webhook-timestamp", stamp), ("webhook-signature", signature)]
    assert not is_accepted(scheme("standard"), headers)


def test_the_example_of_the_reference_libraries_is_accepted_among_other_signatures_too() -> None:
    """Source: the tests of the reference libraries of Standard Webhooks."""
    right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    body, secret = b'{"test": 2432232314}', Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    def accepted(signature: str) -> bool:
        headers = [("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("webhook-timestamp", "1614265330")]
        request = Request(
            [*headers, ("webhook-signature", signature)], body, now=datetime.fromtimestamp(1614265330, UTC)
        )
        try:
            verify(scheme("standard"), request, secrets=[secret])
        except SignatureInvalid:
            return False
        return True

    assert accepted(right)
    assert accepted(f"v1,AAAA {right}")
    assert accepted(f"v1a,xyz v1,wrong {right} v2,later")
    assert not accepted(right.removeprefix("v1,"))
    assert not accepted(right.replace("v1,", "v2,"))
    assert not accepted("")


def test_a_whsec_secret_of_nothing_is_no_secret() -> None:
    digest = hmac.new(b"", f"m.{int(NOW.timestamp())}.".encode() + BODY, hashlib.sha256).digest()
    headers = [
        ("webhook-id", "m"),
        ("webhook-timestamp", str(int(NOW.timestamp()))),
        ("webhook-signature", "v1," + base64.b64encode(digest).decode()),
    ]
    assert not is_accepted(scheme("standard"), headers, secrets=("whsec_",))
    with pytest.raises(ConfigError, match="not Base64"):
        check_secret(scheme("standard"), "whsec_!!", where="it")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "s3cret", "Basic s3cret", "Bearer s3cret extra"])
def test_what_is_no_bearer_token_is_refused(authorization: str) -> None:
    assert not is_accepted(scheme("bearer"), [("Authorization", authorization)])


@pytest.mark.parametrize("body", [b"", b"[]", b'"s3cret"', b'{"token": ["s3cret"]}', b'{"tokens": "s3cret"}', b"\xff"])
def test_a_channel_token_is_a_text_in_its_field(body: bytes) -> None:
    assert not is_accepted(scheme("channel"), [], body=body)


def test_anybody_may_send_only_where_it_is_said_in_so_many_words() -> None:
    for data in ({"scheme": "none"}, {"scheme": "none", "anybody_may_send": False}, {}):
        with pytest.raises(ConfigError, match="anybody_may_send: true"):
            verification_of(data, where="it")
    allowed = verification_of({"scheme": "none", "anybody_may_send": True}, where="it")
    assert is_accepted(allowed, [], secrets=())


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"scheme": "hmac"}, "header"),
        ({"scheme": "hmac", "header": "X Y"}, "header"),
        ({"scheme": "hmac", "header": "X", "algorithm": "md5"}, "algorithm"),
        ({"scheme": "hmac", "header": "X", "needs_secret": False}, "needs_secret"),
        ({"scheme": "basic"}, "username"),
        ({"scheme": "telepathy"}, "scheme"),
    ],
)
def test_a_scheme_that_is_described_wrongly_is_refused_with_its_key(data: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        verification_of(data, where="it")


@given(
    name=st.sampled_from(list(SCHEMES)),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["X-Signature", "X-Hub-Signature-256", "Authorization", "X-Token", "webhook-id",
                             "webhook-timestamp", "webhook-signature", "x"]),
            st.text(st.characters(), max_size=80) | st.just("Bearer \ud800") | st.just("Basic =="),
        ),
        max_size=6,
    ),
    body=st.binary(max_size=200) | st.just(b'{"token": "\\ud800"}') | st.just(b"[" * 5_000),
    secret=st.text(min_size=1, max_size=40),
)  # fmt: skip
def test_whatever_comes_is_refused_and_never_a_crash(
    name: str, headers: list[tuple[str, str]], body: bytes, secret: str
) -> None:
    assert not is_accepted(scheme(name), headers, body=body, secrets=(f"{secret} and nobody guesses this",))


# -- vendors -------------------------------------------------------------------------------------------------------


def captured() -> list[Any]:
    folder = FIXTURES / "erpnext_captures"
    found = [
        (capture["webhook_secret"], delivery, path.name)
        for path in sorted(folder.glob("webhook*/*.json"))
        for capture in [json.loads(path.read_text())]
        for delivery in capture.get("deliveries", ())
        if delivery.get("signature_header") and delivery.get("body_base64") and delivery["method"] == "POST"
    ]
    assert len(found) > 20
    return found


def test_every_signed_delivery_that_was_recorded_from_erpnext_is_accepted_and_no_other_bytes_are() -> None:
    erpnext = usual_verification("erpnext")
    assert erpnext is not None
    for secret, delivery, name in captured():
        headers = [tuple(header) for header in delivery["headers"]]
        body = base64.b64decode(delivery["body_base64"])
        assert is_accepted(erpnext, headers, body=body, secrets=(secret,)), name
        assert not is_accepted(erpnext, headers, body=body + b" ", secrets=(secret,)), name


def test_the_samples_of_razorpay_are_accepted() -> None:
    samples = json.loads((FIXTURES / "razorpay" / "webhook_deliveries.json").read_text())
    razorpay = usual_verification("razorpay")
    assert razorpay is not None
    for delivery in samples["deliveries"]:
        headers, body = list(delivery["headers"].items()), delivery["raw_body"].encode()
        assert is_accepted(razorpay, headers, body=body, secrets=(samples["webhook_secret"],))
        assert not is_accepted(
            razorpay, headers, body=body.replace(b"INR", b"USD"), secrets=(samples["webhook_secret"],)
        )


@pytest.mark.parametrize("system", ["erpnext", "metakocka", "quickbooks", "razorpay", "veekaart", "zoho_crm"])
def test_what_a_system_signs_with_is_known_and_needs_a_secret(system: str) -> None:
    facts = checked_facts(system, "it", secret=SECRET)
    assert verification_of(facts.verification, where="it") == usual_verification(system)
    with pytest.raises(ConfigError, match="needs one"):
        checked_facts(system, "it", secret=None)


def test_a_system_that_is_not_known_must_be_told_how_it_signs() -> None:
    with pytest.raises(ConfigError, match="Give the webhook"):
        checked_facts("kontor", "it", secret=SECRET)
    facts = checked_facts("kontor", "it", secret=SECRET, verification={"scheme": "bearer"})
    assert facts.verification["header"] == "Authorization"


def test_a_new_secret_is_one_for_its_scheme() -> None:
    for name in SCHEMES:
        secret = new_secret(scheme(name))
        check_secret(scheme(name), secret, where="it")
        assert len(secret) > 40
    assert len(new_secret(scheme("channel"))) <= 50
    assert new_secret(scheme("standard")).startswith("whsec_")


@pytest.mark.parametrize("name", SCHEMES)
def test_what_a_scheme_signs_itself_it_accepts_with_that_secret_only(name: str) -> None:
    body, headers = scheme(name).signed({"event": "test"}, SECRET, now=NOW)
    request = Request(list(headers.items()), body, now=NOW)
    verify(scheme(name), request, secrets=[Secret(SECRET)])
    with pytest.raises(SignatureInvalid):
        verify(scheme(name), request, secrets=[Secret("another")])
    assert json.loads(body)["event"] == "test"
