"""Records of a declared system by their ids, and by the values of their fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from erpflow.connectors.base import RawRecord
from erpflow.connectors.rest.answers import READING_ONE, RecordMissing
from erpflow.connectors.rest.asking import Asking
from erpflow.connectors.rest.expressions import decoded, encode, search
from erpflow.connectors.rest.fill import PAIRS, PLACEHOLDER, NoSuchNumber, pairs_of
from erpflow.connectors.rest.model import Entity, Request
from erpflow.errors import ConfigError, ProtocolError
from erpflow.vocabulary import RemoteId, VendorRecord

_NEITHER_NONE_NOR_ONE: Final = 2


class Looking:
    """Looks up records of one entity. `limit`: how many a look-up asks for."""

    def __init__(self, asking: Asking, entity: Entity, *, name: str, limit: int) -> None:
        self._asking = asking
        self._entity = entity
        self._name = name
        self._limit = limit

    def many(self, ids: Sequence[RemoteId]) -> list[RawRecord]:
        """The records with these ids, each once; those that do not exist are left out."""
        wanted = list(dict.fromkeys(ids))
        if self._entity.many is None:
            return [record for identity in wanted if (record := self._get(identity)) is not None]
        known = [identity for identity in wanted if _possible(self._entity.many, identity)]
        size = self._entity.many.most
        return [row for start in range(0, len(known), size) for row in self._some(known[start : start + size])]

    def one(self, identity: RemoteId) -> RawRecord | None:
        """The record with this id."""
        if self._entity.get is not None:
            return self._get(identity)
        return next(iter(self.many([identity])), None)

    def having(self, key: VendorRecord) -> list[RemoteId]:
        """At most two records whose fields hold these values, compared here too: no filter is taken for granted."""
        request = self._entity.find
        if request is None:
            raise ConfigError(f"The connector's file declares no `find` for {self._name}.")
        answer = self._asking.ask(request, {PAIRS: pairs_of(key), "limit": self._limit})
        rows = self._asking.rows(answer, request.records)
        records = [decoded(bytes(row)) for row in rows]
        found = [record for record in records if all(_same(_at(record, path), value) for path, value in key.items())]
        ids = list(dict.fromkeys(RemoteId(str(record.get(self._entity.key))) for record in found))
        if len(ids) < _NEITHER_NONE_NOR_ONE and len(rows) >= self._limit:
            raise ProtocolError(
                f"A look-up of {self._name} by {', '.join(key)} brought {len(rows)} records, and most hold other "
                "values: its filter is not taken into account, and what is wanted may lie behind them. Correct "
                "`find` in the connector's file."
            )
        return ids[:_NEITHER_NONE_NOR_ONE]

    def _get(self, identity: RemoteId) -> RawRecord | None:
        request = self._entity.get
        assert request is not None  # noqa: S101  (the declaration's checks)
        try:
            answer = self._asking.ask(request, {"id": identity}, purpose=READING_ONE)
        except (RecordMissing, NoSuchNumber):
            return None
        data = self._asking.data(answer)
        record = search(request.record, data)
        if record is None or record == []:
            return None
        if not isinstance(record, dict) or str(record.get(self._entity.key)) != identity:
            raise ProtocolError(
                f"{answer.method} {answer.path} did not answer with {self._name} {identity}. Correct `get` in the "
                "connector's file."
            )
        return RawRecord(answer.body if request.record == "@" else encode(record))

    def _some(self, ids: Sequence[RemoteId]) -> list[RawRecord]:
        request = self._entity.many
        assert request is not None  # noqa: S101  (as above)
        answer = self._asking.ask(request, {"ids": list(ids)})
        rows = self._asking.rows(answer, request.records)
        strange = [identity for row in rows if (identity := self._id(row)) not in ids]
        if strange:
            raise ProtocolError(
                f"{self._name} {strange[0]} came where others were asked for by their ids: the filter is not taken "
                "into account. Correct `many` in the connector's file."
            )
        return rows

    def _id(self, row: RawRecord) -> str:
        return str(decoded(bytes(row)).get(self._entity.key))


def _possible(request: Request, identity: RemoteId) -> bool:
    """Whether a record can have this id at all, where the request wants numbers."""
    texts = (str(template) for _, template in request.templates())
    wants_numbers = any(found[2] for text in texts for found in PLACEHOLDER.finditer(text))
    return identity.isascii() and identity.isdigit() if wants_numbers else True


def _at(record: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(record, list) and step.isdigit() and int(step) < len(record):
            record = record[int(step)]
        elif isinstance(record, dict):
            record = record.get(step)
        else:
            return None
    return record


def _same(found: Any, wanted: Any) -> bool:
    if found is None or wanted is None or isinstance(found, bool) or isinstance(wanted, bool):
        return bool(found == wanted)
    return str(found) == str(wanted) or _numbers((found, wanted))


def _numbers(values: Iterable[Any]) -> bool:
    try:
        first, second = (Decimal(str(value)) for value in values)
    except InvalidOperation:
        return False
    return first == second
