"""An SMS and a WhatsApp message: what they are made of, what could not arrive, and how they are written on the wire.

MSG91 accepts much that it never delivers (a wrong variable, a number without its country code), so it is looked at
before. Sources: MSG91's help pages and its own WhatsApp SDK; what is not sure is in docs/systems/msg91.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from erpflow.connectors.messaging import problem, refuse_if
from erpflow.errors import FieldProblem

MOST_RECIPIENTS: Final = 500
"""Of one call; no maximum is documented, so that this one is ours."""
LONGEST_VALUE: Final = 30
"""Characters of a variable of an SMS, by the rules of DLT. One source says 40 (UNVERIFIED)."""
LONGEST_COMPONENT: Final = 1_024
"""Characters of a value of a WhatsApp template: the longest text that Meta lets a body have."""
REFERENCE: Final = "CRQID"
"""Our own reference of each recipient, which comes back in the delivery reports."""

_NUMBER: Final = re.compile(r"[1-9]\d{7,14}")
_BARE_INDIAN: Final = re.compile(r"[6-9]\d{9}")
_TEMPLATE: Final = re.compile(r"[0-9a-fA-F]{24}")
_DLT: Final = re.compile(r"\d{19}")
_SENDER: Final = re.compile(r"[A-Za-z]{6}")
_VARIABLE: Final = re.compile(r"[A-Za-z]\w{0,63}", re.ASCII)
_COMPONENT: Final = re.compile(r"(header|body|button)_([1-9]\d?)|body_([A-Za-z]\w{0,63})", re.ASCII)
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(_[A-Z]{2,3})?")
_WHATSAPP_TEMPLATE: Final = re.compile(r"[a-z0-9_]{1,512}")
_NEVER_A_VARIABLE: Final = frozenset({"mobiles", "crqid"})
_MEDIA: Final = frozenset({"image", "video", "document"})
_BUTTONS: Final = frozenset({"url", "quick_reply"})


@dataclass(frozen=True, slots=True)
class SmsRecipient:
    """A number with its country code, and what goes into the template for it."""

    mobile: str
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """A template to some numbers. `sender`: only for a template that was made with a sender from the API."""

    template_id: str
    recipients: tuple[SmsRecipient, ...]
    sender: str | None = None

    @property
    def numbers(self) -> tuple[str, ...]:
        """Whom it goes to."""
        return tuple(bare(each.mobile) for each in self.recipients)

    def check(self) -> None:
        """Raises MessageRejected with everything that is known to fail."""
        refuse_if((*_sms_template(self), *_many(len(self.recipients)), *_sms_recipients(self)))

    def compose(self, *, sender: str | None, reference: str) -> bytes:
        """The body of the request. `sender`: the connection's, where the message names none."""
        body = {
            "template_id": self.template_id,
            "short_url": "0",
            "realTimeResponse": "1",
            "recipients": [
                {**each.variables, "mobiles": bare(each.mobile), REFERENCE: reference} for each in self.recipients
            ],
        }
        name = self.sender or sender
        return msgspec.json.encode(body | ({"sender": name} if name else {}))


@dataclass(frozen=True, slots=True)
class Component:
    """A value of a template: `type` text, or image, video, document by its address (`filename` as it is shown).

    `subtype` of a button: url or quick_reply. `parameter_name` of a variable that has a name in place of a number.
    """

    value: str
    type: str = "text"
    subtype: str | None = None
    filename: str | None = None
    parameter_name: str | None = None


@dataclass(frozen=True, slots=True)
class WhatsAppRecipient:
    """A number with its country code, and the template's values by place: `header_1`, `body_1`, `button_1`."""

    mobile: str
    components: Mapping[str, Component] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatsApp:
    """A template in one language to some numbers. Namespace and sending number: the connection's, if left out."""

    template: str
    language: str
    recipients: tuple[WhatsAppRecipient, ...]
    namespace: str | None = None

    @property
    def numbers(self) -> tuple[str, ...]:
        """Whom it goes to."""
        return tuple(bare(each.mobile) for each in self.recipients)

    def check(self) -> None:
        """Raises MessageRejected with everything that is known to fail."""
        refuse_if((*_whatsapp_template(self), *_many(len(self.recipients)), *_whatsapp_recipients(self)))

    def compose(self, *, integrated_number: str, namespace: str | None) -> bytes:
        """The body of the request. `integrated_number`: who sends."""
        template: dict[str, Any] = {
            "name": self.template,
            "language": {"code": self.language, "policy": "deterministic"},
            "to_and_components": [
                {
                    "to": [bare(each.mobile)],
                    "components": {name: _component(value) for name, value in each.components.items()},
                }
                for each in self.recipients
            ],
        }
        space = self.namespace or namespace
        payload = {
            "messaging_product": "whatsapp",
            "type": "template",
            "template": template | ({"namespace": space} if space else {}),
        }
        # Reports have a `crqid`, but no sample of a request shows where it would go: none is sent.
        body = {"integrated_number": integrated_number, "content_type": "template", "payload": payload}
        return msgspec.json.encode(body)


def bare(mobile: str) -> str:
    """A number as MSG91 wants it: digits with the country code, no plus."""
    return mobile.strip().removeprefix("+")


def _component(component: Component) -> dict[str, str]:
    more = {"subtype": component.subtype, "filename": component.filename, "parameter_name": component.parameter_name}
    return {"type": component.type, "value": component.value, **{name: text for name, text in more.items() if text}}


