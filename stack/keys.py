"""The secrets of one installation, made once and kept in its state folder with mode 0600."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ADMIN: Final = "admin"


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs, encrypts and lets in. `passwords_file` is the file Airflow's login reads."""

    fernet: str = field(repr=False)
    jwt: str = field(repr=False)
    api: str = field(repr=False)
    admin_password: str = field(repr=False)
    passwords_file: Path

    def values(self) -> tuple[str, ...]:
        """All of them, to be hidden when a log is shown."""
        return (self.fernet, self.jwt, self.api, self.admin_password)


def load_or_make(folder: Path) -> Keys:
    """The keys in `folder`; those that are missing are made."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    passwords = folder / "passwords.json"
    stored = _stored(passwords, lambda: json.dumps({ADMIN: secrets.token_urlsafe(12)}))
    return Keys(
        fernet=_stored(folder / "fernet.key", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
        jwt=_stored(folder / "jwt.secret", lambda: secrets.token_hex(48)),
        api=_stored(folder / "api.secret", lambda: secrets.token_hex(32)),
        admin_password=str(json.loads(stored)[ADMIN]),
        passwords_file=passwords,
    )


def _stored(path: Path, make: Callable[[], str]) -> str:
    """The text of the file, made when there is none; written beside and moved, so that it is never half there."""
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as handle:
            handle.write(make())
        fresh.rename(path)
    path.chmod(0o600)
    return path.read_text(encoding="ascii").strip()
