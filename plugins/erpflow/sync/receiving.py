"""A document that a vendor posts, and waits for: taken at once, in one transaction, by the mappings that pulls use.

Its partner is found by e-mail (or by phone where there is none) or else made, then the document with its lines is made;
each has its sync record, history and log as if it had been pulled. All of it is done, or nothing but the reject with
its reasons. Documents of one connection are taken one after the other, so one that comes twice is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from erpflow.connectors.base import Connector, EntitySpec, RawRecord
from erpflow.errors import ConfigError, ErpflowError, FieldProblem, RecordRejected
from erpflow.mapping.compile import PullProgram, compile_pull
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Mapping as EntityMapping
from erpflow.store import locks, received, rejects, sync_logs, tables
from erpflow.store.configs import SyncConfig
from erpflow.store.database import Database
from erpflow.store.pull import Connection
from erpflow.store.sync_logs import OpenRequest, SyncRun
from erpflow.sync.configure import ensure_config
from erpflow.sync.landing import LandedPage
from erpflow.sync.load import Loader
from erpflow.sync.target import pull_target, tracked
from erpflow.sync.transform import Transformer
from erpflow.vocabulary import ConnectionId, Counts, LocalId, RemoteId, SyncLogId, Window

log = structlog.get_logger(__name__)

PARTNER_FIELD: Final = "customer_row"
"""Where the document's record says which row its partner is."""

EMAIL, PHONE = "email", "phone"
NUMBER, TOTAL, STATE = "order_id", "total_amount", "document_status"
"""Remote paths whose columns tell what a document is called, its total, and whether it is still a draft."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What a vendor posted: the partner's record and the document's, each with its key. `body` as it came.

    `draft`: what `document_status` is of a document that may still be replaced; `replaces`: it asks for that.
    """

    body: bytes
    document_id: RemoteId
    document: Mapping[str, Any]
    partner_id: RemoteId
    partner: Mapping[str, Any]
    total: Decimal
    draft: str
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """The document as it is here. `duplicate`: it was here before and stays as it was."""

    document_id: LocalId
    number: str
    partner_id: str | None
    lines: int
    total: Decimal
    duplicate: bool


class DocumentConflict(ErpflowError):
    """A document came again with other contents, and must not replace the one that is here."""


