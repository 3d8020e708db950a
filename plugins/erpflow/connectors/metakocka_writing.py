"""Writing to Metakocka: one change a call, for it takes no more, and never an insert whose like is there already.

Metakocka has neither an idempotency key nor a version: an insert that is repeated is a second record, and the last
writer wins. So before an insert the record's own key is looked up; the engine does the rest (it reads before it writes,
and looks up what may have been made). Source: metakocka/metakocka_api_base, docs/documents_put_document*.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from erpflow.connectors.base import Change, Outcome, WriteResult
from erpflow.connectors.delivery import Delivery
from erpflow.connectors.metakocka_company import Company
from erpflow.connectors.metakocka_contact_writing import ContactDesk
from erpflow.connectors.metakocka_document_writing import DocumentDesk
from erpflow.connectors.metakocka_product_writing import ProductDesk
from erpflow.connectors.metakocka_wire import ZONE
from erpflow.errors import ConfigError, RecordRejected
from erpflow.vocabulary import Operation, RemoteId


class Desk(Protocol):
    """Who writes the records of one entity. Raises RecordRejected, and what a call raises."""

    def create(self, values: Mapping[str, Any]) -> RemoteId:
        """Makes a record, unless its own key is taken."""

    def update(self, remote_id: RemoteId, values: Mapping[str, Any]) -> bytes | None:
        """Changes these fields; the record as it is now, where Metakocka says so."""

    def delete(self, remote_id: RemoteId) -> None:
        """Deletes a record."""

    def exists(self, remote_id: RemoteId) -> bool:
        """Whether there is such a record."""


DESKS: Final[Mapping[str, Callable[[Company], Desk]]] = {
    "contact": ContactDesk,
    "product": ProductDesk,
    "document": DocumentDesk,
}


class Writer:
    """Sends changes to one entity, and says what became of each."""

    def __init__(self, company: Company, entity: str) -> None:
        """Raises ConfigError for an entity that is only read."""
        if entity not in DESKS:
            raise ConfigError(
                f"Metakocka's {entity} is only read here. Written are {', '.join(DESKS)}; set the mapping's direction "
                "to pull."
            )
        self._desk: Desk = DESKS[entity](company)

    def write(self, changes: Sequence[Change]) -> list[WriteResult]:
        """One result for each change, in their order. See `SupportsWrites.write`."""
        delivery = Delivery(changes)
        for place in range(len(changes)):
            delivery.attempt([place], lambda batch: [self._send(batch[0])])
        return delivery.results()

    def _send(self, change: Change) -> WriteResult:
        if change.operation is Operation.CREATE:
            return WriteResult(Outcome.DONE, self._desk.create(change.values), zone=ZONE)
        if not change.remote_id:
            return WriteResult(Outcome.MISSING, change.remote_id)
        record = None
        try:
            if change.operation is Operation.UPDATE:
                record = self._desk.update(change.remote_id, change.values)
            else:
                self._desk.delete(change.remote_id)
        except RecordRejected:
            if self._desk.exists(change.remote_id):  # "not found" is opr_code 2, as a bad value is
                raise
            return WriteResult(Outcome.MISSING, change.remote_id)
        return WriteResult(Outcome.DONE, change.remote_id, record=record, zone=ZONE)
