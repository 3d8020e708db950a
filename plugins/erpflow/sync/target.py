"""The mapping meets the catalogue: where its records go and come from, checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable

from erpflow.errors import ConfigError, suggestion
from erpflow.mapping.compile import ChildProgram, LookupColumn, PullProgram
from erpflow.mapping.model import Children, FieldSpec, Mapping
from erpflow.store import configs, tables
from erpflow.store.pull import Connection
from erpflow.store.pull_sql import ChildStage, LookupTarget, PullTarget, Staged
from erpflow.store.tables import Table
from erpflow.store.tracked import Lines, Tracked
from erpflow.sync.push_map import PushLookups
from erpflow.vocabulary import ConnectionId, Direction


def pull_target(connection: Connection, program: PullProgram, *, connection_id: ConnectionId, where: str) -> PullTarget:
    """The tables and columns that `program` fills.

    `where` names the mapping file in messages. Raises ConfigError for a table or column that does not exist or cannot
    be written, and for a look-up of an entity that the connection does not sync.
    """
    target = compared_target(connection, program, connection_id=connection_id, where=where)
    _check_writable(target, where=where)
    return target


def compared_target(
    connection: Connection, program: PullProgram, *, connection_id: ConnectionId, where: str
) -> PullTarget:
    """The same for a program whose records are only compared with what is there: nobody has to be able to write it."""
    local = program.mapping.local
    parent = _staged(
        connection, local.table, program.columns, program.lookups, connection_id=connection_id, where=where
    )
    for name in (local.key, local.modified, *local.match_on):
        if name is not None:
            parent.table.column(name, where=where)
    for name in local.match_on:
        if name not in program.columns:
            raise ConfigError(
                f'{where}: local.match_on: "{name}" is not a mapped column{suggestion(name, program.columns)}'
            )
    return PullTarget(
        staged=parent,
        key=local.key,
        modified=local.modified,
        match_on=tuple(local.match_on),
        children=tuple(
            _child(connection, child, connection_id=connection_id, where=where) for child in program.children
        ),
        deleted=local.deleted,
    )


def _check_writable(target: PullTarget, *, where: str) -> None:
    """Raises ConfigError for a key that no new row would get, and for a column that nobody can write."""
    table = target.staged.table
    if not (target.match_on or target.key in target.staged.columns or table.columns[target.key].default):
        raise ConfigError(
            f'{where}: the key "{target.key}" of {table.name} has no default and is not mapped, so no row can be made. '
            "Map it, or give the column a default."
        )
    for staged in (target.staged, *(child.staged for child in target.children)):
        for column in staged.columns:
            if staged.table.columns[column].generated:
                raise ConfigError(
                    f'{where}: "{column}" of {staged.table.name} is a generated column: Postgres computes it and '
                    "nobody can write it. Take it out of the mapping."
                )


def push_lookups(connection: Connection, mapping: Mapping, *, connection_id: ConnectionId, where: str) -> PushLookups:
    """How the references of a mapping are turned into what the vendor calls them. Raises ConfigError as above."""

    def lookups(fields: Iterable[FieldSpec]) -> dict[str, LookupTarget]:
        return {
            spec.local: _lookup(
                connection,
                LookupColumn(spec.local, spec.lookup, 0, spec.required),
                connection_id=connection_id,
                where=where,
            )
            for spec in fields
            if spec.lookup is not None and spec.local is not None and spec.pushes()
        }

    lines = {child.local: lookups(child.fields) for child in mapping.children}
    return PushLookups(lookups(mapping.fields), {table: found for table, found in lines.items() if found})


def tracked(connection: Connection, mapping: Mapping, direction: Direction, *, where: str) -> Tracked:
    """The columns of the local table that a config of this direction writes and reads.

    Raises ConfigError for a table or column that does not exist, and for a column that cannot mark a deleted row.
    """
    local = mapping.local
    table = tables.describe(connection, local.table, where=where)
    for name in (local.key, local.modified, local.deleted):
        if name is not None:
            table.column(name, where=where)
    if local.deleted is not None and not table.columns[local.deleted].type.startswith(("timestamp", "boolean", "date")):
        raise ConfigError(
            f'{where}: local.deleted: "{local.deleted}" of {local.table} is of type '
            f"{table.columns[local.deleted].type}, and a row is marked as deleted by a time or a boolean."
        )
    pulled, pushed = _both_ways(table, mapping.fields, direction, where=where)
    return Tracked(
        table=table,
        key=local.key,
        modified=local.modified,
        deleted=local.deleted,
        pulled=pulled,
        pushed=pushed,
        lines=tuple(_lines(connection, child, direction, where=f"{where}: children") for child in mapping.children),
    )


def _lines(connection: Connection, child: Children, direction: Direction, *, where: str) -> Lines:
    table = tables.describe(connection, child.local, where=where)
    for name in (child.parent, child.key):
        table.column(name, where=where)
    pulled, pushed = _both_ways(table, child.fields, direction, where=where)
    return Lines(table=table, parent=child.parent, key=child.key, pulled=pulled, pushed=pushed)


def _both_ways(
    table: Table, fields: Iterable[FieldSpec], direction: Direction, *, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns that a pull writes, and those that a push reads."""
    pulled, pushed = [], []
    for spec in fields:
        if spec.local is None:
            continue
        table.column(spec.local, where=where)
        if direction is not Direction.PUSH and spec.pulls():
            pulled.append(spec.local)
        if direction is not Direction.PULL and spec.pushes():
            pushed.append(spec.local)
    return tuple(pulled), tuple(dict.fromkeys(pushed))


