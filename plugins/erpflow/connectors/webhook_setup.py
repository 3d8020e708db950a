"""Setting a webhook up at the vendor: an optional capability of a connector, in words that all vendors share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class VendorWebhook:
    """What a vendor is to call, for what, and what it proves itself with.

    `id` is ours and stays the same, so that setting up twice sets up once. `entities` by our names.
    """

    id: str
    url: str
    entities: Sequence[str]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookPart:
    """One thing that has to be there at the vendor: whether it is, and whether it would call us."""

    name: str
    exists: bool
    works: bool
    message: str


@dataclass(frozen=True, slots=True)
class WebhookState:
    """How a webhook is at the vendor.

    `reference`: the vendor's word for it, which its requests carry. `expires_at`: when the vendor forgets it (UTC;
    None: never). `steps`: what a person has to do there, where nobody else can.
    """

    parts: tuple[WebhookPart, ...] = ()
    reference: str | None = None
    expires_at: datetime | None = None
    steps: tuple[str, ...] = ()

    @property
    def works(self) -> bool | None:
        """Whether the vendor calls us, as far as it can be asked; None when only a person can see it."""
        return all(part.works for part in self.parts) if self.parts else None


@runtime_checkable
class SupportsWebhookSetup(Protocol):
    """A connector that knows how its vendor is told to call us."""

    def set_up_webhook(self, wanted: VendorWebhook, *, now: datetime) -> WebhookState:
        """Have it at the vendor as it is wanted: made, mended, or renewed if it runs out within a day.

        Raises ConfigError for what the vendor does not take, and what asking a vendor raises.
        """
        ...

    def webhook_state(self, wanted: VendorWebhook, *, now: datetime) -> WebhookState:
        """How it is at the vendor. Changes nothing."""
        ...

    def remove_webhook(self, wanted: VendorWebhook) -> None:
        """Take it away; one that is not there does not matter."""
        ...
