"""A QuickBooks company as the modules of its connector see it: questions and commands, each with what the API wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from erpflow.connectors.answer import Answer
from erpflow.connectors.quickbooks_faults import NOT_FOUND, faults_of, judge, judge_write
from erpflow.connectors.quickbooks_query import select
from erpflow.connectors.quickbooks_wire import changes_of, count_of, encode, record_of, rows_of
from erpflow.connectors.transport import Retries, Transport
from erpflow.errors import ErpflowError
from erpflow.vocabulary import VendorRecord

MINOR_VERSION: Final = "75"  # lower ones are treated as this one since August 2025
_JSON: Final = {"Accept": "application/json", "Content-Type": "application/json"}
_STATEMENT: Final = {"Accept": "application/json", "Content-Type": "application/text"}
_LONGEST_REQUEST_ID: Final = 50  # characters (UNVERIFIED)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of QuickBooks' entities, as its requests need it.

    `is_list`: a name that can be made inactive, and is then hidden from queries that do not ask about it.
    `columns` of a query. `finds`: the fields a query may compare, by their paths in a record. `has_lines`: it is a
    sales document.
    """

    remote: str
    is_list: bool = False
    columns: str = "*"
    finds: Mapping[str, str] = field(default_factory=dict)
    has_lines: bool = False

    @property
    def path(self) -> str:
        return f"/{self.remote.lower()}"

    @property
    def comes_whole(self) -> bool:
        """Whether an answer for which no columns were named holds the whole record (of others: UNVERIFIED)."""
        return self.columns == "*"

    @property
    def everybody(self) -> list[str]:
        """The condition that brings inactive records too."""
        return ["Active in (true, false)"] if self.is_list else []


class Company:
    """One company over its transport; paths start below the company's own address. `now` in UTC."""

    def __init__(self, transport: Transport, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._transport = transport
        self.now = now

    def query(
        self, kind: Kind, conditions: Sequence[str], *, order: str, start: int, most: int
    ) -> tuple[Answer, list[bytes]]:
        """The records that meet the conditions, and the answer they came in."""
        conditions = [*kind.everybody, *conditions]
        answer = self._ask_query(select(kind.columns, kind.remote, conditions, order=order, start=start, most=most))
        return answer, rows_of(answer, kind.remote)

    def count(self, kind: Kind, conditions: Sequence[str]) -> int:
        answer = self._ask_query(select("count(*)", kind.remote, [*kind.everybody, *conditions]))
        return count_of(answer)

    def changes(self, kind: Kind, since: datetime) -> tuple[Answer, list[bytes]]:
        """All that changed since a moment, and stubs of what was deleted; in no promised order, and cut at 1,000."""
        query = {"entities": kind.remote, "changedSince": since.astimezone(UTC).isoformat(timespec="seconds")}
        answer = self.ask("GET", "/cdc", query=query)
        return answer, changes_of(answer, kind.remote)

    def record(self, kind: Kind, remote_id: str) -> bytes | None:
        """One record as it is now, inactive ones too; None when there is none."""
        answer = self.ask("GET", f"{kind.path}/{quote(remote_id, safe='')}", missing_is_fine=True)
        return None if answer.status == 400 else record_of(answer, kind.remote)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] = _JSON,
        retries: Retries | None = None,
        missing_is_fine: bool = False,
    ) -> Answer:
        """A question: it changes nothing, POST included, so it may be asked again."""
        return self._transport.request(
            method,
            path,
            query={**(query or {}), "minorversion": MINOR_VERSION},
            body=body,
            headers=headers,
            judge=_missing_is_fine if missing_is_fine else judge,
            idempotent=True,
            retries=retries,
        )

    def tell(self, path: str, body: VendorRecord, *, request_id: str | None, operation: str | None = None) -> Answer:
        """A command: sent again only when it cannot have been carried out.

        The vendor answers a `request_id` it has seen with what it answered then, and does nothing.
        """
        query = {"minorversion": MINOR_VERSION}
        if request_id is not None:
            query["requestid"] = request_id[-_LONGEST_REQUEST_ID:]
        if operation is not None:
            query["operation"] = operation
        return self._transport.request(
            "POST", path, query=query, body=encode(body), headers=_JSON, judge=judge_write, idempotent=False
        )

    def pause(self, seconds: float) -> None:
        """Let nobody ask this company for a while."""
        self._transport.limiter.pause(seconds)

    def _ask_query(self, statement: str) -> Answer:
        """By POST: a statement with many ids does not fit into an address."""
        return self.ask("POST", "/query", body=statement.encode("utf-8"), headers=_STATEMENT)


def _missing_is_fine(answer: Answer) -> ErpflowError | None:
    """Not found by its id is HTTP 400 with a code of its own, and no error here."""
    if answer.status == 400 and any(fault.code == NOT_FOUND for fault in faults_of(answer.body)):
        return None
    return judge(answer)
