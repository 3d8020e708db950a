"""An AWS account as a connection has it: a pair of keys, or the role of this machine where whoever runs it allows that.

boto3 signs; what is here keeps the keys together, and out of everything that people read.
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from erpflow.connectors.account import Account
from erpflow.connectors.redaction import MASK
from erpflow.connectors.signing import header_safe
from erpflow.errors import ConfigError

ROLE_VARIABLE: Final = "ERPFLOW_AWS_MACHINE_ROLE"
_YES: Final = frozenset({"1", "true", "yes", "on"})
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_AMAZON: Final = (".amazonaws.com", ".amazonaws.com.cn")


class AwsKeys(AuthBase):
    """What boto3 signs with. A request that passes here is signed already."""

    def __init__(self, key_id: str | None, secret: str | None, *, region: str) -> None:
        """Without keys, those of the machine's role. Raises ConfigError for half a pair, and for an odd region."""
        self.key_id = header_safe(key_id, what="access key id", spaces="")
        self.secret = header_safe(secret, what="secret access key", spaces="")
        self.region = region
        if bool(self.key_id) != bool(self.secret):
            raise ConfigError("An access key id and a secret access key belong together: give both, or neither.")
        if not _REGION.fullmatch(region):
            raise ConfigError(f"The connection's region is {region!r}. Write it like eu-central-1.")

    @property
    def is_role(self) -> bool:
        """Whether the machine's role signs."""
        return not self.key_id

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be read by anybody: the transport masks it."""
        return (self.secret,) if self.secret else ()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AwsKeys) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"AwsKeys({MASK})"

    def _all(self) -> tuple[str, str, str]:
        return self.key_id, self.secret, self.region


def keys_of(account: Account) -> AwsKeys:
    """The keys of a connection.

    The machine's role is the operator's and not a tenant's: it signs where the environment says so, and only what goes
    to AWS. Raises ConfigError.
    """
    keys = AwsKeys(account.login, account.password, region=str(account.extra.get("region") or ""))
    host = urlsplit(account.address).hostname or ""
    is_amazon = host.endswith(_AMAZON)
    if is_amazon and f".{keys.region}." not in host:
        raise ConfigError(f"The address {host} is not in the region {keys.region}. Correct one of them.")
    if not keys.is_role:
        return keys
    if os.environ.get(ROLE_VARIABLE, "").strip().lower() not in _YES:
        raise ConfigError(
            "The connection has no access key, and the role of this machine may not be used for it. Put an access key "
            f"id and its secret into the connection, or set {ROLE_VARIABLE}=true where erpflow runs: then everybody "
            "who may configure connections, of any tenant, can use the role."
        )
    if not is_amazon or not account.address.startswith("https://"):
        raise ConfigError(f"The role of this machine only signs for AWS itself over https, and not for {host}.")
    return keys
