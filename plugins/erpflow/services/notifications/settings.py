"""What people are told, when and where: the settings an operator writes as JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from erpflow.errors import ConfigError

EXAMPLE: Final = '{"email": ["ops@example.com"], "remind_after_hours": 24}'


def _address(text: str) -> str:
    local, at, host = text.strip().rpartition("@")
    if not (local and at and host) or any(sign.isspace() or sign in ",;<>" for sign in text.strip()):
        raise ValueError("is not one e-mail address, such as ops@example.com")
    return text.strip()


Address = Annotated[str, AfterValidator(_address)]


class Audience(BaseModel):
    """Where one tenant's messages go instead: its addresses, and the Airflow Connection of its webhook.

    What is not given is as for everybody; an empty list or an empty text switches the channel off.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: tuple[Address, ...] | None = None
    webhook: str | None = None


class NotificationSettings(BaseModel):
    """The settings of an installation; every one has a default.

    `stale_after_intervals`: a sync is stale when that many of its `every` have passed without one that worked, and at
    least `stale_after_minutes`. `rejects_a_day`: from so many newly refused records in 24 hours on, they are told.
    `api_keys_days`, `access_keys_days`: after so many days a secret should be changed; `rotate_after_days` says it for
    a system or a connection by name, None: it need not be.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    email: tuple[Address, ...] = ()
    webhook: str | None = None
    remind_after_hours: float = Field(default=24.0, gt=0)
    stale_after_intervals: float = Field(default=3.0, ge=1)
    stale_after_minutes: float = Field(default=15.0, gt=0)
    rejects_a_day: int = Field(default=100, ge=1)
    api_keys_days: int | None = Field(default=90, ge=1)
    access_keys_days: int | None = Field(default=180, ge=1)
    rotate_after_days: dict[str, Annotated[int, Field(ge=1)] | None] = Field(default_factory=dict)
    tenants: dict[str, Audience] = Field(default_factory=dict)

    @property
    def remind_after(self) -> timedelta:
        """How long a cause that lasts is not told again."""
        return timedelta(hours=self.remind_after_hours)

    def recipients(self, tenant: str) -> tuple[str, ...]:
        """Who gets the e-mails about a tenant (its slug)."""
        own = self.tenants.get(tenant)
        return own.email if own is not None and own.email is not None else self.email

    def webhook_connection(self, tenant: str) -> str | None:
        """The Airflow Connection of a tenant's webhook as it is written here; None when nothing is."""
        own = self.tenants.get(tenant)
        return own.webhook if own is not None and own.webhook is not None else self.webhook

    def days_until_rotation(self, usual: int | None, *, names: tuple[str, ...] = ()) -> timedelta | None:
        """How old a secret may become: as the first of `names` has it that is named here, else `usual`."""
        days = next((self.rotate_after_days[name] for name in names if name in self.rotate_after_days), usual)
        return None if days is None else timedelta(days=days)

    def allowed_age(self, every: timedelta) -> timedelta:
        """How old the last sync that worked may be, for a sync that is due every so often."""
        return max(every * self.stale_after_intervals, timedelta(minutes=self.stale_after_minutes))


def read_settings(text: str | None, *, where: str) -> NotificationSettings:
    """The settings from JSON; the defaults without any. Raises ConfigError naming `where` and every wrong key."""
    if text is None or not text.strip():
        return NotificationSettings()
    try:
        return NotificationSettings.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the text'}: {problem['msg']}" for problem in error.errors()
        )
        known = ", ".join(NotificationSettings.model_fields)
        raise ConfigError(f"{where} is wrong: {wrong}. Known: {known}. Write it like {EXAMPLE}") from None
