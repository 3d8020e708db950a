"""The benchmark's data: made from a record's number alone, so that any two runs on any machine read the same bytes.

A customer has 17 fields: an address object, lists of phones and tags, decimals as strings, ISO times and nulls, about
620 bytes as JSON. `initial` is the state of the first load; in `changed` every hundredth record has been edited.
Both states are in ascending order of `updated_at`, and the edits are spread over all pages.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

STATES: Final = ("initial", "changed")
PAGE_SIZE: Final = 1_000
"""Records in a page."""
CHANGED_EVERY: Final = 100
"""One record in so many differs between the two states."""

_EDITION: Final = 1
"""Part of the cache's file names: raise it when a record would be made differently."""
_START: Final = datetime(2019, 1, 1, tzinfo=UTC)
_STEP_S: Final = 120
_FIRST = (
    "Amina",
    "Björn",
    "Chen",
    "Dominika",
    "Émile",
    "Fatima",
    "Grace",
    "Hiroshi",
    "Ingrid",
    "João",
    "Kavita",
    "Łukasz",
)
_LAST = (
    "Abdullah",
    "Brandt",
    "Castro",
    "Dvořák",
    "Eriksen",
    "Fournier",
    "García",
    "Hoffmann",
    "Iyer",
    "Jansen",
    "Kowalska",
)
_TRADE = ("Trading", "Logistics", "Foods", "Textiles", "Instruments", "Pharma", "Components", "Furniture", "Packaging")
_FORM = ("GmbH", "Ltd", "S.A.", "Pvt. Ltd.", "LLC", "d.o.o.", "W.L.L.", "B.V.")
_PLACES = (
    ("Riyadh", "Riyadh Province", "SA", "SAR"),
    ("Ljubljana", "Osrednjeslovenska", "SI", "EUR"),
    ("München", "Bayern", "DE", "EUR"),
    ("Pune", "Maharashtra", "IN", "INR"),
    ("Austin", "Texas", "US", "USD"),
    ("São Paulo", "SP", "BR", "BRL"),
    ("Gdańsk", "Pomorskie", "PL", "PLN"),
)
_STREETS = (
    "King Fahd Road",
    "Slovenska cesta",
    "Leopoldstraße",
    "Senapati Bapat Marg",
    "Congress Avenue",
    "Rua Augusta",
)
_TAGS = ("wholesale", "retail", "export", "priority", "net-30", "net-60", "blocked-credit", "newsletter", "key-account")
_STATUS = ("active", "active", "active", "inactive", "prospect")
_NOTES = (
    "Delivers to the rear entrance only; call ahead before 9 o'clock and ask for the warehouse manager.",
    'Prefers invoices by e-mail, "no paper" since 2021; statements on the first of each month.',
    "Agreed discount for orders above 5,000; see the frame contract\nand its second annex for the exact terms.",
)


def is_edited(number: int) -> bool:
    """Whether customer `number` differs between the two states."""
    return number % CHANGED_EVERY == CHANGED_EVERY // 2


