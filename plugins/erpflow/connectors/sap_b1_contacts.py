"""Writing contact persons: rows of a partner, saved with a PATCH of it that names only them.

Rows that are not sent stay as they are. A row without its number is a new one, and so is, perhaps, a row with a number
that is gone: so the partners are read first, and every PATCH carries the ETag of that moment. Two contacts of one
partner cannot share a moment, so changes go in rounds with at most one of each partner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery, RecordBusy
from erpflow.connectors.sap_b1_batch import Operation as Sent
from erpflow.connectors.sap_b1_entities import Collection
from erpflow.connectors.sap_b1_finding import listings_of
from erpflow.connectors.sap_b1_layer import Layer
from erpflow.connectors.sap_b1_records import CONTACT, RECORD, contacts_of, partner_of
from erpflow.connectors.sap_b1_refusals import judge_write
from erpflow.connectors.sap_b1_text import resource
from erpflow.connectors.sap_b1_writing import (
    deliver,
    encoded,
    nothing_written,
    prepared,
    settle,
    without_vendors_own,
)
from erpflow.errors import FieldProblem, ProtocolError, RecordRejected, StaleVersion, VendorUnavailable
from erpflow.vocabulary import Operation, RemoteId

_PARTNER: Final = "CardCode"
_NUMBER: Final = "InternalCode"


@dataclass(frozen=True, slots=True)
class _Partner:
    """A partner before the write: its ETag, and its contacts by their keys."""

    etag: str | None
    contacts: Mapping[str, Mapping[str, Any]]


class ContactWriter:
    """Sends changes to contact persons, and says what became of each."""

    def __init__(self, layer: Layer, collection: Collection) -> None:
        self._layer = layer
        self._collection = collection

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """One result for each change, in their order. See `SupportsWrites.write`."""
        delivery = Delivery(changes)
        for places in _rounds(changes):
            self._round(delivery, changes, places)
        return delivery.results()

    def _round(self, delivery: Delivery, changes: Sequence[Change], places: Sequence[int]) -> None:
        codes = [_code_of(changes[place]) for place in places]
        before = delivery.carry(places, lambda: self._asked(codes))
        if before is None:
            return
        waiting: list[tuple[int, Sent]] = []
        for place in places:
            sent = prepared(delivery, place, changes[place], lambda change: self._operation(change, before))
            if sent is not None:
                waiting.append((place, sent))
        made: list[int] = []

        def result(change: Change, answer: Answer) -> WriteResult:
            done = _result(change, answer)
            if change.operation is Operation.CREATE:
                made.append(places[codes.index(_code_of(change))])
            return done

        deliver(self._layer, delivery, waiting, result)
        self._name(delivery, changes, made, before)

    def _operation(self, change: Change, partners: Mapping[str, _Partner]) -> Sent | WriteResult:
        code = _code_of(change)
        partner = partners.get(code)
        values = without_vendors_own(change.values, {_PARTNER, _NUMBER})
        if change.operation is Operation.CREATE:
            if partner is None:
                message = f"There is no customer {code!r} for this contact." if code else "It names no customer."
                raise RecordRejected([FieldProblem(_PARTNER, "lookup" if code else "required", message)])
        elif partner is None or change.remote_id is None or change.remote_id not in partner.contacts:
            return WriteResult(Outcome.MISSING, change.remote_id)
        elif not values:
            return WriteResult(Outcome.DONE, change.remote_id)
        else:
            values[_NUMBER] = partner.contacts[change.remote_id][_NUMBER]
        headers = {"If-Match": partner.etag} if partner.etag else {}
        path = resource(self._collection.name, self._collection.listed.key, code)
        return Sent("PATCH", path, encoded({"ContactEmployees": [values]}), headers)

    def _asked(self, codes: Sequence[str]) -> dict[str, _Partner]:
        with nothing_written():
            return self._partners(codes)

    def _partners(self, codes: Sequence[str]) -> dict[str, _Partner]:
        found: dict[str, _Partner] = {}
        for listing in listings_of(self._layer, self._collection, codes, fields=self._collection.fields):
            for row, head in zip(listing.rows, listing.heads, strict=True):
                contacts = [RECORD.decode(raw) for raw in contacts_of(listing.answer, [row])]
                found[str(head.key)] = _Partner(head.etag, {each[CONTACT]: each for each in contacts})
        return found

    def _name(
        self, delivery: Delivery, changes: Sequence[Change], made: Sequence[int], before: Mapping[str, _Partner]
    ) -> None:
        """The keys of new contacts: a PATCH answers nothing, so they are what is there now and was not before.

        A new one that is not found is `unknown`: it was made, and only its key is not known.
        """
        if not made:
            return
        try:
            after = self._partners([_code_of(changes[place]) for place in made])
        except (VendorUnavailable, ProtocolError):
            after = {}
        for place in made:
            change = changes[place]
            code = _code_of(change)
            rows = after[code].contacts if code in after else {}
            new = [key for key in rows if key not in before[code].contacts]
            if len(new) > 1:  # somebody else has added one too
                new = [key for key in new if _resembles(rows[key], change)]
            name = RemoteId(min(new, key=_number_of)) if new else None
            settle(delivery, place, WriteResult(Outcome.DONE if name else Outcome.UNKNOWN, name))


def _result(change: Change, answer: Answer) -> WriteResult:
    error = judge_write(answer)
    if isinstance(error, StaleVersion):  # somebody saved the partner in between; what this changes may be another field
        raise RecordBusy(str(error))
    if error is not None:
        raise error
    return WriteResult(Outcome.DONE if change.remote_id else Outcome.UNKNOWN, change.remote_id)


def _rounds(changes: Sequence[Change]) -> list[list[int]]:
    """The places of changes, in their order, no two of a round of one partner."""
    rounds: list[list[int]] = []
    taken: dict[str, int] = {}
    for place, change in enumerate(changes):
        number = taken.get(_code_of(change), 0)
        taken[_code_of(change)] = number + 1
        rounds += [[]] if number == len(rounds) else []
        rounds[number].append(place)
    return rounds


def _code_of(change: Change) -> str:
    """The partner of a contact; empty when neither its key nor its fields say it."""
    found = partner_of(change.remote_id or "")
    return found[1] if found else str(change.values.get(_PARTNER) or "")


def _number_of(contact: str) -> int:
    found = partner_of(contact)
    return found[0] if found else 0


def _resembles(row: Mapping[str, Any], change: Change) -> bool:
    values = without_vendors_own(change.values, {_PARTNER, _NUMBER})
    return all(row.get(field) == value or not value for field, value in values.items())
