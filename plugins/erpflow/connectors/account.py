"""Who asks a vendor: what a connection holds, as a connector signs with it, and credentials that run out meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from erpflow.vocabulary import AccessToken

__all__ = ["AccessToken", "Account", "RenewableAuth", "Tokens"]


class Tokens(Protocol):
    """The access tokens of one connection, shared by all workers: whoever finds one expired renews it for all."""

    def current(self) -> AccessToken:
        """The token to sign with, renewed if it is about to expire.

        Raises AuthFailed when a person has to reconnect, VendorUnavailable or RateLimited when it cannot be had now.
        """
        ...

    def renewed(self, version: int) -> AccessToken:
        """A token newer than `version`, which the vendor has refused. Raises as `current` does."""
        ...


@dataclass(frozen=True, slots=True)
class Account:
    """A connection's own fields. `address` of the vendor; `extra` holds what the connector names in its `settings`.

    `tokens` only of a system with OAuth.
    """

    address: str
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    tokens: Tokens | None = None


@runtime_checkable
class RenewableAuth(Protocol):
    """An `AuthBase` whose credentials run out while a run goes on: an access token, a session."""

    def renew(self) -> bool:
        """After the vendor has refused what this thread signed last: whether there are other credentials now.

        Whoever finds them renewed by another thread meanwhile only says so. Raises AuthFailed, RateLimited or
        VendorUnavailable.
        """
        ...
