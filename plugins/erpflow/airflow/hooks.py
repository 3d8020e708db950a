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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.default_conn_name = f"{cls.conn_type}_default"

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


class MetakockaHook(VendorHook):
    """Metakocka: the login is the company ID, the password the secret key; they go in the body of every call."""

    conn_type = "metakocka"
    hook_name = "Metakocka"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"host": "Server", "login": "Company ID", "password": "Secret key"},
        "placeholders": {"host": "https://main.metakocka.si", "login": "16"},
    }


class TallyHook(VendorHook):
    """Tally: no login; whoever reaches it may read and write the companies that are open there."""

    conn_type = "tally"
    hook_name = "Tally"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "login", "password", "extra"],
        "relabeling": {"host": "Address of Tally", "port": "Port"},
        "placeholders": {"host": "http://192.168.1.20", "port": "9000"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "company": {
            "label": "Company",
            "description": "The whole name, as Tally shows it. It has to be open there.",
            "schema": {"type": ["string", "null"]},
        },
        "company_guid": {
            "label": "GUID of the company",
            "description": "To refuse another company that is called the same. May be left out.",
            "schema": {"type": ["string", "null"]},
        },
    }


class VeeKaartHook(VendorHook):
    """VeeKaart: the password is the store's API key; it goes as `Authorization: Bearer …`."""

    conn_type = "veekaart"
    hook_name = "VeeKaart"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "login", "extra"],
        "relabeling": {"host": "Store URL", "password": "API key"},
        "placeholders": {"host": "https://store.example.com"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "path_prefix": {
            "label": "Path prefix",
            "description": "Empty for the documented API. /api/sync for a store that takes rows there without a key.",
            "schema": {"type": ["string", "null"]},
        },
    }


class GstPortalHook(VendorHook):
    """The GST portal by a GSP: the login is the client id, the password the client secret; a session needs an OTP."""

    conn_type = "gst_portal"
    hook_name = "GST portal"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"host": "Address of the GSP", "login": "Client id", "password": "Client secret"},
        "placeholders": {"host": "https://gsp.example.com/standard/gstn"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "gstin": {
            "label": "GSTIN",
            "description": "The GSTIN this connection files for.",
            "schema": {"type": "string"},
        },
        "username": {
            "label": "User name",
            "description": "Of the taxpayer at the GST portal.",
            "schema": {"type": "string"},
        },
        "mode": {
            "label": "Mode",
            "description": "encrypted (if nothing is said), or plain for sandboxes of GSPs that take it.",
            "schema": {"type": ["string", "null"], "enum": ["encrypted", "plain", None]},
        },
        "public_key": {
            "label": "Certificate of the portal",
            "description": "In PEM, as the GSP gives it. Needed unless the mode is plain.",
            "schema": {"type": ["string", "null"]},
        },
        "ip": {
            "label": "User's address (ip-usr)",
            "description": "Empty: 127.0.0.1.",
            "schema": {"type": ["string", "null"]},
        },
        **{
            name: {"label": label, "description": "Empty: as usual.", "schema": {"type": ["string", "null"]}}
            for name, label in (
                ("authenticate_path", "Path of authenticate"),
                ("returns_path", "Path of returns"),
                ("gstr1_path", "Path of GSTR-1"),
                ("proceed_path", "Path of proceeding to file"),
            )
        },
    }


class SapB1Hook(VendorHook):
    """SAP Business One: a user of one company, signed in to its Service Layer with a session."""

    conn_type = "sap_b1"
    hook_name = "SAP Business One"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "extra"],
        "relabeling": {"host": "Service Layer URL", "login": "User", "password": "Password"},
        "placeholders": {"host": "https://b1.example.com:50000", "login": "erpflow"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "company_db": {
            "label": "Company database",
            "description": "The database of the company, such as SBODEMOUS.",
            "schema": {"type": "string"},
        },
        "time_zone": {
            "label": "Time zone of the server",
            "description": "Such as Europe/Berlin: Business One writes times without one.",
            "schema": {"type": "string"},
        },
        "version": {
            "label": "Version of the Service Layer",
            "description": "v2 (OData 4), or v1 (OData 3) on old patches.",
            "schema": {"type": ["string", "null"], "enum": ["v2", "v1"]},
        },
        "fields": {
            "label": "More fields",
            "description": "By entity: customer: U_Tier, Website; order: U_Channel",
            "schema": {"type": ["string", "null"]},
        },
        "payments_from": {
            "label": "Payments from",
            "description": "The first day of which payments are read; all if empty.",
            "schema": {"type": ["string", "null"], "format": "date"},
        },
    }