# -- what is wrong with a message --------------------------------------------------------------------------------------


def wrong_number(where: str, mobile: str) -> Iterator[FieldProblem]:
    """The problem of what is no number that MSG91 can reach."""
    text = bare(mobile)
    if not _NUMBER.fullmatch(text):
        said = "is a number with its country code, digits only: 919900000001."
        yield problem(where, "phone", said, value=mobile[:40])
    elif _BARE_INDIAN.fullmatch(text) and not mobile.strip().startswith("+"):
        said = (
            "has ten digits, so its country code is missing: MSG91 would take it and never deliver. Put 91 in front. "
            "Where the code is in it already (65 of Singapore), write it with a plus."
        )
        yield problem(where, "phone", said, value=mobile[:40])


def _many(count: int) -> Iterator[FieldProblem]:
    if not 1 <= count <= MOST_RECIPIENTS:
        yield problem("recipients", "length", f"1 to {MOST_RECIPIENTS} in one message, and there are {count}.")


def _sms_template(sms: Sms) -> Iterator[FieldProblem]:
    if _DLT.fullmatch(sms.template_id):
        said = (
            "has 19 digits, so it is the id of the operators' DLT register. MSG91 wants its own id of the template, 24 "
            "hexadecimal digits (MSG91 → SMS → Templates, the column Template ID)."
        )
        yield problem("template_id", "dlt_id", said, value=sms.template_id)
    elif not _TEMPLATE.fullmatch(sms.template_id):
        said = "is MSG91's own id of a template: 24 hexadecimal digits."
        yield problem("template_id", "format", said, value=sms.template_id[:100])
    if sms.sender is not None and not _SENDER.fullmatch(sms.sender):
        yield problem(
            "sender", "format", "is a header of six letters that is registered with DLT.", value=sms.sender[:40]
        )


def _sms_recipients(sms: Sms) -> Iterator[FieldProblem]:
    for number, recipient in enumerate(sms.recipients):
        where = f"recipients.{number}"
        yield from wrong_number(f"{where}.mobile", recipient.mobile)
        for name, value in recipient.variables.items():
            place = f"{where}.variables.{name[:64]}"
            if not _VARIABLE.fullmatch(name) or name.lower() in _NEVER_A_VARIABLE:
                yield problem(place, "name", "is no name of a variable. It is what stands between ## in the template.")
            yield from _plain(place, value, LONGEST_VALUE)


def _plain(place: str, value: str, most: int) -> Iterator[FieldProblem]:
    """The problems of a value that goes into a template."""
    if not value.strip():
        yield problem(place, "required", "is blank, and a blank value is refused.")
    if any(sign in value for sign in "\r\n\t\0"):
        yield problem(place, "characters", "holds a line break or a tab, which a template's value may not.")
    if len(value) > most:
        said = f"{most:,} characters at most, and it has {len(value):,}: the operators drop what is longer."
        yield problem(place, "max_length", said)


def _whatsapp_template(message: WhatsApp) -> Iterator[FieldProblem]:
    if not _WHATSAPP_TEMPLATE.fullmatch(message.template):
        said = "is the name of a template: small letters, digits and underscores."
        yield problem("template", "format", said, value=message.template[:100])
    if not _LANGUAGE.fullmatch(message.language):
        yield problem("language", "format", "is a code such as en or en_US.", value=message.language[:20])


def _whatsapp_recipients(message: WhatsApp) -> Iterator[FieldProblem]:
    for number, recipient in enumerate(message.recipients):
        where = f"recipients.{number}"
        yield from wrong_number(f"{where}.mobile", recipient.mobile)
        yield from _places(f"{where}.components", recipient.components)


def _places(where: str, components: Mapping[str, Component]) -> Iterator[FieldProblem]:
    counted: dict[str, set[int]] = {}
    for name, component in components.items():
        found = _COMPONENT.fullmatch(name)
        place = f"{where}.{name[:64]}"
        if found is None:
            said = "is no place in a template. They are header_1, body_1, body_2 …, button_1; or body_<name>."
            yield problem(place, "name", said)
            continue
        if found[1]:
            counted.setdefault(found[1], set()).add(int(found[2]))
        yield from _wrong_component(place, found[1] or "body", component, is_named=bool(found[3]))
    for kind, numbers in counted.items():
        # A button without a variable has no value, so that buttons alone may have gaps.
        missing = sorted(set(range(1, max(numbers) + 1)) - numbers)
        if missing and kind != "button":
            said = f"is missing: the values of a template are numbered without gaps, up to {kind}_{max(numbers)} here."
            yield problem(f"{where}.{kind}_{missing[0]}", "required", said)


def _wrong_component(place: str, kind: str, component: Component, *, is_named: bool) -> Iterator[FieldProblem]:
    if component.type in _MEDIA and kind == "header":
        if not re.fullmatch(r"https?://\S{1,2000}", component.value):
            yield problem(f"{place}.value", "url", "is the address of the file, which WhatsApp fetches.")
    elif component.type != "text":
        yield problem(f"{place}.type", "choice", "is text; of a header image, video or document, too.")
    else:
        yield from _plain(place, component.value, LONGEST_COMPONENT)
    if (kind == "button") != (component.subtype in _BUTTONS):
        yield problem(f"{place}.subtype", "choice", "is url or quick_reply for a button, and for nothing else.")
    if is_named and not component.parameter_name:
        yield problem(f"{place}.parameter_name", "required", "a variable with a name needs it here.")