class Receiver:
    """Takes the documents of one connection: `document` and `partner` are the entities whose mappings are used."""

    def __init__(
        self,
        database: Database,
        connector: type[Connector],
        mappings: Path,
        connection_id: ConnectionId,
        *,
        document: str,
        partner: str,
        encode: Callable[[Mapping[str, Any]], bytes],
        triggered_by: str,
    ) -> None:
        """`encode`: a record as bytes of JSON. `mappings`: the folder of mapping files."""
        self._database = database
        self._mappings = mappings
        self._connection_id = connection_id
        self._document = document
        self._partner = partner
        self._encode = encode
        self._by = triggered_by
        self._connector = _posting(connector, (document, partner))

    def take(self, posted: Posted) -> Taken:
        """Take a document; the same one again is answered with what is here.

        Raises RecordRejected for one that the mapping or a table refuses: it is kept among the rejects, and nothing
        else of it is. Raises DocumentConflict, and ConfigError when a mapping or table is not there.
        """
        with self._database.transaction() as connection:
            config = self._config(connection, self._document)
            locks.hold(connection, config.id)
            mapping = self._mapping(config)
            earlier = self._earlier(connection, config, mapping, posted)
            if earlier is not None and not posted.replaces:
                return earlier
            try:
                with connection.transaction():
                    self._make(connection, config, mapping, posted)
            except RecordRejected as rejected:
                self._keep(connection, config, mapping, posted.document_id, posted.body, rejected)
                refused: RecordRejected | None = rejected
            else:
                refused = None
                taken = self._taken(connection, config, mapping, posted, duplicate=False)
        if refused is not None:
            raise refused
        assert taken is not None  # noqa: S101  (it was made in this transaction)
        return taken

    def refuse(self, document_id: str, body: bytes, rejected: RecordRejected) -> None:
        """Keep a document that is refused before any mapping sees it."""
        with self._database.transaction() as connection:
            config = self._config(connection, self._document)
            locks.hold(connection, config.id)
            if received.local_id_of(connection, config.id, RemoteId(document_id)) is None:
                self._keep(connection, config, self._mapping(config), RemoteId(document_id), body, rejected)

    # -- what is here already ------------------------------------------------------------------------------------

    def _earlier(
        self, connection: Connection, config: SyncConfig, mapping: EntityMapping, posted: Posted
    ) -> Taken | None:
        """The same document as it is here. Raises DocumentConflict when it came with other contents."""
        found = self._taken(connection, config, mapping, posted, duplicate=True)
        if found is None:
            return None
        if posted.replaces and self._stored(connection, mapping, found.document_id).get(STATE) != posted.draft:
            raise DocumentConflict(
                f"The document {found.number} is no draft any more, so the order {posted.document_id} cannot change it."
            )
        if not posted.replaces and found.total != posted.total:
            raise DocumentConflict(
                f"The order {posted.document_id} came before with the total {found.total} and comes now with "
                f'{posted.total}. To change it while it is a draft, send it with "event": "order.updated".'
            )
        return found

    def _taken(
        self, connection: Connection, config: SyncConfig, mapping: EntityMapping, posted: Posted, *, duplicate: bool
    ) -> Taken | None:
        local_id = received.local_id_of(connection, config.id, posted.document_id)
        stored = self._stored(connection, mapping, local_id) if local_id is not None else {}
        if local_id is None or not stored:
            return None
        partner = stored.get(PARTNER_FIELD)
        return Taken(
            document_id=local_id,
            number=str(stored.get(NUMBER, posted.document_id)),
            partner_id=None if partner is None else str(partner),
            lines=self._lines(connection, mapping, local_id),
            total=Decimal(stored.get(TOTAL, posted.total)),
            duplicate=duplicate,
        )

    def _stored(self, connection: Connection, mapping: EntityMapping, local_id: LocalId) -> dict[str, Any]:
        """What the document's row has of these remote paths; nothing when the row is gone."""
        columns = {path: column for path in (NUMBER, TOTAL, STATE, PARTNER_FIELD) if (column := _column(mapping, path))}
        table = tables.describe(connection, mapping.local.table, where=self._where(mapping))
        wanted = [mapping.local.key, *columns.values()]
        found = received.values_of(connection, table, local_id, key=mapping.local.key, columns=wanted)
        if found is None:
            return {}
        return {mapping.local.key: local_id} | {path: found[column] for path, column in columns.items()}

    def _lines(self, connection: Connection, mapping: EntityMapping, local_id: LocalId) -> int:
        where = self._where(mapping)
        return sum(
            received.lines_of(
                connection, tables.describe(connection, child.local, where=where), local_id, parent=child.parent
            )
            for child in mapping.children
        )

    # -- making it -----------------------------------------------------------------------------------------------

    def _make(self, connection: Connection, config: SyncConfig, mapping: EntityMapping, posted: Posted) -> None:
        partner = self._partner_row(connection, posted)
        record = self._encode({**posted.document, PARTNER_FIELD: partner})
        self._apply(connection, config, mapping, posted.document_id, record)

    def _partner_row(self, connection: Connection, posted: Posted) -> LocalId:
        """The partner's row: found, or made by the mapping of its entity."""
        config = self._config(connection, self._partner)
        mapping, record = self._mapping(config), self._encode(posted.partner)
        program = compile_pull(mapping)
        values = dict(zip(program.columns, program.map_record(record).values, strict=True))
        table = tables.describe(connection, mapping.local.table, where=self._where(mapping))
        for path in (EMAIL, PHONE):
            column = _column(mapping, path)
            value = values.get(column) if column else None
            if column and value:
                any_case = path == EMAIL
                found = received.find_row(
                    connection, table, key=mapping.local.key, column=column, any_case=any_case,
                    value=value.lower() if any_case else value,
                )  # fmt: skip
                if found is not None:
                    return found
                break
        self._apply(connection, config, mapping, posted.partner_id, record)
        made = received.local_id_of(connection, config.id, posted.partner_id)
        assert made is not None  # noqa: S101  (it was applied, or RecordRejected was raised)
        return made

    def _apply(
        self, connection: Connection, config: SyncConfig, mapping: EntityMapping, key: RemoteId, record: bytes
    ) -> None:
        """One record through the pipeline of a pull. Raises RecordRejected with what mapping or table say."""
        run = self._open(connection, config, key)
        program = compile_pull(mapping)
        page = LandedPage(1, record, "UTC", None)
        transformer = Transformer(run, self._connector, program, connection, until=run.started_at, everything=True)
        self._loader(connection, run, program, record).load_over(
            connection, lambda _applied: transformer.chunks([page]), on_chunk=lambda _counts: None
        )
        notes = rejects.of_log(connection, run.log_id, limit=1)
        if notes:
            raise RecordRejected([FieldProblem(**problem) for problem in notes[0].problems])
        sync_logs.close(connection, run.log_id)

    def _loader(self, connection: Connection, run: SyncRun, program: PullProgram, record: bytes) -> Loader:
        where = self._where(program.mapping)
        return Loader(
            run,
            program,
            pull_target(connection, program, connection_id=run.connection_id, where=where),
            tracked(connection, program.mapping, run.config_direction, where=where),
            self._database,
            raw_of=lambda _page, _position: (record, "UTC"),
        )

    def _keep(
        self,
        connection: Connection,
        config: SyncConfig,
        mapping: EntityMapping,
        key: RemoteId,
        body: bytes,
        rejected: RecordRejected,
    ) -> None:
        """The refused document among the rejects, whole, and a log that says so."""
        run = self._open(connection, config, key)
        kept = rejects.Reject(key, body, rejected.problems)
        rejects.record(connection, [kept], run.ref, stage="transform", mapping_version=mapping.version)
        sync_logs.start_chunks(connection, run.log_id, version=mapping.version)
        sync_logs.add_counts(connection, run.log_id, chunk=1, counts=Counts(read=1, rejected=1), reasons={})
        sync_logs.note_total(connection, run.log_id, chunks=1)
        sync_logs.close(connection, run.log_id)
        log.info("document_refused", sync_log=run.log_id, rules=sorted({each.rule for each in rejected.problems}))

    def _open(self, connection: Connection, config: SyncConfig, key: RemoteId) -> SyncRun:
        wanted = OpenRequest("records", Window(None, None), triggered_by=self._by, record_ids=(key,))
        log_id: SyncLogId = sync_logs.open_log(connection, config.id, wanted)
        return sync_logs.load_run(connection, log_id)

    # -- configs and mappings ------------------------------------------------------------------------------------

    def _config(self, connection: Connection, entity: str) -> SyncConfig:
        """The sync config of an entity, made from its mapping file where there is none. Raises ConfigError."""
        system = self._connector.spec.system
        config = ensure_config(connection, self._connection_id, entity, system=system, mappings=self._mappings)
        if not config.enabled:
            raise ConfigError(f'Syncing "{entity}" is switched off for this connection. Enable its sync config first.')
        return config

    def _mapping(self, config: SyncConfig) -> EntityMapping:
        return load_mapping(self._mappings / config.mapping_path)

    def _where(self, mapping: EntityMapping) -> str:
        return str(self._mappings / mapping.system / f"{mapping.entity}.yaml")


def _column(mapping: EntityMapping, path: str) -> str | None:
    """The local column that a remote path goes to."""
    return next((spec.local for spec in mapping.fields if spec.pulls() and path in (spec.remote or ())), None)


def _posting(connector: type[Connector], entities: tuple[str, ...]) -> type[Connector]:
    """The connector's class as the pipeline sees it while it takes what was posted."""
    known = {name: EntitySpec(remote=name, key="id", modified=None, page_size=1) for name in entities}

    class Posting(connector):  # type: ignore[valid-type, misc]
        """A page is one record, which has come already."""

        spec = replace(connector.spec, entities=known)

        @classmethod
        def split(cls, entity: str, raw: bytes) -> list[RawRecord]:
            return [msgspec.Raw(raw)]

    return Posting
