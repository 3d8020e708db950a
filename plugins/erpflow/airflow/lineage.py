"""What a load and a send tell OpenLineage: what was read and written, column by column, and what became of it.

Only the OpenLineage provider asks for it, and only where somebody has configured where events go: nothing imports this
module while a DAG file is parsed, nor in a task of an installation that collects no lineage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import attrs
from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.sdk import BaseHook
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    OutputDatasetFacet,
    RunFacet,
    column_lineage_dataset,
    error_message_run,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from erpflow.airflow import environment
from erpflow.connectors import registry
from erpflow.connectors.redaction import redact
from erpflow.errors import ConfigError
from erpflow.mapping.lineage import FieldLineage, Filled, Origin, pull_lineage, push_lineage, record_fields
from erpflow.mapping.load import load_mapping
from erpflow.mapping.model import Local
from erpflow.mapping.model import Mapping as MappingFile
from erpflow.store import configs, sync_logs, tables, templates
from erpflow.store.sync_logs import RunSummary, SyncRun
from erpflow.sync.in_force import mapping_in_force
from erpflow.vocabulary import Direction, SyncLogId

if TYPE_CHECKING:
    from airflow.sdk import Connection as AirflowConnection

    from erpflow.store.database import Database
    from erpflow.store.pull import Connection

SYNC_LOG_FACET: Final = "erpflow_syncLog"
JOINED: Final = ("INDIRECT", "JOIN")
COPIED: Final = ("DIRECT", "IDENTITY")
CHANGED: Final = ("DIRECT", "TRANSFORMATION")
"""Source: OpenLineage, "Column Level Lineage Dataset Facet", types and subtypes of transformations."""


@attrs.define
class SyncLogRunFacet(RunFacet):
    """The sync log that a run wrote: counts are records of this direction so far, `mappingVersion` 16 hex digits."""

    syncLogId: str
    connection: str
    system: str
    entity: str
    direction: str
    kind: str
    dryRun: bool
    mappingVersion: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """A data set as OpenLineage names it."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run. `types`: the columns of each table of ours, with their types in SQL."""

    run: SyncRun
    summary: RunSummary
    mapping: MappingFile
    filled: tuple[Filled, ...]
    types: Mapping[str, Mapping[str, str]]
    vendor: Place
    database: Database

    def place(self, table: str | None) -> Place:
        """Where a table of ours is, or (None) the vendor's object."""
        if table is None:
            return self.vendor
        host, port = (text.partition(",")[0] for text in (self.database.host, self.database.port))
        return Place(f"postgres://{host}:{port}", f"{self.database.name}.{table}")


def lineage_of_run(log_id: SyncLogId, *, failed: bool = False) -> OperatorLineage[Dataset, RunFacet]:
    """What the run of a sync log read and wrote so far. A dry run wrote nothing, so it has no data sets.

    Raises ConfigError when the log, its mapping or a table is gone.
    """
    facts = read_facts(environment.database(), log_id)
    facets: dict[str, RunFacet] = {SYNC_LOG_FACET: _sync_log(facts)}
    if failed and facts.summary.error:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=redact(facts.summary.error), programmingLanguage="python"
        )
    if facts.run.dry_run:
        return OperatorLineage(run_facets=facets)
    return OperatorLineage(inputs=_inputs(facts), outputs=_outputs(facts), run_facets=facets)


def read_facts(database: Database, log_id: SyncLogId) -> Facts:
    """Everything that is told of a run, read back from the id of its log. Raises ConfigError."""
    folder = environment.mappings_folder()
    with database.session() as connection:
        run = sync_logs.load_run(connection, log_id)
        summary = sync_logs.summary(connection, log_id)
        kept = templates.kept_templates(connection, tenant_id=run.tenant_id)
        mapping = mapping_in_force(folder, run.mapping_path, run.mapping_overrides, kept=kept)
        if run.direction is Direction.PUSH:
            filled = push_lineage(mapping)
        else:
            filled = pull_lineage(mapping, entities=_entities(connection, run))
        types = _types(connection, filled, where=run.mapping_path)
    connector = registry.connector_class(run.system)
    namespace = vendor_namespace(run, BaseHook.get_connection(run.airflow_conn_id), own_address=connector.own_address)
    vendor = Place(namespace, mapping.remote.object)
    return Facts(run, summary, mapping, filled, types, vendor, database)


