"""A connection type per system, on the http provider's hook: it builds the session, our transport does the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.http.hooks.http import HttpHook

from erpflow.connectors.account import Account, Tokens
from erpflow.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from requests import Session

    from erpflow.connectors.base import Connector


class VendorHook(HttpHook):
    """What the hooks of all systems share: the fields of the connection as a connector signs with them."""

    FORM: ClassVar[dict[str, Any]] = {}
    FIELDS: ClassVar[dict[str, Any]] = {}

    @contextmanager
    def session(
        self, connector: type[Connector], *, tokens: Callable[[Account], Tokens] | None = None
    ) -> Iterator[tuple[Session, Account]]:
        """The provider's session, signed as the connector wants, and the account it is for.

        `tokens` gives the access tokens of an account; only systems with OAuth ask for them. The provider sends what it
        does not know in a connection's extra as headers: the connector's own settings are taken back.
        """
        with self.get_conn() as session:
            fields = self.get_connection(self.http_conn_id)
            account = Account(
                address=self.base_url,
                login=fields.login,
                password=fields.password,
                extra={name: value for name, value in fields.extra_dejson.items() if name in connector.spec.settings},
            )
            if connector.oauth is not None and tokens is not None:
                account = replace(account, tokens=tokens(account))
            for setting in connector.spec.settings:
                session.headers.pop(setting, None)
            session.auth = connector.auth(account)
            yield session, account


class ErpNextHook(VendorHook):
    """ERPNext: the login is the API key, the password the API secret; they go as `Authorization: token key:secret`."""

    conn_type = "erpnext"
    conn_name_attr = "http_conn_id"
    default_conn_name = "erpnext_default"
    hook_name = "ERPNext"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "extra"],
        "relabeling": {"host": "Site URL", "login": "API key", "password": "API secret"},
        "placeholders": {"host": "https://erp.example.com"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        # The http provider's hook sends what it does not know in a connection's extra as a header.
        "X-Frappe-Site-Name": {
            "label": "Site name",
            "description": "Only when several sites share one address.",
            "schema": {"type": ["string", "null"]},
        },
    }


class QuickBooksHook(VendorHook):
    """QuickBooks Online: the login and the password are the app's; a person agrees with `erpflow connect`."""

    conn_type = "quickbooks"
    conn_name_attr = "http_conn_id"
    default_conn_name = "quickbooks_default"
    hook_name = "QuickBooks Online"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"host": "API address", "login": "Client ID", "password": "Client secret"},
        "placeholders": {
            "host": "https://quickbooks.api.intuit.com",
            "login": "from Keys & credentials in Intuit's developer portal",
        },
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "realm_id": {
            "label": "Company ID",
            "description": "Empty: the company of the person who agreed (erpflow connect).",
            "schema": {"type": ["string", "null"]},
        },
    }


HOOKS: dict[str, type[VendorHook]] = {hook.conn_type: hook for hook in VendorHook.__subclasses__()}


def hook_class(system: str) -> type[VendorHook]:
    """The hook of a system. Raises ConfigError with the nearest name when there is none."""
    try:
        return HOOKS[system]
    except KeyError:
        raise ConfigError(f'There is no connection type for the system "{system}"{suggestion(system, HOOKS)}') from None
