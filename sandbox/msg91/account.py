"""The state of an MSG91 account: its key, templates, balance, and what became of each message it took.

Sources of the statuses: the help pages on delivery reports; of the reasons: Meta's list of errors.
"""

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.sending import NEVER

KEY = "sandbox-msg91-authkey"
PLACEHOLDER = re.compile(r"##(\w+)##")
LONGEST_VALUE = 30
# By the last four digits of a number: what the operator reports.
MAGIC = {
    "0002": ("2", "FAILED"),
    "0009": ("9", "NDNC"),
    "0016": ("16", "REJECTED"),
    "0017": ("17", "BLOCKED"),
}
DELIVERED = ("1", "DELIVERED")


@dataclass(frozen=True, slots=True)
class SmsTemplate:
    """A template that is registered with the operators: MSG91's own id and theirs, which are not interchangeable."""

    id: str
    dlt_id: str
    text: str
    product: str = "flow"
    sender_from_api: bool = False


@dataclass(frozen=True, slots=True)
class WhatsAppTemplate:
    """A template that Meta approved: how many values its body wants."""

    name: str
    languages: tuple[str, ...]
    body_values: int
    category: str = "UTILITY"
    status: str = "approved"


def default_sms() -> dict[str, SmsTemplate]:
    """The SMS templates of the sandbox, by MSG91's id."""
    templates = (
        SmsTemplate(
            "665f1c0ad6fc053a1b2c3d4e", "1107161234567890123", "Dear ##VAR1##, invoice ##VAR2## is ready. Firma"
        ),
        SmsTemplate(
            "665f1c0ad6fc053a1b2c3d4f",
            "1107161234567890124",
            "##name##, please pay ##no##. Firma",
            sender_from_api=True,
        ),
        SmsTemplate("665f1c0ad6fc053a1b2c3d50", "1107161234567890125", "Your code is ##OTP##. Firma", "otp"),
    )
    return {template.id: template for template in templates}


def default_whatsapp() -> dict[str, WhatsAppTemplate]:
    """The WhatsApp templates of the sandbox, by name."""
    templates = (
        WhatsAppTemplate("invoice_ready", ("en", "hi"), 2),
        WhatsAppTemplate("spring_sale", ("en",), 1, category="MARKETING"),
    )
    return {template.name: template for template in templates}


@dataclass(slots=True)
class Switches:
    """What an operator may turn.

    `refusal_status`: the HTTP status of a refused SMS, 200 or 400; both were seen. `on_the_list`: whether the caller's
    IP address is. `repeats_refused`: whether an identical request within ten seconds is (code 311). `balance` in
    credits, one for each recipient. `requests_per_minute`: None is any; `retry_after` seconds go with the refusal.
    """

    refusal_status: int = 200
    on_the_list: bool = True
    repeats_refused: bool = False
    balance: int = 1_000
    requests_per_minute: int | None = None
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """One message to one number, and what its report would say. `status` None: no report ever comes."""

    channel: str
    request_id: str
    number: str
    text: str
    status: str | None
    reason: str
    reference: str = ""
    sender: str = ""


@dataclass
class Account:
    """One account."""

    seed: int = 7
    now: Callable[[], float] = time.monotonic
    keys: set[str] = field(default_factory=lambda: {KEY})
    numbers: set[str] = field(default_factory=lambda: {"919811111111"})
    sms: dict[str, SmsTemplate] = field(default_factory=default_sms)
    whatsapp: dict[str, WhatsAppTemplate] = field(default_factory=default_whatsapp)
    switches: Switches = field(default_factory=Switches)
    sent: list[Sent] = field(default_factory=list)
    last: dict[bytes, float] = field(default_factory=dict)  # when a body came last
    window: tuple[float, int] = (NEVER, 0)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def new_id(self, length: int) -> str:
        """The name of a request, in hexadecimal digits."""
        return "".join(self._random.choice("0123456789abcdef") for _ in range(length))

    def is_repeated(self, body: bytes) -> bool:
        """Whether the same came within ten seconds; it is remembered."""
        now, before = self.now(), self.last.get(body, float("-inf"))
        self.last[body] = now
        return self.switches.repeats_refused and now - before < 10

    def is_over_the_limit(self) -> bool:
        """Whether the minute has seen enough requests; this one counts."""
        limit, now = self.switches.requests_per_minute, self.now()
        if limit is None:
            return False
        began, seen = self.window
        if now - began >= 60:
            began, seen = now, 0
        self.window = (began, seen + 1)
        return seen >= limit

    def text_to(
        self,
        template: SmsTemplate,
        recipient: Mapping[str, Any],
        number: str,
        *,
        request_id: str,
        reference: str,
        sender: str,
    ) -> None:
        """Take an SMS to one number: accepted whatever its values are, and reported afterwards."""
        values = {name: str(value) for name, value in recipient.items()}
        missing = [name for name in PLACEHOLDER.findall(template.text) if name not in values]
        text = PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template.text)
        status, reason = MAGIC.get(number[-4:], DELIVERED)
        if missing:
            status, reason = "2", f"Template mismatch: ##{missing[0]}##"
        elif any(len(values[name]) > LONGEST_VALUE for name in PLACEHOLDER.findall(template.text)):
            status, reason = "16", "Template variable exceeds max length"
        elif len(number) == 10:
            status, reason = "2", "Invalid number"
        self.sent.append(Sent("sms", request_id, number, text, status, reason, reference, sender))

    def whatsapp_to(
        self, wanted: Mapping[str, Any], components: Mapping[str, Any], number: str, *, request_id: str
    ) -> None:
        """Take a WhatsApp template to one number: accepted whatever it is, and failed afterwards."""
        template = self.whatsapp.get(str(wanted.get("name")))
        body = [value for name, value in components.items() if name.startswith("body_")]
        text = f"{wanted.get('name')}: " + ", ".join(str(dict(value).get("value")) for value in body)
        status: str | None = "delivered"
        reason = ""
        if template is None or (wanted.get("language") or {}).get("code") not in template.languages:
            status, reason = "failed", "132001 template name does not exist in the translation"
        elif len(body) != template.body_values:
            status, reason = "failed", "132000 number of parameters does not match"
        elif template.category == "MARKETING":
            status = None
        elif len(number) == 10:
            status, reason = "failed", "131026 message undeliverable"
        self.sent.append(Sent("whatsapp", request_id, number, text, status, reason))


def fresh_account(*, seed: int) -> Account:
    """An account with its key and templates."""
    return Account(seed=seed)
