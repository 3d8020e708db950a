"""Writing documents of one DocType: creates in batches, updates and deletes one by one.

`frappe.client.bulk_update` is not used. It saves the documents of a call one after the other in one transaction without
savepoints, so a document it reports as failed may be half saved, and a deadlock at one of them takes back those it
reports as done (by Frappe's source: UNVERIFIED); and it neither takes less of the site's time than single saves nor
answers with the documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery
from erpflow.connectors.erpnext_documents import head_of
from erpflow.connectors.erpnext_errors import error_body
from erpflow.connectors.erpnext_paging import Head, canonical
from erpflow.connectors.erpnext_refusals import judge_write, rejected
from erpflow.connectors.erpnext_site import Site, collection_path, document_path, encode, method_path
from erpflow.connectors.erpnext_wire import decode
from erpflow.errors import FieldProblem, ProtocolError, RecordRejected, StaleVersion, VendorUnavailable
from erpflow.vocabulary import Operation, RemoteId

_MOST_AT_ONCE: Final = 200  # insert_many takes no more
_SET_BY_SITE: Final = frozenset({"doctype", "docname", "owner", "creation", "modified", "modified_by"})
_GONE: Final = "ok"


class _Saved(msgspec.Struct):
    data: msgspec.Raw


class _Name(msgspec.Struct):
    name: str | int


class _Names(msgspec.Struct):
    message: list[str | int]


class _Deleted(msgspec.Struct):
    """v15 and newer answer under `data`, old sites under `message`."""

    data: str | None = None
    message: str | None = None


_SAVED: Final = msgspec.json.Decoder(_Saved)
_NAME: Final = msgspec.json.Decoder(_Name)
_NAMES: Final = msgspec.json.Decoder(_Names)
_DELETED: Final = msgspec.json.Decoder(_Deleted)


@contextmanager
def _nothing_written() -> Iterator[None]:
    """A question among the writes: what it raises says of no write that it may be done."""
    try:
        yield
    except (VendorUnavailable, ProtocolError) as error:
        error.maybe_done = False
        raise


class Writer:
    """Sends changes to one DocType, and says what became of each."""

    def __init__(self, site: Site, doctype: str) -> None:
        self._site = site
        self._doctype = doctype
        self._zone = "UTC"

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """One result for each change, in their order. See `SupportsWrites.write`."""
        if not changes:
            return []
        with _nothing_written():
            self._zone = self._site.zone  # asked before anything is written
        delivery = Delivery(changes)
        for run in _runs(changes):
            self._send(delivery, run)
        return delivery.results()

    def _send(self, delivery: Delivery, places: Sequence[int]) -> None:
        """The site takes a batch back as a whole, so a refused one is halved until it shows whose fault it was."""
        if delivery.attempt(places, self._insert_many if len(places) > 1 else self._send_one):
            return
        middle = len(places) // 2
        self._send(delivery, places[:middle])
        self._send(delivery, places[middle:])

    # -- requests --------------------------------------------------------------------------------------------------

    def _insert_many(self, changes: Sequence[Change]) -> list[WriteResult]:
        docs = b",".join(self._document(change) for change in changes)
        path = method_path("frappe.client.insert_many")
        answer = self._site.tell("POST", path, body=b'{"docs":[' + docs + b"]}", judge=judge_write)
        names = _read(answer, _NAMES).message
        if len(names) != len(changes):
            raise ProtocolError(
                f"ERPNext was sent {len(changes)} new {self._doctype} and names {len(names)}.", maybe_done=True
            )
        return [WriteResult(Outcome.DONE, RemoteId(str(name))) for name in names]

    def _send_one(self, changes: Sequence[Change]) -> list[WriteResult]:
        (change,) = changes
        if change.operation is Operation.CREATE:
            return [self._insert(change)]
        if not change.remote_id:  # without a name the same path is the list
            return [WriteResult(Outcome.MISSING, change.remote_id)]
        if change.operation is Operation.UPDATE:
            return [self._save(change, change.remote_id)]
        return [self._delete(change, change.remote_id)]

    def _insert(self, change: Change) -> WriteResult:
        path = collection_path(self._doctype)
        return self._done(self._site.tell("POST", path, body=self._document(change), judge=judge_write))

    def _save(self, change: Change, name: RemoteId) -> WriteResult:
        values = _changed(change, name)
        if not values:  # a save without a change moves `modified` all the same
            return WriteResult(Outcome.DONE, name)
        if change.version is not None:
            values["modified"] = change.version
        path = document_path(self._doctype, name)
        answer = self._site.tell("PUT", path, body=_encoded(values), judge=judge_write, missing_is_fine=True)
        return self._missing(answer, name) if answer.status == 404 else self._done(answer)

    def _delete(self, change: Change, name: RemoteId) -> WriteResult:
        if change.version is not None:  # a delete has no lock: the version is compared as shortly before as we can
            head = self._head(name)
            if head is None:
                return WriteResult(Outcome.MISSING, name)
            if canonical(head.modified) != canonical(change.version):
                raise StaleVersion(f"{self._doctype} {name} was modified at {head.modified}, not at {change.version}.")
        path = document_path(self._doctype, name)
        answer = self._site.tell("DELETE", path, judge=judge_write, missing_is_fine=True)
        if answer.status == 404:
            return self._missing(answer, name)
        said = _read(answer, _DELETED)
        if _GONE not in (said.data, said.message):
            raise ProtocolError(f"ERPNext answered DELETE {path} without saying that it is done.", maybe_done=True)
        return WriteResult(Outcome.DONE, name)

    def _done(self, answer: Answer) -> WriteResult:
        document = bytes(_read(answer, _SAVED).data)
        try:
            name = _NAME.decode(document).name
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ProtocolError(
                f"ERPNext's answer to {answer.method} {answer.path} holds no document with a name.", maybe_done=True
            ) from None
        return WriteResult(Outcome.DONE, RemoteId(str(name)), record=document, zone=self._zone)

    def _missing(self, answer: Answer, name: RemoteId) -> WriteResult:
        """A 404 may also mean that something the document links to is not there."""
        body = error_body(answer.body)
        if body is not None and self._head(name) is not None:
            raise rejected(body)
        return WriteResult(Outcome.MISSING, name)

    def _head(self, name: str) -> Head | None:
        with _nothing_written():
            return head_of(self._site, self._doctype, name)

    def _document(self, change: Change) -> bytes:
        values = {field: value for field, value in change.values.items() if field not in _SET_BY_SITE}
        return _encoded({**values, "doctype": self._doctype})


def _runs(changes: Sequence[Change]) -> Iterator[list[int]]:
    """Places of changes that go in one request: neighbouring creates of drafts. Every other change goes alone."""
    run: list[int] = []
    for place, change in enumerate(changes):
        together = change.operation is Operation.CREATE and not change.values.get("docstatus")
        if run and (not together or len(run) == _MOST_AT_ONCE):
            yield run
            run = []
        if together:
            run.append(place)
        else:
            yield [place]
    if run:
        yield run


def _changed(change: Change, name: RemoteId) -> dict[str, Any]:
    """The fields of an update. A `name` among them would choose another document than the path does.

    Raises RecordRejected for an update that would rename.
    """
    wanted = change.values.get("name", name)
    if str(wanted) != name:
        message = f"A document is not renamed by an update; rename {name} in ERPNext, then sync."
        raise RecordRejected([FieldProblem("name", "readonly", message, str(wanted)[:80])])
    return {field: value for field, value in change.values.items() if field not in _SET_BY_SITE and field != "name"}


def _encoded(values: dict[str, Any]) -> bytes:
    """Raises RecordRejected for what JSON cannot carry: half a surrogate pair, an object of no known type."""
    try:
        return encode(values)
    except (TypeError, ValueError) as error:
        raise RecordRejected([FieldProblem("", "type", f"A value cannot be sent as JSON: {error}")]) from None


def _read(answer: Answer, decoder: msgspec.json.Decoder[Any]) -> Any:
    """The answer to a write. Raises ProtocolError for one that does not tell whether it was done."""
    try:
        return decode(answer, decoder)
    except ProtocolError as error:
        error.maybe_done = True
        raise
