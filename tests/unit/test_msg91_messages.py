"""SMS and WhatsApp as MSG91 takes them: what would never arrive is refused, and how a message is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow.connectors.messaging import MessageRejected
from erpflow.connectors.msg91_messages import Component, Sms, SmsRecipient, WhatsApp, WhatsAppRecipient

SAMPLES = json.loads((Path(__file__).parents[1] / "fixtures" / "msg91" / "api_samples.json").read_text("utf-8"))
NUMBER = "919900000001"
SMS = Sms(
    template_id="665f1c0ad6fc053a1b2c3d4e",
    recipients=(SmsRecipient(NUMBER, {"VAR1": "Asha", "VAR2": "INV-104"}),),
)


def sms(mobile: str = NUMBER, **variables: str) -> Sms:
    return replace(SMS, recipients=(SmsRecipient(mobile, variables),))


def whatsapp(components: Mapping[str, Component] | None = None, **changes: Any) -> WhatsApp:
    given = components if components is not None else {"body_1": Component("Asha"), "body_2": Component("INV-104")}
    message = WhatsApp(template="invoice_ready", language="en", recipients=(WhatsAppRecipient(NUMBER, given),))
    return replace(message, **changes)


def blamed(message: Sms | WhatsApp) -> list[tuple[str, str]]:
    """The field and the rule of each problem."""
    try:
        message.check()
    except MessageRejected as rejected:
        return [(problem.field, problem.rule) for problem in rejected.problems]
    return []


def test_an_sms_is_written_as_the_sample_is() -> None:
    assert blamed(SMS) == []
    assert json.loads(SMS.compose(sender=None, reference="n-104")) == SAMPLES["flow_request"]


def test_the_sender_is_the_messages_own_word_or_the_connections() -> None:
    assert json.loads(SMS.compose(sender="VKARTS", reference="n"))["sender"] == "VKARTS"
    assert json.loads(replace(SMS, sender="FIRMAX").compose(sender="VKARTS", reference="n"))["sender"] == "FIRMAX"


def test_a_whatsapp_message_is_written_as_the_sample_is() -> None:
    message = whatsapp()
    assert blamed(message) == []
    namespace = "1a2b3c4d_0000_1111_2222_333344445555"
    written = json.loads(message.compose(integrated_number="919811111111", namespace=namespace))
    assert written == SAMPLES["whatsapp_request"]
    without = json.loads(message.compose(integrated_number="919811111111", namespace=None))
    assert "namespace" not in without["payload"]["template"]


@pytest.mark.parametrize("mobile", ["919900000001", "+919900000001", " 919900000001 ", "38640123456", "+6581234567"])
def test_a_number_with_its_country_code_is_good(mobile: str) -> None:
    assert blamed(sms(mobile)) == []
    assert sms(mobile).numbers[0].isdigit()


@pytest.mark.parametrize(
    "mobile",
    ["9900000001", "0919900000001", "91 9900 000001", "91-9900000001", "", "+", "1234567", "1" * 16, "९१९९०००००००१"],
)
def test_a_number_that_msg91_would_take_and_never_reach_is_refused(mobile: str) -> None:
    assert blamed(sms(mobile)) == [("recipients.0.mobile", "phone")]


def test_the_id_of_the_operators_register_is_told_from_msg91s_own() -> None:
    with pytest.raises(MessageRejected, match="19 digits, so it is the id of the operators' DLT register"):
        replace(SMS, template_id="1107161234567890123").check()
    assert blamed(replace(SMS, template_id="invoice")) == [("template_id", "format")]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (sms(VAR1="x" * 31), ("recipients.0.variables.VAR1", "max_length")),
        (sms(VAR1=" "), ("recipients.0.variables.VAR1", "required")),
        (sms(VAR1="a\nb"), ("recipients.0.variables.VAR1", "characters")),
        (sms(mobiles="919900000002"), ("recipients.0.variables.mobiles", "name")),
        (sms(CRQID="x"), ("recipients.0.variables.CRQID", "name")),
        (sms(**{"##VAR1##": "x"}), ("recipients.0.variables.##VAR1##", "name")),
        (replace(SMS, recipients=()), ("recipients", "length")),
        (replace(SMS, recipients=SMS.recipients * 501), ("recipients", "length")),
        (replace(SMS, sender="VK"), ("sender", "format")),
    ],
)
def test_what_would_not_arrive_of_an_sms_is_named(message: Sms, expected: tuple[str, str]) -> None:
    assert expected in blamed(message)


def test_a_value_of_30_characters_is_short_enough_in_any_script() -> None:
    assert blamed(sms(VAR1="x" * 30)) == blamed(sms(VAR1="न" * 30)) == []


URL = "https://example.com/inv-104.pdf"


@pytest.mark.parametrize(
    "components",
    [
        {},
        {"header_1": Component(URL, type="document", filename="INV-104.pdf"), "body_1": Component("Asha")},
        {"button_2": Component("inv-104", subtype="url")},
        {"body_name": Component("Asha", parameter_name="name")},
    ],
)
def test_components_by_their_numbered_places_are_good(components: dict[str, Component]) -> None:
    assert blamed(whatsapp(components)) == []


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ({"body_2": Component("x")}, ("body_1", "required")),
        ({"body_1": Component("x"), "body_3": Component("x")}, ("body_2", "required")),
        ({"body_0": Component("x")}, ("body_0", "name")),
        ({"footer_1": Component("x")}, ("footer_1", "name")),
        ({"body": Component("x")}, ("body", "name")),
        ({"body_1": Component(" ")}, ("body_1", "required")),
        ({"body_1": Component("a\tb")}, ("body_1", "characters")),
        ({"body_1": Component("x" * 1_025)}, ("body_1", "max_length")),
        ({"body_1": Component(URL, type="document")}, ("body_1.type", "choice")),
        ({"header_1": Component("a.pdf", type="document")}, ("header_1.value", "url")),
        ({"button_1": Component("x")}, ("button_1.subtype", "choice")),
        ({"body_1": Component("x", subtype="url")}, ("body_1.subtype", "choice")),
        ({"body_name": Component("Asha")}, ("body_name.parameter_name", "required")),
    ],
)
def test_components_that_no_template_has_are_named(components: dict[str, Component], expected: tuple[str, str]) -> None:
    field, rule = expected
    assert (f"recipients.0.components.{field}", rule) in blamed(whatsapp(components))


@pytest.mark.parametrize(
    ("changes", "field"), [({"template": "Invoice ready"}, "template"), ({"language": "english"}, "language")]
)
def test_a_template_has_a_name_and_a_language(changes: dict[str, str], field: str) -> None:
    assert blamed(whatsapp(**changes)) == [(field, "format")]


@given(st.text(max_size=40), st.dictionaries(st.text(max_size=10), st.text(max_size=40), max_size=4))
def test_no_variable_can_take_the_place_of_the_number_or_of_our_reference(mobile: str, values: dict[str, str]) -> None:
    message = replace(SMS, recipients=(SmsRecipient(mobile, values),))
    if not blamed(message):
        [written] = json.loads(message.compose(sender=None, reference="n-1"))["recipients"]
        assert written == values | {"mobiles": message.numbers[0], "CRQID": "n-1"}
        assert written["mobiles"].isascii() and written["mobiles"].isdigit()