def _child(connection: Connection, child: ChildProgram, *, connection_id: ConnectionId, where: str) -> ChildStage:
    staged = _staged(
        connection, child.table, child.columns, child.lookups, connection_id=connection_id, where=f"{where}: children"
    )
    staged.table.column(child.parent, where=where)
    if child.key not in child.columns:
        hint = suggestion(child.key, child.columns)
        raise ConfigError(f'{where}: children: the key "{child.key}" of {child.table} is not mapped{hint}')
    return ChildStage(staged=staged, parent=child.parent, key=child.key)


def _staged(
    connection: Connection,
    name: str,
    columns: tuple[str, ...],
    lookups: tuple[LookupColumn, ...],
    *,
    connection_id: ConnectionId,
    where: str,
) -> Staged:
    table = tables.describe(connection, name, where=where)
    for column in columns:
        table.column(column, where=where)
    return Staged(
        table=table,
        columns=columns,
        lookups=tuple(_lookup(connection, lookup, connection_id=connection_id, where=where) for lookup in lookups),
    )


def _lookup(connection: Connection, column: LookupColumn, *, connection_id: ConnectionId, where: str) -> LookupTarget:
    lookup = column.lookup
    if lookup.entity is not None:
        known = configs.entities(connection, connection_id)
        if lookup.entity not in known:
            raise ConfigError(
                f'{where}: {column.column}: the connection does not sync the entity "{lookup.entity}"'
                f"{suggestion(lookup.entity, known)}"
            )
        return LookupTarget(
            column=column.column, required=lookup.on_missing == "reject", config_id=known[lookup.entity]
        )
    if lookup.table is None or lookup.match is None or lookup.take is None:
        raise ConfigError(f"{where}: {column.column}: a look-up names an entity, or table, match and take")
    table = tables.describe(connection, lookup.table, where=f"{where}: {column.column}: lookup")
    for name in (lookup.match, lookup.take):
        table.column(name, where=f"{where}: {column.column}: lookup")
    return LookupTarget(
        column=column.column,
        required=lookup.on_missing == "reject",
        table=lookup.table,
        match=lookup.match,
        take=lookup.take,
        match_type=table.columns[lookup.match].type,
        take_type=table.columns[lookup.take].type,
    )
