"""A mail as SendGrid takes it: what is refused before it is sent, and how it is written."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow.connectors.messaging import MessageRejected
from erpflow.connectors.sendgrid_mail import REFERENCE, Address, Attachment, Mail

TEMPLATE = "d-0123456789abcdef0123456789abcdef"
ANNA = Address("anna@kunde.example", "Anna")
PLAIN = Mail(to=(ANNA,), subject="Invoice", text="Hello.")
FILLED = Mail(to=(ANNA,), template_id=TEMPLATE, dynamic_data={"no": "INV-104"})
FIRMA = Address("erp@firma.example")


def attached(content: bytes | str, **more: Any) -> Mail:
    text = content if isinstance(content, str) else base64.b64encode(content).decode()
    return replace(PLAIN, attachments=(Attachment(**({"filename": "a.pdf", "content": text} | more)),))


def composed(mail: Mail) -> Any:
    return json.loads(mail.compose(sender=FIRMA, reference="m-1"))


def blamed(mail: Mail) -> list[tuple[str, str]]:
    """The field and the rule of each problem."""
    try:
        mail.check()
    except MessageRejected as rejected:
        return [(problem.field, problem.rule) for problem in rejected.problems]
    return []


@pytest.mark.parametrize(
    "mail",
    [
        PLAIN,
        FILLED,
        replace(PLAIN, text=None, html="<p>Hello.</p>"),
        attached(b"%PDF"),
        attached(b"\x89PNG", inline=True, content_id="logo", type="image/png"),
        replace(PLAIN, to=(Address("o'brien+tag@sub.kunde.example"), Address("jürgen@müller.example"))),
        replace(PLAIN, categories=tuple(map(str, range(10))), custom_args={"doc": "INV-104"}),
        replace(PLAIN, to=tuple(Address(f"a{number}@b.example") for number in range(1_000))),
    ],
)
def test_a_good_mail_has_no_problem(mail: Mail) -> None:
    assert blamed(mail) == []


@pytest.mark.parametrize(
    ("mail", "expected"),
    [
        (replace(PLAIN, to=()), ("to", "required")),
        (replace(PLAIN, to=(Address("anna"),)), ("to.0.email", "email")),
        (replace(PLAIN, to=(Address("Anna <anna@kunde.example>"),)), ("to.0.email", "email")),
        (replace(PLAIN, to=(Address("a@b.example\r\nBcc: c@d.example"),)), ("to.0.email", "email")),
        (replace(PLAIN, to=(Address("a@b.example", "A\r\nB"),)), ("to.0.name", "characters")),
        (replace(PLAIN, to=(Address("a" * 250 + "@b.example"),)), ("to.0.email", "email")),
        (replace(PLAIN, to=(ANNA, Address("ANNA@kunde.example"))), ("to.1.email", "duplicate")),
        (replace(PLAIN, bcc=(ANNA,)), ("bcc.0.email", "duplicate")),
        (replace(PLAIN, to=tuple(Address(f"a{n}@b.example") for n in range(1_001))), ("to", "max_length")),
        (replace(PLAIN, sender=Address("firma")), ("from.email", "email")),
        (replace(PLAIN, reply_to=Address("firma")), ("reply_to.email", "email")),
        (replace(PLAIN, subject=None), ("subject", "required")),
        (replace(PLAIN, subject="  "), ("subject", "required")),
        (replace(PLAIN, subject="a\nb"), ("subject", "characters")),
        (replace(PLAIN, subject="a" * 999), ("subject", "max_length")),
        (replace(PLAIN, text=None), ("text", "required")),
        (replace(PLAIN, dynamic_data={"a": 1}), ("dynamic_data", "needs")),
        (replace(FILLED, dynamic_data={"a": "\ud800"}), ("dynamic_data", "json")),
        (replace(FILLED, template_id="d-123"), ("template_id", "format")),
        (replace(FILLED, subject="Invoice"), ("subject", "excluded")),
        (replace(FILLED, text="Hello."), ("text", "excluded")),
        (attached("AAAA\nAAAA"), ("attachments.0.content", "base64")),
        (attached("data:application/pdf;base64,AAAA"), ("attachments.0.content", "base64")),
        (attached("AAA"), ("attachments.0.content", "base64")),
        (attached(b""), ("attachments.0.content", "required")),
        (attached(b"x" * (10 * 1024 * 1024 + 1)), ("attachments", "max_length")),
        (attached(b"x", filename="../a.pdf"), ("attachments.0.filename", "format")),
        (attached(b"x", type="pdf"), ("attachments.0.type", "format")),
        (attached(b"x", inline=True), ("attachments.0.content_id", "required")),
        (replace(PLAIN, categories=tuple(map(str, range(11)))), ("categories", "max_length")),
        (replace(PLAIN, categories=("a", "a")), ("categories.1", "duplicate")),
        (replace(PLAIN, categories=("a" * 256,)), ("categories.0", "max_length")),
        (replace(PLAIN, categories=(" ",)), ("categories.0", "required")),
        (replace(PLAIN, custom_args={REFERENCE: "x"}), (f"custom_args.{REFERENCE}", "reserved")),
        (replace(PLAIN, custom_args={"a": "x" * 10_000}), ("custom_args", "max_length")),
    ],
)
def test_what_sendgrid_would_refuse_is_named(mail: Mail, expected: tuple[str, str]) -> None:
    assert expected in blamed(mail)


def test_every_problem_is_told_at_once_and_the_first_field_is_the_answers() -> None:
    mail = Mail(to=(Address("anna"),))
    with pytest.raises(MessageRejected) as caught:
        mail.check()
    assert [problem.field for problem in caught.value.problems] == ["to.0.email", "subject", "text"]
    assert caught.value.field == "to.0.email"
    assert str(caught.value).startswith("to.0.email: is no address.")


def test_plain_text_comes_before_html_and_links_stay_as_they_are() -> None:
    body = composed(replace(PLAIN, html="<p>Hello.</p>"))
    assert [part["type"] for part in body["content"]] == ["text/plain", "text/html"]
    assert body["tracking_settings"] == {"click_tracking": {"enable": False, "enable_text": False}}


def test_what_is_empty_is_not_sent() -> None:
    assert set(composed(PLAIN)) == {
        "personalizations", "from", "subject", "content", "custom_args", "tracking_settings",
    }  # fmt: skip
    assert set(composed(FILLED)["personalizations"][0]) == {"to", "dynamic_template_data"}


def test_who_sends_is_the_mails_own_word_or_the_connections() -> None:
    assert composed(PLAIN)["from"] == {"email": "erp@firma.example"}
    assert composed(replace(PLAIN, sender=ANNA))["from"] == {"email": "anna@kunde.example", "name": "Anna"}


def test_a_mail_of_more_than_30_mib_is_refused_as_a_whole() -> None:
    with pytest.raises(MessageRejected, match="31,457,280 bytes at most"):
        replace(PLAIN, text="x" * (30 * 1024 * 1024)).compose(sender=FIRMA, reference="m")


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5), st.text(min_size=1, max_size=36))
def test_our_reference_always_goes_along(arguments: dict[str, str], reference: str) -> None:
    body = json.loads(replace(PLAIN, custom_args=arguments).compose(sender=FIRMA, reference=reference))
    assert body["custom_args"] == arguments | {REFERENCE: reference}


@given(st.text(max_size=60))
def test_no_accepted_address_can_add_a_header_or_a_second_one(text: str) -> None:
    if not blamed(replace(PLAIN, to=(Address(text),))):
        assert text.count("@") == 1
        assert not set(text) & set(' \t\r\n<>,;:"\\()[]')