def page_since(moment: datetime | None) -> int:
    """The first page, counted from 1, that may hold a customer modified at `moment` or later; None: the very first."""
    seconds = (moment - _START).total_seconds() if moment is not None else 0.0
    return max(0, int(seconds // _STEP_S)) // PAGE_SIZE + 1


def customer(number: int, *, state: str = "initial") -> dict[str, Any]:
    """Customer `number`, counted from 0, as the source sends it."""
    choose = Random(number)
    first, last = choose.choice(_FIRST), choose.choice(_LAST)
    city, region, country, currency = choose.choice(_PLACES)
    trade = choose.choice(_TRADE)
    modified = _START + timedelta(seconds=_STEP_S * number)
    record = {
        "id": f"CUS-{number:08d}",
        "name": f"{first} {last}",
        "company_name": f"{last} {trade} {choose.choice(_FORM)}",
        "email": f"{first}.{last}.{number}@{trade}.example.com".lower(),
        "phones": [f"+{choose.randrange(10**10, 10**11)}" for _ in range(choose.randrange(1, 4))],
        "tags": choose.sample(_TAGS, choose.randrange(4)),
        "address": {
            "street": f"{choose.choice(_STREETS)} {choose.randrange(1, 400)}",
            "street2": f"Unit {choose.randrange(1, 90)}" if choose.random() < 0.3 else None,
            "city": city,
            "state": region,
            "postcode": f"{choose.randrange(10_000, 99_999)}",
            "country": country,
        },
        "tax_id": f"{country}{choose.randrange(10**8, 10**9)}" if choose.random() < 0.8 else None,
        "credit_limit": f"{choose.randrange(0, 5_000_000) / 100:.2f}",
        "balance": f"{choose.randrange(-500_000, 5_000_000) / 100:.2f}",
        "currency": currency,
        "language": choose.choice(("ar", "de", "en", "hi", "pl", "pt", "sl")),
        "status": choose.choice(_STATUS),
        "is_active": choose.random() < 0.9,
        "notes": choose.choice(_NOTES) if choose.random() < 0.7 else None,
        "created_at": _iso(modified - timedelta(seconds=choose.randrange(10**6, 10**7))),
        "updated_at": _iso(modified),
    }
    if state == "changed" and is_edited(number):
        record["balance"] = f"{choose.randrange(-500_000, 5_000_000) / 100 + 7:.2f}"
        record["notes"] = f"Balance corrected in revision {number // CHANGED_EVERY}."
        record["updated_at"] = _iso(modified + timedelta(seconds=_STEP_S // 2))
    return record


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class PageFile:
    """The pages of one state back to back: page `n` (from 0) is bytes `offsets[n]` to `offsets[n + 1]` of `path`.

    Each page is the JSON text of its records joined by commas, without the brackets around them.
    """

    path: Path
    offsets: array[int]

    def page(self, number: int) -> bytes:
        """The text of one page."""
        with self.path.open("rb") as file:
            file.seek(self.offsets[number])
            return file.read(self.offsets[number + 1] - self.offsets[number])

    def pages(self, count: int) -> Iterator[bytes]:
        """The first `count` pages."""
        return (self.page(number) for number in range(count))


def open_pages(folder: Path, *, state: str) -> PageFile:
    """The rendered pages of a state, as `render` left them in `folder`."""
    offsets: array[int] = array("q")
    offsets.frombytes(_index(folder, state).read_bytes())
    return PageFile(_data(folder, state), offsets)


def render(folder: Path, *, records: int) -> bool:
    """Writes both states of the first `records` customers, a multiple of the page size, unless they are there.

    A smaller job reads the first pages of a larger file. True when something had to be written.
    """
    pages = records // PAGE_SIZE
    if all(_rendered(folder, state) >= pages for state in STATES):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    offsets = {state: array("q", [0]) for state in STATES}
    for state in STATES:
        _index(folder, state).unlink(missing_ok=True)
    with ExitStack() as stack:
        files = {state: stack.enter_context(_data(folder, state).open("wb")) for state in STATES}
        for page in range(pages):
            for state, text in _render_page(page).items():
                offsets[state].append(offsets[state][-1] + files[state].write(text))
    for state in STATES:
        partial = _index(folder, state).with_suffix(".partial")
        partial.write_bytes(offsets[state].tobytes())
        partial.replace(_index(folder, state))
    return True


def _render_page(page: int) -> dict[str, bytes]:
    """The text of one page in each state; a record that did not change is made once."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    numbers = range(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
    initial = [encode(customer(number)) for number in numbers]
    changed = list(initial)
    for number in filter(is_edited, numbers):
        changed[number % PAGE_SIZE] = encode(customer(number, state="changed"))
    return {"initial": ",".join(initial).encode(), "changed": ",".join(changed).encode()}


def _rendered(folder: Path, state: str) -> int:
    """Pages of a state that are complete on disk."""
    index = _index(folder, state)
    return index.stat().st_size // 8 - 1 if index.exists() and _data(folder, state).exists() else -1


def _data(folder: Path, state: str) -> Path:
    return folder / f"customers-{_EDITION}-{state}.pages"


def _index(folder: Path, state: str) -> Path:
    return folder / f"customers-{_EDITION}-{state}.index"
