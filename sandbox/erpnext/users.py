"""The site's users: API keys, passwords, roles, and what a role may do with a DocType."""

from dataclasses import dataclass, field

GUEST = "Guest"

# What may be done per role; System Manager may do everything. The captures' `limited` user is a Sales User.
SALES_READS = frozenset(
    {
        "Customer",
        "Contact",
        "Address",
        "Item",
        "Item Price",
        "Item Group",
        "Customer Group",
        "Territory",
        "UOM",
        "Currency",
    }
    | {
        "Company",
        "Price List",
        "Sales Order",
        "Sales Invoice",
        "Warehouse",
        "Country",
        "Language",
        "Brand",
        "Comment",
        "File",
    }
)
SALES_WRITES = frozenset({"Customer", "Contact", "Address", "Sales Order", "Comment", "File"})
GRANTS: dict[str, dict[str, frozenset[str]]] = {
    "Sales User": {
        "read": SALES_READS,
        "write": SALES_WRITES,
        "create": SALES_WRITES,
        "submit": frozenset({"Sales Order"}),
        "cancel": frozenset({"Sales Order"}),
        "delete": frozenset(),
    },
    "Projects User": {"read": frozenset({"Company", "Currency", "UOM"})},
}
EVERYTHING = "System Manager"


@dataclass(slots=True)
class User:
    """Someone who may log in; the token of a disabled user still works in this version of the vendor."""

    email: str
    full_name: str
    api_key: str
    api_secret: str = field(repr=False)
    password: str = field(repr=False)
    roles: frozenset[str] = frozenset()
    bearer_token: str | None = field(default=None, repr=False)
    enabled: bool = True

    def may(self, action: str, doctype: str) -> bool:
        if EVERYTHING in self.roles:
            return True
        return any(doctype in GRANTS.get(role, {}).get(action, ()) for role in self.roles)


def default_users() -> list[User]:
    """The three users of the captures; the secrets are worth nothing outside a sandbox."""
    return [
        User(
            email="connector@example.com",
            full_name="Connector",
            api_key="sandbox-connector-key",
            api_secret="sandbox-connector-secret",  # noqa: S106
            password="sandbox-connector-password",  # noqa: S106
            bearer_token="sandbox-connector-bearer",  # noqa: S106
            roles=frozenset({EVERYTHING, "Sales Manager", "Accounts Manager", "Stock Manager", "Item Manager"}),
        ),
        User(
            email="limited@example.com",
            full_name="Limited",
            api_key="sandbox-limited-key",
            api_secret="sandbox-limited-secret",  # noqa: S106
            password="sandbox-limited-password",  # noqa: S106
            roles=frozenset({"Sales User"}),
        ),
        User(
            email="noroles@example.com",
            full_name="No Roles",
            api_key="sandbox-noroles-key",
            api_secret="sandbox-noroles-secret",  # noqa: S106
            password="sandbox-noroles-password",  # noqa: S106
            roles=frozenset({"Projects User"}),
        ),
    ]
