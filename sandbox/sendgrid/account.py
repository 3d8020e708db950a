"""The state of a SendGrid account: its API keys, verified senders, templates, and the mails it took."""

import random
import string
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.sending import NEVER

IDS = string.ascii_letters + string.digits + "-_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key and what it may do."""

    secret: str
    scopes: tuple[str, ...]


def default_keys() -> dict[str, ApiKey]:
    """The keys of the sandbox, by their secret: one that may send, and one that may only look."""
    keys = (
        ApiKey("SG.sandbox-sending.key", ("mail.send", "templates.read", "scopes.read")),
        ApiKey("SG.sandbox-looking.key", ("templates.read", "scopes.read")),
    )
    return {key.secret: key for key in keys}


@dataclass(frozen=True, slots=True)
class Template:
    """A dynamic template; without an active version it sends mails without a text."""

    id: str
    name: str
    subject: str
    is_active: bool = True


def default_templates() -> dict[str, Template]:
    """The templates of the sandbox, by their id."""
    templates = (
        Template("d-0123456789abcdef0123456789abcdef", "Invoice", "Invoice {{invoice_no}}"),
        Template("d-fedcba9876543210fedcba9876543210", "Reminder", "Reminder of {{invoice_no}}"),
    )
    return {template.id: template for template in templates}


@dataclass(slots=True)
class Switches:
    """What an operator may turn: mails in a minute (None: any), and whether the plan has credits left."""

    mails_per_minute: int | None = None
    has_credits: bool = True


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that was taken: the name it was given, and the request as it came."""

    message_id: str
    mail: dict[str, Any]


@dataclass
class Account:
    """One account."""

    seed: int = 7
    now: Callable[[], float] = time.time  # Unix seconds
    keys: dict[str, ApiKey] = field(default_factory=default_keys)
    verified: set[str] = field(default_factory=lambda: {"firma.example", "erp@single.example"})
    templates: dict[str, Template] = field(default_factory=default_templates)
    switches: Switches = field(default_factory=Switches)
    sent: list[Sent] = field(default_factory=list)
    window: tuple[float, int] = (NEVER, 0)  # when the minute began, and how many mails it has seen

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def may_send_as(self, email: str) -> bool:
        """Whether an address, or its domain, is verified."""
        return email.lower() in self.verified or email.lower().rpartition("@")[2] in self.verified

    def take(self, mail: dict[str, Any]) -> str:
        """Queue a mail; the name it gets."""
        message_id = "".join(self._random.choice(IDS) for _ in range(22))
        self.sent.append(Sent(message_id, mail))
        return message_id

    def limits(self, *, spend: bool) -> tuple[int, int, int] | None:
        """The limit, what is left of it (-1: it is exceeded) and when it is whole again; None where there is none."""
        limit, now = self.switches.mails_per_minute, self.now()
        if limit is None:
            return None
        began, seen = self.window
        if now - began >= 60:
            began, seen = now, 0
        if spend and seen >= limit:
            return limit, -1, int(began + 60)
        self.window = (began, seen + spend)
        return limit, limit - self.window[1], int(began + 60)


def fresh_account(*, seed: int) -> Account:
    """An account with its keys and templates."""
    return Account(seed=seed)
