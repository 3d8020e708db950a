"""What must not be read in a table is encrypted with Airflow's Fernet keys: one secret to keep, one to rotate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from erpflow.errors import ConfigError
from erpflow.store.database import setting

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

FERNET_VARIABLE: Final = "AIRFLOW__CORE__FERNET_KEY"


class Cipher:
    """Encrypts and decrypts texts. Without a key it does neither, and says so."""

    def __init__(self, fernet_keys: str) -> None:
        """`fernet_keys` as Airflow has them: comma-separated, the first one encrypts.

        Raises ConfigError when one of them is no Fernet key.
        """
        self._fernet = _fernet(fernet_keys)

    @classmethod
    def from_environment(cls, home: Path | None = None) -> Cipher:
        """With the keys of the variable Airflow itself reads, or of its line in the state folder `home`."""
        return cls(setting(FERNET_VARIABLE, home=home) or "")

    @property
    def has_key(self) -> bool:
        """Whether there is a key at all."""
        return self._fernet is not None

    def encrypt(self, text: str) -> str:
        """The text as a Fernet token. Raises ConfigError without a key: encrypted, or not at all."""
        if self._fernet is None:
            raise ConfigError(
                f"There is no key to encrypt with: {FERNET_VARIABLE} is not set. Set it as Airflow has it."
            )
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, token: str, *, what: str, otherwise: str) -> str:
        """The text again. Raises ConfigError, naming `what` it was and what to do `otherwise` than adding the key."""
        from cryptography.fernet import InvalidToken

        if self._fernet is None:
            raise ConfigError(f"{what} is encrypted. Set {FERNET_VARIABLE} as Airflow has it.")
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken:
            raise ConfigError(
                f"{what} was encrypted with another key than {FERNET_VARIABLE}. Add the old key behind the new one "
                f"(new,old), or {otherwise}."
            ) from None


def _fernet(keys: str) -> MultiFernet | None:
    """A MultiFernet of the given keys, or None without any."""
    from cryptography.fernet import Fernet, MultiFernet

    try:
        fernets = [Fernet(key.strip()) for key in keys.split(",") if key.strip()]
    except ValueError:
        raise ConfigError(
            f"{FERNET_VARIABLE} holds something that is no Fernet key (32 bytes in URL-safe base64). Make one: "
            f'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        ) from None
    return MultiFernet(fernets) if fernets else None
