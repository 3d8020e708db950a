"""Secrets that have been the same for too long, as causes: one for each connection, and for each program's key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from erpflow.connectors.registry import connector_class
from erpflow.errors import ConfigError
from erpflow.services.notifications.settings import NotificationSettings
from erpflow.services.notifications.wording import clock, counted
from erpflow.store.credentials import Holder, KeptSecret
from erpflow.store.notifications import Cause, Details
from erpflow.vocabulary import CauseKind

NO_SECRET: Final = ("none",)
ACCESS_KEY: Final = frozenset({"oauth", "oauth2", "access_key"})
"""How a data sheet calls it that the connection's secret is an app's or a cloud account's, not a user's API key."""


def rotation_causes(secrets: Iterable[KeptSecret], *, now: datetime, settings: NotificationSettings) -> list[Cause]:
    """Each secret that is older than it may be."""
    return [cause for secret in secrets for cause in _too_old(secret, now, settings)]


def _too_old(secret: KeptSecret, now: datetime, settings: NotificationSettings) -> Iterator[Cause]:
    allowed = _allowed(secret, settings)
    if allowed is None or now - secret.rotated_at <= allowed:
        return
    what, next_step = (_program if secret.holder is Holder.API_KEY else _account)(secret)
    age = counted((now - secret.rotated_at).days, "day")
    is_connection = secret.holder is Holder.CONNECTION
    yield Cause(
        key=f"{CauseKind.ROTATION.value}/{secret.holder.value}/{secret.id}",
        tenant_id=secret.tenant_id,
        config_id=None,
        kind=CauseKind.ROTATION,
        subject=f"{_name(secret)}: its secret is {age} old",
        since=secret.rotated_at + allowed,
        details=Details(
            what=f"{what} has been the same since {clock(secret.rotated_at)}, for {age}. "
            f"It should be changed every {counted(allowed.days, 'day')}.",
            next_step=next_step,
            connection=secret.name if is_connection else None,
            system=secret.told_by if is_connection else None,
            counts={"days_old": (now - secret.rotated_at).days},
        ),
    )


def _allowed(secret: KeptSecret, settings: NotificationSettings) -> timedelta | None:
    """How old a secret may become; None for one that may be as old as it likes, or of which there is none."""
    if secret.holder is Holder.API_KEY:
        return settings.days_until_rotation(settings.api_keys_days)
    ways = _ways_of(secret.told_by)
    if ways == NO_SECRET:
        return None
    usual = settings.access_keys_days if ACCESS_KEY.intersection(ways) else settings.api_keys_days
    return settings.days_until_rotation(usual, names=(secret.name, secret.told_by))


def _ways_of(system: str) -> tuple[str, ...]:
    """How accounts of a system sign in. Of one without a connector here nothing is known."""
    try:
        return connector_class(system).spec.auth
    except ConfigError:
        return ()


def _name(secret: KeptSecret) -> str:
    return secret.name if secret.holder is Holder.CONNECTION else f"API key {secret.told_by}… ({secret.name})"


def _account(secret: KeptSecret) -> tuple[str, str]:
    return (
        f"The secret of the connection {secret.name} ({secret.told_by})",
        f"Make a new one at the vendor and enter it: erpflow connection rotate {secret.name}. If it was changed in "
        f"Airflow or a secrets backend already: erpflow connection rotate {secret.name} --elsewhere",
    )


def _program(secret: KeptSecret) -> tuple[str, str]:
    return (
        f"The API key {secret.told_by}… ({secret.name})",
        "Make a new key (POST /api/erp/api-keys), give it to the program, and revoke this one: "
        f"DELETE /api/erp/api-keys/{secret.id}",
    )
