"""The secrets of one installation, made once and kept in its state folder with mode 0600."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from erpflow.errors import ConfigError

ADMIN: Final = "admin"
ROLES: Final = ("viewer", "user", "op", "admin")
"""Of Airflow's SimpleAuthManager, each of which may do what the one before it may."""

USERS_VARIABLE: Final = "ERPFLOW_DEMO_USERS"


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs, encrypts and lets in. `passwords_file` is the file Airflow's login reads."""

    fernet: str = field(repr=False)
    jwt: str = field(repr=False)
    api: str = field(repr=False)
    passwords: dict[str, str] = field(repr=False)
    passwords_file: Path

    @property
    def admin_password(self) -> str:
        """The administrator's, for the login of the UI."""
        return self.passwords[ADMIN]

    def values(self) -> tuple[str, ...]:
        """All of them, to be hidden when a log is shown."""
        return (self.fernet, self.jwt, self.api, *self.passwords.values())


def roles_of(users: str) -> dict[str, str]:
    """The role of everybody who can log in: the administrator, and `users` as "name:role,name:role".

    Raises ConfigError for what is not that.
    """
    found = {ADMIN: "admin"}
    for user in filter(None, users.split(",")):
        name, _, role = user.partition(":")
        if not name or role not in ROLES or name in found:
            raise ConfigError(
                f'{USERS_VARIABLE} has "{user}". Expected are different names, each with a role of {", ".join(ROLES)}, '
                "as in vera:viewer,otto:op; the administrator is there anyway."
            )
        found[name] = role
    return found


def load_or_make(folder: Path, *, users: Iterable[str] = ()) -> Keys:
    """The keys in `folder`; those that are missing are made, and a password for each of `users`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return Keys(
        fernet=_stored(folder / "fernet.key", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
        jwt=_stored(folder / "jwt.secret", lambda: secrets.token_hex(48)),
        api=_stored(folder / "api.secret", lambda: secrets.token_hex(32)),
        passwords=_passwords(folder / "passwords.json", {ADMIN, *users}),
        passwords_file=folder / "passwords.json",
    )


def _passwords(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Everybody's. Airflow would make those that are missing, and write them into its log."""
    known: dict[str, str] = json.loads(_stored(path, lambda: "{}"))
    missing = {name: secrets.token_urlsafe(12) for name in names if name not in known}
    if missing:
        _write(path, json.dumps(known | missing))
    return known | missing


def _stored(path: Path, make: Callable[[], str]) -> str:
    """The text of the file, made when there is none; written beside and moved, so that it is never half there."""
    if not path.exists():
        _write(path, make())
    path.chmod(0o600)
    return path.read_text(encoding="ascii").strip()


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:
        handle.write(text)
    fresh.rename(path)
