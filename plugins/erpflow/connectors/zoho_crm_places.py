"""Zoho's data centres: where an account's tokens and its records are. Both must be of the same one.

Source: the classes of data centres in Zoho's own SDK (dc/*.py), https://www.zoho.com/crm/developer/docs/api/v8/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from erpflow.connectors.account import Account
from erpflow.connectors.oauth import Places
from erpflow.errors import ConfigError, ErpflowError, suggestion

ACCOUNTS: Final[Mapping[str, str]] = {
    "com": "https://accounts.zoho.com",
    "eu": "https://accounts.zoho.eu",
    "in": "https://accounts.zoho.in",
    "com.au": "https://accounts.zoho.com.au",
    "com.cn": "https://accounts.zoho.com.cn",
    "jp": "https://accounts.zoho.jp",
    "ca": "https://accounts.zohocloud.ca",
    "sa": "https://accounts.zoho.sa",
}
"""The accounts server of each data centre, by the end of its addresses."""
_API_HOST: Final = "zohoapis."
_NAMES: Final[Mapping[str, str]] = {"us": "com", "au": "com.au", "cn": "com.cn"}
_AUTHORIZE: Final = "/oauth/v2/auth"
_TOKEN: Final = "/oauth/v2/token"  # noqa: S105  (an address)


def places(account: Account) -> Places:
    """The OAuth server of an account's data centre.

    A host that is not Zoho's (a proxy, the sandbox) is its own. Raises ConfigError for an unknown data centre.
    """
    named = str(account.extra.get("data_center") or "").strip().lower().lstrip(".")
    host = urlsplit(account.address).hostname or ""
    _, is_zoho, ending = host.partition(_API_HOST)
    if not named and not is_zoho:
        return Places(account.address + _AUTHORIZE, account.address + _TOKEN)
    centre = _NAMES.get(named, named) or ending
    if centre not in ACCOUNTS:
        known = {*ACCOUNTS, *_NAMES}
        raise ConfigError(
            f"Zoho has no data centre {centre!r}{suggestion(centre, known)}. Correct the connection's host."
        )
    return Places(ACCOUNTS[centre] + _AUTHORIZE, ACCOUNTS[centre] + _TOKEN)


def address(account: Account) -> str:
    """Where the records are: what Zoho said with the tokens (`api_domain`), before that the connection's own host."""
    try:
        facts = account.tokens.current().facts if account.tokens is not None else {}
    except ErpflowError:  # whoever asks first is told what is wrong with the tokens
        facts = {}
    told = facts.get("api_domain") or account.address
    # A sandbox account's tokens name the production host; what the connection says is meant (UNVERIFIED).
    wants_sandbox = (urlsplit(account.address).hostname or "").startswith(("sandbox.", "developer."))
    return (account.address if wants_sandbox else told).rstrip("/")
