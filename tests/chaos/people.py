"""People at both ends of a sync, who write down what they did: in the end all of it must be found, once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from erpflow.store.database import Database
from tests.chaos.conftest import Site

FIELDS = ("tax_id", "customer_details")
HERE = "SELECT tax_number, company_name FROM app.customers"


@dataclass
class People:
    """Each customer has a token that nobody changes; everybody writes notes of their own into it.

    `notes`: the newest note of each end by token. `gone`: tokens that somebody deleted.
    """

    database: Database
    site: Site
    dice: Random
    notes: dict[str, dict[str, str]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    made: int = 0
    written: int = 0

    def work(self) -> None:
        """Somebody does something."""
        deed = self.dice.choice(
            [self.make_here, self.make_here, self.make_there, self.make_there]
            + [self.write_here, self.write_there] * 4
            + [self.delete_here, self.delete_there]
        )
        deed()

    def make_here(self) -> None:
        token, note = self._token("L"), self._note()
        with self.database.session() as connection:
            connection.execute(
                "INSERT INTO app.customers (name, tax_number, company_name) VALUES (%s, %s, %s)",
                (name_of(token), token, note),
            )
        self.notes[token] = {"here": note}

    def make_there(self) -> None:
        token, note = self._token("R"), self._note()
        document = {"customer_name": name_of(token), "customer_type": "Company"}
        values = {"tax_id": token, "customer_details": note}
        self.site.door("erpnext/insert", {"doctype": "Customer", "docs": [document | values]})
        self.notes[token] = {"there": note}

    def write_here(self) -> None:
        token, note = self._some(), self._note()
        with self.database.session() as connection:
            done = connection.execute("UPDATE app.customers SET company_name = %s WHERE tax_number = %s", (note, token))
        if done.rowcount:
            self.notes[token]["here"] = note

    def write_there(self) -> None:
        token, note = self._some(), self._note()
        change = {"doctype": "Customer", "names": [name_of(token)], "set": {"customer_details": note}}
        if self.site.try_door("erpnext/update", change):
            self.notes[token]["there"] = note

    def delete_here(self) -> None:
        token = self._some()
        self.gone.add(token)
        with self.database.session() as connection:
            connection.execute("DELETE FROM app.customers WHERE tax_number = %s", (token,))

    def delete_there(self) -> None:
        token = self._some()
        self.gone.add(token)
        self.site.try_door("erpnext/delete", {"doctype": "Customer", "names": [name_of(token)]})

    # -- the end -------------------------------------------------------------------------------------------------

    def complaints(self) -> list[str]:
        """What both ends do not agree on, what is lost and what is there twice; nothing if all is well."""
        with self.database.session() as connection:
            here = Counter(connection.execute(HERE).fetchall())
        there = Counter((row["tax_id"], row["customer_details"]) for row in self.site.rows("Customer", *FIELDS))
        found = [f"here and not there: {entry}" for entry in (here - there).elements()]
        found += [f"there and not here: {entry}" for entry in (there - here).elements()]
        times = Counter(token for token, _ in there.elements())
        found += [f"{token} is there {number} times" for token, number in times.items() if number > 1]
        for token, note in here:
            if note not in self.notes[token].values():
                found.append(f"{token} says {note!r}, and the newest notes were {self.notes[token]}")
        found += [f"{token} is lost" for token in self.notes.keys() - self.gone - times.keys()]
        return found

    # -- parts ---------------------------------------------------------------------------------------------------

    def _token(self, end: str) -> str:
        self.made += 1
        return f"{end}{self.made:05d}"

    def _note(self) -> str:
        self.written += 1
        return f"note {self.written}"

    def _some(self) -> str:
        return self.dice.choice(sorted(self.notes) or [self._nobody()])

    def _nobody(self) -> str:
        self.notes["nobody"] = {}
        self.gone.add("nobody")
        return "nobody"


def name_of(token: str) -> str:
    """What the customer is called, and so what ERPNext names its document."""
    return f"Customer {token}"