class ZohoCrmHook(VendorHook):
    """Zoho CRM: the app's client id and secret; a person's consent comes with `erpflow connect`."""

    conn_type = "zoho_crm"
    hook_name = "Zoho CRM"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "extra"],
        "relabeling": {"host": "API URL", "login": "Client ID", "password": "Client secret"},
        "placeholders": {"host": "https://www.zohoapis.eu", "login": "1000.…"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "data_center": {
            "label": "Data centre",
            "description": "Only when the API URL does not show it: com, eu, in, com.au, com.cn, jp, ca or sa.",
            "schema": {"type": ["string", "null"]},
        },
    }


class QuickBooksHook(VendorHook):
    """QuickBooks Online: the login and the password are the app's; a person agrees with `erpflow connect`."""

    conn_type = "quickbooks"
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


class SendGridHook(VendorHook):
    """SendGrid: the password is the API key; it goes as `Authorization: Bearer …`."""

    conn_type = "sendgrid"
    hook_name = "SendGrid"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "port", "login", "extra"],
        "relabeling": {"host": "API address", "password": "API key"},
        "placeholders": {"host": "https://api.sendgrid.com, or https://api.eu.sendgrid.com for an EU subuser"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "from_email": {
            "label": "Sender",
            "description": "Who sends where a mail does not say; verified at SendGrid.",
            "schema": {"type": ["string", "null"]},
        },
        "from_name": {
            "label": "Name of the sender",
            "description": "The name that goes with it.",
            "schema": {"type": ["string", "null"]},
        },
    }


class Msg91Hook(VendorHook):
    """MSG91: the password is the auth key; it goes in the header `authkey`."""

    conn_type = "msg91"
    hook_name = "MSG91"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "port", "login", "extra"],
        "relabeling": {"host": "API address", "password": "Auth key"},
        "placeholders": {"host": "https://control.msg91.com"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "sender": {
            "label": "Sender of SMS",
            "description": "The DLT header of six letters, for templates that take their sender from the API.",
            "schema": {"type": ["string", "null"]},
        },
        "integrated_number": {
            "label": "WhatsApp number",
            "description": "The number that sends, with its country code, such as 919811111111.",
            "schema": {"type": ["string", "null"]},
        },
        "namespace": {
            "label": "WhatsApp namespace",
            "description": "The namespace of the templates, where the account has one.",
            "schema": {"type": ["string", "null"]},
        },
    }


class RazorpayHook(VendorHook):
    """Razorpay: the login is a key id, the password its secret; they go as `Authorization: Basic …`."""

    conn_type = "razorpay"
    hook_name = "Razorpay"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"host": "API address", "login": "Key id", "password": "Key secret"},
        "placeholders": {"host": "https://api.razorpay.com", "login": "rzp_live_… or rzp_test_…"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "allow_private_networks": {
            "label": "Allow private networks",
            "description": "Only if the address is inside your own network, as a test double's is.",
            "schema": {"type": ["boolean", "null"]},
        },
    }


class AwsTextractHook(VendorHook):
    """Amazon Textract: the login is an access key id, the password its secret; boto3 signs with them."""

    conn_type = "aws_textract"
    hook_name = "Amazon Textract"

    FORM: ClassVar[dict[str, Any]] = {
        "hidden-fields": ["schema", "port", "extra"],
        "relabeling": {"host": "Address", "login": "Access key id", "password": "Secret access key"},
        "placeholders": {"host": "https://textract.eu-central-1.amazonaws.com", "login": "empty: the machine's role"},
    }
    FIELDS: ClassVar[dict[str, Any]] = {
        "region": {
            "label": "Region",
            "description": "Such as eu-central-1. Objects of S3 have to be in it too.",
            "schema": {"type": "string"},
        },
        "allow_private_networks": {
            "label": "Allow private networks",
            "description": "Only if the address is inside your own network, as a test double's is.",
            "schema": {"type": ["boolean", "null"]},
        },
    }


HOOKS: dict[str, type[VendorHook]] = {hook.conn_type: hook for hook in VendorHook.__subclasses__()}
"""Those of the connectors that are written in Python."""


def all_hooks() -> dict[str, type[VendorHook]]:
    """The hooks of all systems by their connection type, declared ones too."""
    from erpflow.airflow.declared_hooks import declared_hooks

    return {**declared_hooks(), **HOOKS}


def hook_class(system: str) -> type[VendorHook]:
    """The hook of a system.

    Raises ConfigError with the nearest name when there is none, and for a declaration with a mistake.
    """
    from erpflow.airflow.declared_hooks import declared_hook
    from erpflow.connectors.rest.files import find_declarations

    if system in HOOKS:
        return HOOKS[system]
    if system in find_declarations():
        return declared_hook(system)
    known = suggestion(system, all_hooks())
    raise ConfigError(f'There is no connection type for the system "{system}"{known}')
