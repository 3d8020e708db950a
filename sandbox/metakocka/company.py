"""The state of one company: its partners, products, warehouses, stock and documents, and the operator's switches.

A record is a dict under the names that it is read by, with values of Python's own types; what begins with `_` is
Metakocka's own business.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sandbox.metakocka.wire import ZONE

Record = dict[str, Any]

COMPANY_ID = "16"
SECRET_KEY = "sandbox-metakocka-secret-key"  # noqa: S105 - the sandbox's own
UNITS = ("kos", "kg", "kpl", "ura", "m2", "l", "stor")
TAXES = {"EX4": "0.22", "EX3": "0.095", "EX1": "0.25", "000": "0"}
"""Rates by tax code. That of EX3 is UNVERIFIED; the others are in the documentation's examples."""

STATUSES = {
    "sales_order": {
        "created": "Novo naročilo",
        "draft": "Osnutek",
        "ready_to_ship": "Pripravljeno za odpremo",
        "shipped": "Odpremljeno",
        "completed": "Zaključeno",
        "cancelled": "Preklicano",
    },
    "sales_offer": {"open": "Odprta", "accepted": "Sprejeta", "rejected": "Zavrnjena"},
    "sales_bill": {"created": "Izdelan", "sent": "Poslan", "confirmed": "Potrjen"},
}
PRICELISTS: dict[str, Record] = {
    "PC-2026": {
        "title": "Osnovni cenik", "currency_code": "EUR", "sales_purchase": "sales", "valid_from": date(2026, 1, 1)
    },
    "NC-2026": {
        "title": "Nabavni cenik", "currency_code": "EUR", "sales_purchase": "purchase", "valid_from": date(2026, 1, 1)
    },
}  # fmt: skip


def statuses_of(doc_type: str) -> dict[str, str]:
    """The register of a type's statuses: description and local text."""
    return STATUSES.get(doc_type, STATUSES["sales_bill"])


FIRST_ID = 1_600_000_000


@dataclass(slots=True)
class Switches:
    """What an operator can turn on, and what can break the company's server."""

    expired: bool = False  # the secret key was made anew
    address_blocked: bool = False
    quota: int | None = None  # calls left in the period
    internal_errors: int = 0  # so many calls answer opr_code 1
    search_seconds: float = 0.0  # how long a search takes, while others wait
    unique_buyer_order: bool = False


@dataclass(slots=True)
class Company:
    """One company; everything is in memory and belongs to the event loop's thread."""

    seed: int = 7
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    partners: dict[str, Record] = field(default_factory=dict)
    products: dict[str, Record] = field(default_factory=dict)
    warehouses: dict[str, Record] = field(default_factory=dict)
    stock: list[Record] = field(default_factory=list)
    documents: dict[str, Record] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    series: dict[str, int] = field(default_factory=dict)
    answered: int = 0
    last_id: int = FIRST_ID
    _last: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def new_id(self) -> str:
        """The next mk_id: every kind of record takes from the same numbers."""
        self.last_id += 1
        return str(self.last_id)

    def stamp(self) -> datetime:
        """The time of a change, later than any before."""
        self._last = max(self.now(), self._last + timedelta(microseconds=1))
        return self._last

    def today(self) -> date:
        return self.now().astimezone(ZONE).date()

    def number(self, prefix: str) -> str:
        """The next number of a series."""
        self.series[prefix] = self.series.get(prefix, 0) + 1
        return f"{prefix}{self.series[prefix]}"

    def dice(self, purpose: str) -> random.Random:
        """Chance of its own for each purpose, so that more of one thing leaves the others as they were."""
        return random.Random(f"{self.seed} {purpose}")

    def products_by(self, name: str, value: Any) -> list[Record]:
        return [each for each in self.products.values() if value not in (None, "") and each.get(name) == str(value)]
