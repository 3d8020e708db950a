"""A mapping meets the tables and the vendor before anything runs: everything that a run would fail at, key by key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from erpflow.connectors.base import Connector
from erpflow.errors import ConfigError, suggestion
from erpflow.mapping.compile import compile_pull, compile_push
from erpflow.mapping.model import FieldSpec, Mapping
from erpflow.store import configs, tables
from erpflow.store.pull import Connection
from erpflow.store.tables import Table
from erpflow.sync.counted import unjudgeable
from erpflow.sync.push_settle import cannot_settle
from erpflow.sync.target import pull_target, push_lookups, tracked
from erpflow.vocabulary import ConnectionId, Direction, Operation, SyncConfigId
from erpflow.yaml_files.complaints import Complaint


def check_programs(mapping: Mapping) -> None:
    """Raises ConfigError when a mapping cannot be compiled for the directions it goes."""
    if mapping.direction is not Direction.PUSH:
        compile_pull(mapping)
    if mapping.direction is not Direction.PULL:
        compile_push(mapping)


def check_vendor(mapping: Mapping, connector: type[Connector]) -> str | None:
    """Why the vendor does not allow what a mapping wants; None when it does."""
    spec = connector.spec.entities.get(mapping.entity)
    if spec is None:
        return None
    if mapping.direction is not Direction.PULL:
        if not spec.writes:
            return f"direction: {connector.spec.title} takes no {mapping.entity} records from outside: pull them."
        if Operation.CREATE in spec.writes & mapping.writes and (problem := cannot_settle(mapping, spec)):
            return problem
    return unjudgeable(mapping, spec)


def check_tables(
    connection: Connection, mapping: Mapping, *, connection_id: ConnectionId | None = None
) -> list[Complaint]:
    """Every table and column that a mapping names and the database does not have, by the key that names it.

    With `connection_id` also the entities of look-ups that this connection does not sync.
    """
    local = mapping.local
    synced = configs.entities(connection, connection_id) if connection_id is not None else None
    keys = [("local.key", local.key), ("local.modified", local.modified), ("local.deleted", local.deleted)]
    keys += [("match_on", name) for name in local.match_on]
    wrong = list(_check(connection, local.table, mapping.fields, keys, prefix="", synced=synced))
    for number, child in enumerate(mapping.children):
        prefix = f"children[{number}]."
        wrong += _check(
            connection, child.local, child.fields, [(f"{prefix}parent", child.parent), (f"{prefix}key", child.key)],
            prefix=prefix, synced=synced,
        )  # fmt: skip
    return wrong


def check_runs(
    connection: Connection, mapping: Mapping, connector: type[Connector], *, connection_id: ConnectionId
) -> list[Complaint]:
    """Everything that a run of this mapping would fail at before it reads a record."""
    wrong = check_tables(connection, mapping, connection_id=connection_id)
    if wrong:
        return wrong
    problem = check_vendor(mapping, connector)
    if problem is not None:
        return [Complaint(problem.partition(":")[0] if problem.startswith("direction:") else "conflict", problem)]
    try:
        check_programs(mapping)
        where = "mapping"
        if mapping.direction is not Direction.PUSH:
            pull_target(connection, compile_pull(mapping), connection_id=connection_id, where=where)
        if mapping.direction is not Direction.PULL:
            push_lookups(connection, mapping, connection_id=connection_id, where=where)
        tracked(connection, mapping, mapping.direction, where=where)
    except ConfigError as error:
        return [Complaint("fields", str(error).removeprefix("mapping: "))]
    return []


def _check(
    connection: Connection,
    name: str,
    fields: Sequence[FieldSpec],
    keys: Sequence[tuple[str, str | None]],
    *,
    prefix: str,
    synced: dict[str, SyncConfigId] | None,
) -> Iterator[Complaint]:
    table = _described(connection, name)
    if isinstance(table, str):
        yield Complaint(f"{prefix}local" if prefix else "local.table", table)
        return
    named = [*keys, *((f"{prefix}fields[{number}].local", spec.local) for number, spec in enumerate(fields))]
    for key, column in named:
        yield from _lacking(table, key, column)
    for number, spec in enumerate(fields):
        if spec.lookup is not None:
            yield from _check_lookup(connection, spec, f"{prefix}fields[{number}].lookup", synced)


def _check_lookup(
    connection: Connection, spec: FieldSpec, key: str, synced: dict[str, SyncConfigId] | None
) -> Iterator[Complaint]:
    lookup = spec.lookup
    if lookup is None:
        return
    if lookup.entity is not None and synced is not None and lookup.entity not in synced:
        hint = suggestion(lookup.entity, synced)
        yield Complaint(f"{key}.entity", f'the connection does not sync the entity "{lookup.entity}"{hint}')
    if lookup.table is not None:
        table = _described(connection, lookup.table)
        if isinstance(table, str):
            yield Complaint(f"{key}.table", table)
            return
        yield from _lacking(table, f"{key}.match", lookup.match)
        yield from _lacking(table, f"{key}.take", lookup.take)


def _described(connection: Connection, name: str) -> Table | str:
    try:
        return tables.describe(connection, name, where="mapping")
    except ConfigError as error:
        return str(error).removeprefix("mapping: ")


def _lacking(table: Table, key: str, column: str | None) -> Iterator[Complaint]:
    if column is None:
        return
    try:
        table.column(column, where="mapping")
    except ConfigError as error:
        yield Complaint(key, str(error).removeprefix("mapping: "))
