"""Writing to Tally: one object a request, because its counters cannot be told apart, and read back afterwards.

A master is addressed by its name, so that creating one whose name is taken would alter that one in silence: names are
looked at first. A voucher is altered by sending all of it, so that it is read first, and again when anybody has altered
any voucher since. Deleting what is not there can end Tally's process, so that nothing is deleted that was not seen.
Source: vendor sheet "Writing (Import)" and "Idempotency / actions".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import structlog

from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery
from erpflow.connectors.tally_facts import DERIVED, names_of, with_facts
from erpflow.connectors.tally_gateway import Gateway, number
from erpflow.connectors.tally_imports import Gone, judge_import
from erpflow.connectors.tally_lookup import whole_records
from erpflow.connectors.tally_names import Kind, Names, belongs
from erpflow.connectors.tally_records import encoded_record, fields_xml, text_of
from erpflow.connectors.tally_requests import MASTERS, VOUCHERS, altered, imported
from erpflow.connectors.tally_stream import Gathered
from erpflow.connectors.tally_vouchers import WHOLE, addressed, created, voucher_xml
from erpflow.errors import ErpflowError, FieldProblem, ProtocolError, RecordRejected, StaleVersion, VendorUnavailable
from erpflow.vocabulary import Operation, RemoteId

log = structlog.get_logger(__name__)

_SET_BY_TALLY: Final = frozenset({DERIVED, "GUID", "MASTERID", "ALTERID", "RESERVEDNAME", "LANGUAGENAME_LIST"})


@dataclass(frozen=True, slots=True)
class Known:
    """A master as it is now: what it is called, and which version of it. `count` is None once we wrote to it."""

    guid: str
    names: tuple[str, ...]
    count: int | None


@dataclass(frozen=True, slots=True)
class Made:
    """What is known of an object that was written: its GUID, or how it is found again."""

    guid: str | None = None
    name: str | None = None
    number: int = 0


class Writer:
    """Sends changes of one entity, and says what became of each."""

    def __init__(self, gateway: Gateway, kind: Kind) -> None:
        self._gateway = gateway
        self._kind = kind
        self._masters: list[Known] = []
        self._vouchers: dict[str, dict[str, Any]] = {}
        self._made: dict[int, Made] = {}

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """One result for each change, in their order. See `SupportsWrites.write`."""
        if not changes:
            return []
        self._company = self._asked(self._gateway.open)
        self._names = Names(self._gateway, self._company)
        self._mark = self._company.mark(self._kind.tally)
        started = self._mark
        self._wanted = {change.remote_id.lower() for change in changes if change.remote_id}
        self._asked(self._look)
        delivery = Delivery(changes)
        for place in range(len(changes)):
            delivery.attempt([place], lambda batch, place=place: [self._send(batch[0], place)])  # type: ignore[misc]
        return self._read_back(delivery.results(), started)

    def _send(self, change: Change, place: int) -> WriteResult:
        if change.operation is not Operation.CREATE:
            self._asked(self._look_again)
        try:
            made = self._voucher(change) if self._kind.is_voucher else self._master(change)
        except Gone:
            return WriteResult(Outcome.MISSING, change.remote_id)
        self._made[place] = made
        outcome = Outcome.DONE if made.guid else Outcome.UNKNOWN  # until it is read back
        return WriteResult(outcome, RemoteId(made.guid) if made.guid else None)

    def _tell(self, what: str, objects: str, operation: Operation) -> int:
        given = judge_import(self._gateway.tell(imported(what, company=self._company.name, objects=objects)), operation)
        self._mark += 1
        return given

    # -- what there is ---------------------------------------------------------------------------------------------

    def _asked(self, question: Callable[[], Any]) -> Any:
        """A question among the writes: what it raises says of no write that it may be done."""
        try:
            return question()
        except (VendorUnavailable, ProtocolError) as error:
            error.maybe_done = False
            raise

    def _look(self) -> None:
        """The names of all masters, or the vouchers that are to be changed."""
        if not self._kind.is_voucher:
            into = Gathered(_known)
            fetch = ("GUID", "ALTERID", "NAME", "LANGUAGENAME.LIST")
            self._gateway.rows(self._kind.tally, self._company, fetch=fetch, where="", into=into)
            self._masters = into.found
        elif self._wanted:
            found = whole_records(
                self._gateway, self._company, self._kind, self._names, self._wanted, fetch=(*WHOLE, *self._kind.fetch)
            )
            self._vouchers = {guid: msgspec.json.decode(raw) for guid, raw in found.items()}

    def _look_again(self) -> None:
        """Somebody else has altered something since we looked: look again, so that nothing of theirs is undone."""
        mark = self._gateway.open().mark(self._kind.tally)
        if mark != self._mark:
            self._mark = mark
            self._look()

    # -- masters ---------------------------------------------------------------------------------------------------

    def _master(self, change: Change) -> Made:
        values = {name: value for name, value in change.values.items() if name not in _SET_BY_TALLY}
        if change.operation is Operation.CREATE:
            return self._create_master(values)
        known = next((one for one in self._masters if one.guid.lower() == str(change.remote_id).lower()), None)
        if known is None:
            raise Gone
        self._check_version(change, known.count)
        old = known.names[0]
        if change.operation is Operation.DELETE:
            self._tell(MASTERS, self._master_xml(old, "Delete", ""), Operation.DELETE)
            self._masters.remove(known)
            return Made(guid=known.guid)
        new = self._name_of(values, without=known) if "NAME" in values else old
        others = {name: value for name, value in values.items() if name != "NAME"}
        names = [new, *known.names[1:]] if new != old else []
        if names or others:  # an alter without a change counts on all the same
            self._tell(MASTERS, self._master_xml(old, "Alter", _named(names) + fields_xml(others)), Operation.UPDATE)
            self._masters[self._masters.index(known)] = replace(known, names=(new, *known.names[1:]), count=None)
        return Made(guid=known.guid)

    def _create_master(self, values: dict[str, Any]) -> Made:
        name = self._name_of(values, without=None)
        aliases = values.pop("NAME_LIST", None) or []
        given = {**self._kind.defaults, **{key: value for key, value in values.items() if key != "NAME"}}
        names = [name, *[str(alias) for alias in aliases if str(alias).casefold() != name.casefold()]]
        self._tell(MASTERS, self._master_xml(name, "Create", _named(names) + fields_xml(given)), Operation.CREATE)
        self._masters.append(Known("", tuple(names), None))
        return Made(name=name)

    def _name_of(self, values: Mapping[str, Any], *, without: Known | None) -> str:
        """The name a master shall have. Raises RecordRejected when another one has it, or there is none."""
        name = str(values.get("NAME") or "").strip()
        if not name:
            raise RecordRejected([FieldProblem("NAME", "required", f"A {self._kind.tally} needs a name.")])
        for known in self._masters:
            if known is not without and name.casefold() in [other.casefold() for other in known.names]:
                problem = f"Another {self._kind.tally} at Tally is called so, and would be altered by this one."
                raise RecordRejected([FieldProblem("NAME", "duplicate", problem, name[:80])])
        return name

    def _master_xml(self, name: str, action: str, inner: str) -> str:
        tag = self._kind.tally.upper()
        return f'<{tag} NAME="{text_of(name, path="NAME")}" ACTION="{action}">{inner}</{tag}>'

    def _check_version(self, change: Change, count: int | None) -> None:
        if change.version is not None and count is not None and number(change.version.strip()) != count:
            raise StaleVersion(f"{self._kind.tally} {change.remote_id} has AlterID {count}, not {change.version}.")

    # -- vouchers --------------------------------------------------------------------------------------------------

    def _voucher(self, change: Change) -> Made:
        values = {name: value for name, value in change.values.items() if name not in _SET_BY_TALLY}
        if change.operation is Operation.CREATE:
            members = self._asked(lambda: self._names.members(self._kind))
            xml = created({**self._kind.defaults, **values}, members=members, mark=change.idempotency_key)
            return Made(number=self._tell(VOUCHERS, xml, Operation.CREATE))
        current = self._vouchers.get(str(change.remote_id).lower())
        if current is None:
            raise Gone
        self._check_version(change, current.get("_count", number(current.get("ALTERID"))))
        if change.operation is Operation.DELETE:
            self._tell(VOUCHERS, addressed(current, "Delete"), Operation.DELETE)
            del self._vouchers[str(change.remote_id).lower()]
        elif values:
            self._tell(VOUCHERS, voucher_xml(current, values), Operation.UPDATE)
            self._vouchers[str(change.remote_id).lower()] = {**current, **values, "_count": None}
        return Made(guid=str(current.get("GUID")))

    # -- afterwards ------------------------------------------------------------------------------------------------

    def _read_back(self, results: list[WriteResult], started: int) -> list[WriteResult]:
        """The results with the records as Tally has them now. Where that cannot be had, what was made stays unknown."""
        if not self._made:
            return results
        try:
            written = self._written_since(started)
        except ErpflowError as error:
            log.warning("writes_not_read_back", error=type(error).__name__, made=len(self._made))
            return results
        return [
            self._with_record(result, self._made[place], written) if place in self._made else result
            for place, result in enumerate(results)
        ]

    def _written_since(self, started: int) -> list[dict[str, Any]]:
        self._names = Names(self._gateway, self._company)  # what was made just now has names too
        members = self._names.members(self._kind)
        self._names.load(self._kind)

        def make(record: dict[str, Any]) -> dict[str, Any] | None:
            return with_facts(self._kind, record, self._names) if belongs(self._kind, record, members) else None

        into = Gathered(make)
        upto = self._gateway.open().mark(self._kind.tally)
        where = altered(started + 1, upto)
        self._gateway.rows(self._kind.tally, self._company, fetch=self._kind.fetch, where=where, into=into)
        return into.found

    def _with_record(self, result: WriteResult, made: Made, written: Sequence[dict[str, Any]]) -> WriteResult:
        for record in written:
            if _is(made, record):
                guid = RemoteId(str(record["GUID"]))
                return WriteResult(Outcome.DONE, guid, record=encoded_record(record))
        return result


def _is(made: Made, record: Mapping[str, Any]) -> bool:
    if made.guid is not None:
        return str(record.get("GUID")).lower() == made.guid.lower()
    if made.name is not None:
        return str(record.get("NAME")).casefold() == made.name.casefold()
    return made.number > 0 and number(record.get("MASTERID")) == made.number


def _known(record: dict[str, Any]) -> Known | None:
    guid = record.get("GUID")
    return Known(str(guid), tuple(names_of(record)), number(record.get("ALTERID"))) if guid else None


def _named(names: Sequence[str]) -> str:
    """A name and its aliases; what is sent replaces all of them."""
    texts = "".join(f"<NAME>{text_of(name, path='NAME')}</NAME>" for name in names)
    return f"<NAME.LIST>{texts}</NAME.LIST>" if names else ""