def vendor_namespace(run: SyncRun, connection: AirflowConnection, *, own_address: bool) -> str:
    """`system://host`, and where several accounts share an address the name of the connection: `…/acme_books`.

    Of the Airflow Connection only host and port are told: its path, its login and the rest may be secret.
    """
    address = connection.host or ""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        port = parts.port or connection.port
    except ValueError:  # not a number: whoever syncs with it is told so elsewhere
        port = connection.port
    if not parts.hostname:
        return f"{run.system}://{quote(run.connection, safe='')}"
    host = f"{parts.hostname}:{port}" if port else parts.hostname
    return f"{run.system}://{host}" if own_address else f"{run.system}://{host}/{quote(run.connection, safe='')}"


def _entities(connection: Connection, run: SyncRun) -> dict[str, Local]:
    """Where the other entities of the connection are kept. One whose mapping cannot be read is left out."""
    found = {}
    for config in configs.list_configs(connection, run.connection_id):
        try:
            found[config.entity] = load_mapping(environment.mappings_folder() / config.mapping_path).local
        except ConfigError:
            continue
    return found


def _types(connection: Connection, filled: Iterable[Filled], *, where: str) -> dict[str, dict[str, str]]:
    names = dict.fromkeys(part.table for part in filled)
    names |= dict.fromkeys(origin.table for part in filled for field in part.fields for origin in field.origins)
    described = [tables.describe(connection, name, where=where) for name in names if name is not None]
    return {table.name: {column.name: column.type for column in table.columns.values()} for table in described}


def _sync_log(facts: Facts) -> SyncLogRunFacet:
    run = facts.run
    return SyncLogRunFacet(
        syncLogId=run.log_id,
        connection=run.connection,
        system=run.system,
        entity=run.entity,
        direction=run.direction.value,
        kind=run.kind,
        dryRun=run.dry_run,
        mappingVersion=facts.mapping.version,
        counts=asdict(facts.summary.counts),
    )


def _inputs(facts: Facts) -> list[Dataset]:
    """The vendor's object or our tables, and every table that is looked into. The first has the number of records."""
    met = dict.fromkeys(origin.table for part in facts.filled for field in part.fields for origin in field.origins)
    first = None if facts.run.direction is Direction.PULL else facts.mapping.local.table
    read = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=facts.summary.counts.read)
    found = []
    for table in dict.fromkeys((first, *met)):
        place = facts.place(table)
        counted: dict[str, InputDatasetFacet] = {"inputStatistics": read} if table == first else {}
        found.append(
            InputDataset(place.namespace, place.name, facets={"schema": _schema(facts, table)}, inputFacets=counted)
        )
    return list[Dataset](found)


def _outputs(facts: Facts) -> list[Dataset]:
    """What is filled, field by field. The first has the number of rows or records written; lines are not counted."""
    counts = facts.summary.counts
    written = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=counts.created + counts.updated + counts.deleted
    )
    found = []
    for position, part in enumerate(facts.filled):
        place = facts.place(part.table)
        facets: dict[str, DatasetFacet] = {
            "schema": _schema(facts, part.table),
            "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(
                fields={field.field: _column(facts, field) for field in part.fields}
            ),
        }
        counted: dict[str, OutputDatasetFacet] = {"outputStatistics": written} if position == 0 else {}
        found.append(OutputDataset(place.namespace, place.name, facets=facets, outputFacets=counted))
    return list[Dataset](found)


def _schema(facts: Facts, table: str | None) -> schema_dataset.SchemaDatasetFacet:
    """The columns of a table with their types; of the vendor's object the fields that the mapping names."""
    if table is not None:
        known = facts.types[table].items()
        fields = [schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in known]
    elif facts.run.direction is Direction.PULL:
        fields = [schema_dataset.SchemaDatasetFacetFields(name=name) for name in record_fields(facts.filled)]
    else:
        written = (field.field for part in facts.filled for field in part.fields)
        fields = [schema_dataset.SchemaDatasetFacetFields(name=name) for name in dict.fromkeys(written)]
    return schema_dataset.SchemaDatasetFacet(fields=fields)


def _column(facts: Facts, field: FieldLineage) -> column_lineage_dataset.Fields:
    return column_lineage_dataset.Fields(
        inputFields=[_input_field(facts, origin, field.how) for origin in field.origins],
        transformationDescription=field.how or None,
    )


def _input_field(facts: Facts, origin: Origin, how: str) -> column_lineage_dataset.InputField:
    place = facts.place(origin.table)
    kind, subtype = JOINED if origin.only_finds else CHANGED if how else COPIED
    transformation = column_lineage_dataset.Transformation(
        type=kind, subtype=subtype, description=how or None, masking=False
    )
    return column_lineage_dataset.InputField(
        namespace=place.namespace, name=place.name, field=origin.field, transformations=[transformation]
    )
