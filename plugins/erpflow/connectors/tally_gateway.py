"""One Tally and the company of a connection: every request goes through here.

HTTP says 200 to everything, and a company that is not open reads as an empty one. So the company is looked for before
a read, and again before an empty answer is believed. Source: vendor sheet "Reading" and "Companies".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import requests
from requests.auth import AuthBase

from erpflow.connectors.account import Account
from erpflow.connectors.answer import Answer
from erpflow.connectors.tally_requests import MARKS, collection
from erpflow.connectors.tally_stream import MOST_BYTES, Gathered, Sink, Told, read_answer
from erpflow.connectors.tally_text import HEADERS, encoded
from erpflow.connectors.transport import Retries, Transport
from erpflow.errors import AuthFailed, ProtocolError, suggestion

RUNNING: Final = "Server is Running"
UNKNOWN_REQUEST: Final = "Unknown Request, cannot be processed"
NOT_OPEN: Final = "Could not set 'SVCurrentCompany'"


class ChosenCompany(AuthBase):
    """Which company a connection is about. Tally knows no credentials: whoever reaches it may read and write it."""

    def __init__(self, account: Account) -> None:
        self.name = str(account.extra.get("company") or "").strip()
        self.guid = str(account.extra.get("company_guid") or "").strip().lower()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


@dataclass(frozen=True, slots=True)
class Company:
    """An open company: its name as Tally writes it, and how far it has counted its masters and its vouchers."""

    name: str
    guid: str
    masters: int
    vouchers: int

    def mark(self, kind: str) -> int:
        """How far the sequence of a kind of objects has come."""
        return self.vouchers if kind == "Voucher" else self.masters


class Gateway:
    """Asks one Tally, and tells it. One request at a time: it answers nobody else meanwhile."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        chosen = transport.auth
        self.chosen = chosen if isinstance(chosen, ChosenCompany) else ChosenCompany(Account(transport.base_url))

    def alive(self, *, retries: Retries | None = None) -> Answer:
        """Whether a Tally answers at the address. Raises ProtocolError when it is something else."""
        answer = self._transport.request("GET", "/", headers={"Accept": "text/xml"}, retries=retries)
        told = read_answer([answer.body])
        if RUNNING not in told.text:
            said = told.text[:200] or told.root
            raise ProtocolError(f"What answers at {self._transport.host} is no Tally. It says: {said}")
        return answer

    def companies(self, *, retries: Retries | None = None) -> list[Company]:
        """Every company that is open at Tally."""
        listed = Gathered(_company)
        self._ask("COMPANY", collection("Company", fetch=MARKS, company=None), listed, retries=retries)
        return listed.found

    def open(self, *, retries: Retries | None = None) -> Company:
        """The company of the connection. Raises AuthFailed when a person has to open it, or to name it."""
        found = self.companies(retries=retries)
        names = [company.name for company in found]
        listed = ", ".join(f'"{name}"' for name in names) or "none"
        if not self.chosen.name:
            raise AuthFailed(
                "The connection names no company, and Tally would take whichever is in front. Put its whole name into "
                f"the connection's company. Open at Tally: {listed}."
            )
        wanted = self.chosen.name.casefold()
        matching = [company for company in found if company.name.casefold() == wanted]
        if not matching:
            raise AuthFailed(
                f'The company "{self.chosen.name}" is not open at Tally{suggestion(self.chosen.name, names)}. Open at '
                f"Tally: {listed}. Have somebody open it there, or correct the connection's company. Nothing was lost."
            )
        company = matching[0]
        if self.chosen.guid and company.guid.lower() != self.chosen.guid:
            raise AuthFailed(
                f'The company "{company.name}" at Tally has the GUID {company.guid}, not the connection\'s '
                f"{self.chosen.guid}: it is another company of that name. Nothing was read or written."
            )
        return company

    def rows(
        self,
        kind: str,
        company: Company,
        *,
        fetch: Sequence[str],
        where: str,
        into: Sink,
        retries: Retries | None = None,
    ) -> int:
        """Objects of a company that fulfil a formula, each handed to `into`; how many. They count once this returns.

        Raises AuthFailed when nothing came because the company is not open any more.
        """
        envelope = collection(kind, fetch=fetch, company=company.name, where=where)
        told = self._ask(kind.upper(), envelope, into, retries=retries)
        if told.objects == 0 and self.open(retries=retries).guid != company.guid:
            raise AuthFailed(
                f'The company "{company.name}" at Tally became another one meanwhile. Start the run again.'
            )
        return told.objects

    def tell(self, envelope: str) -> Told:
        """Sends an import and reads what it says of it, once: it may not be repeatable."""
        answer = self._transport.request("POST", "/", body=encoded(envelope), headers=HEADERS)
        return read_answer([answer.body])

    def _ask(self, tag: str, envelope: str, into: Sink, *, retries: Retries | None) -> Told:
        def consume(answer: Answer, pieces: Iterator[bytes]) -> Told:
            into.begin()
            return read_answer(pieces, tag=tag, sink=into)

        told = self._transport.stream(
            "POST",
            "/",
            consume=consume,
            most=MOST_BYTES,
            body=encoded(envelope),
            headers=HEADERS,
            idempotent=True,
            retries=retries,
        )
        if told.errors and NOT_OPEN in told.errors[0]:
            raise AuthFailed(f"Tally says: {told.errors[0]} Have somebody open the company there. Nothing was lost.")
        if told.root != "ENVELOPE" or told.errors or told.status not in (None, "1"):
            said = told.errors[0] if told.errors else told.text or f"STATUS {told.status}"
            raise ProtocolError(f"Tally refused to list {tag}: {said[:300]}")
        return told


def _company(record: dict[str, Any]) -> Company | None:
    guid, name = record.get("GUID"), record.get("NAME")
    if not guid or not name:
        return None
    return Company(str(name), str(guid), number(record.get("ALTMSTID")), number(record.get("ALTVCHID")))


def number(text: object) -> int:
    """A whole number as Tally writes it; 0 for anything else."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 12 else 0
