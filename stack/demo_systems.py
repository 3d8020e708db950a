"""The systems of the demo, as data: where each is in the sandbox, how it is connected, and what is synced of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Final

from erpflow.errors import ConfigError, suggestion


def connection_of(system: str) -> str:
    """The name of the demo's connection to a system."""
    return f"{system}_demo"


@dataclass(frozen=True, slots=True)
class Sync:
    """One sync of the demo."""

    system: str
    entity: str

    @property
    def dag_id(self) -> str:
        return f"{self.system}__{self.entity}"

    @property
    def connection(self) -> str:
        return connection_of(self.system)

    @property
    def mapping(self) -> Path:
        """Relative to the folder of mappings."""
        return Path(self.system) / f"{self.entity}.yaml"


@dataclass(frozen=True, slots=True)
class System:
    """A system of the demo. What is worth something only in the sandbox stands here as it is.

    `path`: of its API below the sandbox's address. `waves`: its entities; each wave refers to those before it.
    """

    name: str
    title: str
    path: str
    waves: Sequence[Sequence[str]]
    login: str | None = None
    password: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def connection(self) -> str:
        return connection_of(self.name)

    @property
    def pool(self) -> str:
        """The Airflow pool that bounds how many tasks ask it at once."""
        return f"erpflow_{self.name}"

    @property
    def syncs(self) -> tuple[Sync, ...]:
        return tuple(Sync(self.name, entity) for wave in self.waves for entity in wave)


SYSTEMS: Final = (
    System(
        "erpnext",
        "ERPNext",
        path="/erpnext",
        login="sandbox-connector-key",
        password="sandbox-connector-secret",  # noqa: S106
        # An order names its customer and its products, so they come first.
        waves=(("customer", "product"), ("order",)),
    ),
    System(
        "zoho_crm",
        "Zoho CRM",
        path="/zoho_crm",
        login="1000.SANDBOXCLIENT7Q2",
        password="sandbox-zoho-client-secret",  # noqa: S106
        waves=(("customer", "product"), ("contact", "lead", "order"), ("deal", "invoice")),
    ),
    System(
        "quickbooks",
        "QuickBooks Online",
        path="/quickbooks",
        login="sandbox-quickbooks-app",
        password="sandbox-quickbooks-secret",  # noqa: S106
        waves=(("customer", "product"), ("invoice", "order", "estimate"), ("payment",)),
    ),
    System(
        "sap_b1",
        "SAP Business One",
        path="/sap_b1",
        login="manager",
        password="sandbox-manager-password",  # noqa: S106
        extra={"company_db": "SBODEMOEU", "time_zone": "Europe/Berlin"},
        waves=(("customer", "product"), ("contact", "order", "invoice"), ("payment",)),
    ),
    System(
        "tally",
        "Tally",
        path="/tally",
        extra={"company": "Nilgiri Tools & Hardware Pvt Ltd"},
        waves=(("customer", "product"), ("order", "invoice"), ("payment",)),
    ),
    System(
        "metakocka",
        "Metakocka",
        path="/metakocka",
        login="16",
        password="sandbox-metakocka-secret-key",  # noqa: S106
        waves=(("contact", "product"), ("inventory", "document")),
    ),
    System(
        "kontor",
        "Kontor",
        path="/kontor",
        password="sandbox-kontor-key",  # noqa: S106
        extra={"allow_private_networks": "true"},
        waves=(("customer", "product"), ("order",)),
    ),
    System(
        "odoo_demo",
        "Odoo",
        path="/odoo_demo",
        login="erpflow@example.com",
        password="sandbox-odoo-demo-key",  # noqa: S106
        extra={"database": "odoo_demo", "allow_private_networks": "true"},
        waves=(("customer", "product"), ("order",)),
    ),
    System(
        "veekaart",
        "VeeKaart",
        path="/veekaart",
        password="sandbox-veekaart-key",  # noqa: S106
        # It is sent what the others bring.
        waves=((), (), (), ("product",), ("inventory",), ("price",)),
    ),
)


def chosen(names: Sequence[str]) -> tuple[System, ...]:
    """The systems of these names, or all. Raises ConfigError for one that the demo does not have."""
    known = {system.name: system for system in SYSTEMS}
    for name in names:
        if name not in known:
            raise ConfigError(f'The demo has no system "{name}"{suggestion(name, known)}')
    return tuple(system for system in SYSTEMS if not names or system.name in names)


def waves(systems: Sequence[System]) -> list[list[Sync]]:
    """What runs side by side, in order: the first system by itself, so that something is seen soon; then the others."""
    return [wave for group in (systems[:1], systems[1:]) for wave in _side_by_side(group)]


def _side_by_side(systems: Sequence[System]) -> Iterator[list[Sync]]:
    for wave in zip_longest(*(system.waves for system in systems), fillvalue=()):
        yield [Sync(system.name, entity) for system, entities in zip(systems, wave, strict=True) for entity in entities]
