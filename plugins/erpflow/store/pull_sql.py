"""The statements that apply one chunk of pulled records: stage, resolve, decide, write. One statement a purpose.

Identifiers come from the mapping, checked against the catalogue and quoted by psycopg; values are always parameters.

Two things keep the time per record the same at a million rows as at a thousand. Look-ups by key are
`LATERAL (… LIMIT 1)`, which the planner cannot turn into a join that scans the whole table; and the statements run
with sequential scans priced out (`PLANNER`), because the temporary tables have no statistics to plan from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from erpflow.store.tables import Column, Table
from erpflow.vocabulary import SyncConfigId

PLANNER = "SET LOCAL enable_seqscan = off; SET LOCAL random_page_cost = 1.1; SET LOCAL jit = off"

HEAD = ("remote_id", "raw_hash", "remote_version", "remote_modified_at")
"""What a sync record keeps of the vendor's version, in the order of a batch's heads."""

FIXED = ("n", *HEAD)
FIXED_TYPES = ("int", "text", "bigint", "text", "timestamptz")


@dataclass(frozen=True, slots=True)
class LookupTarget:
    """How a staged text becomes a key: by another entity's sync records (`config_id`), or by `table.match` → `take`.

    `required`: a text that is not found rejects the record; otherwise the column becomes NULL.
    """

    column: str
    required: bool
    config_id: SyncConfigId | None = None
    table: str | None = None
    match: str | None = None
    take: str | None = None
    match_type: str = "text"
    take_type: str = "text"


@dataclass(frozen=True, slots=True)
class Staged:
    """A table as it is staged: the columns the mapping fills, in COPY order, and how some of them are looked up."""

    table: Table
    columns: tuple[str, ...]
    lookups: tuple[LookupTarget, ...] = ()

    def type_of(self, name: str) -> sql.SQL:
        """The SQL type of a column, as the catalogue writes it."""
        return sql.SQL(self.table.columns[name].type)

    def value(self, name: str, *, alias: str = "s") -> sql.Composed:
        """The staged value of a column: looked up, or as copied."""
        prefix = "l_" if any(lookup.column == name for lookup in self.lookups) else "v_"
        return sql.SQL("{}.{}").format(sql.Identifier(alias), sql.Identifier(prefix + name))

    def differs(self, names: Sequence[str]) -> sql.Composable:
        """Whether row `t` of the table holds something else in these columns than staged row `s`."""
        if not names:
            return sql.SQL("false")
        ours, theirs = [], []
        for name in names:
            as_text = sql.SQL('::text COLLATE "C"' if self.table.columns[name].compared_as_text else "")
            ours.append(sql.SQL("t.{}{}").format(sql.Identifier(name), as_text))
            theirs.append(sql.SQL("{}{}").format(self.value(name), as_text))
        return sql.SQL("ROW({}) IS DISTINCT FROM ROW({})").format(_csv(ours), _csv(theirs))

    def copied_columns(self) -> list[sql.Composed]:
        """Declarations of the columns COPY fills: a looked-up one arrives as text."""
        looked_up = {lookup.column for lookup in self.lookups}
        return [
            sql.SQL("{} {}").format(
                sql.Identifier("v_" + name), sql.SQL("text") if name in looked_up else self.type_of(name)
            )
            for name in self.columns
        ]

    def found_columns(self) -> list[sql.Composed]:
        """Declarations of the columns that `resolve` fills."""
        return [
            sql.SQL("{} {}").format(sql.Identifier("l_" + lookup.column), self.type_of(lookup.column))
            for lookup in self.lookups
        ]

    def missing(self) -> sql.Composed:
        """The names of the required look-ups that found nothing, as a text array expression over alias `s`."""
        cases = [
            sql.SQL("CASE WHEN s.{v} IS NOT NULL AND s.{l} IS NULL THEN {name} || '=' || s.{v} END").format(
                v=sql.Identifier("v_" + lookup.column),
                l=sql.Identifier("l_" + lookup.column),
                name=sql.Literal(lookup.column),
            )
            for lookup in self.lookups
            if lookup.required
        ]
        return sql.SQL("array_remove(ARRAY[{}]::text[], NULL)").format(sql.SQL(", ").join(cases))


@dataclass(frozen=True, slots=True)
class ChildStage:
    """A child table: its rows follow their parent, identified by `key` within `parent` (the column that names it)."""

    staged: Staged
    parent: str
    key: str


@dataclass(frozen=True, slots=True)
class PullTarget:
    """Where a mapping's records go: the parent table with its key, the columns that match, and its child tables."""

    staged: Staged
    key: str
    modified: str | None
    match_on: tuple[str, ...]
    children: tuple[ChildStage, ...] = ()
    deleted: str | None = None

    @property
    def key_column(self) -> Column:
        """The parent's key as the catalogue describes it."""
        return self.staged.table.columns[self.key]

    def set_besides(self) -> list[sql.Composed]:
        """What an update sets that is not mapped: the row's own time, and that it is not deleted."""
        assignments = []
        if self.modified and self.modified not in self.staged.columns:
            assignments.append(sql.SQL("{} = now()").format(sql.Identifier(self.modified)))
        if self.deleted and self.deleted not in self.staged.columns:
            none = "false" if self.staged.table.columns[self.deleted].type == "boolean" else "NULL"
            assignments.append(sql.SQL("{} = {}").format(sql.Identifier(self.deleted), sql.SQL(none)))
        return assignments


def _csv(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def stage_name(child: int | None = None) -> sql.Identifier:
    """The temporary table of the parent, or of child number `child`."""
    return sql.Identifier("erpflow_stage" if child is None else f"erpflow_stage_{child}")


def create_stages(target: PullTarget, *, besides: sql.Composable | None = None) -> sql.Composed:
    """Temporary tables of the session, emptied by every commit. `besides`: more columns of `erpflow_decided`."""
    fixed = [sql.SQL(f"{name} {kind}") for name, kind in zip(FIXED, FIXED_TYPES, strict=True)]
    tables: list[tuple[sql.Identifier, list[sql.Composable]]] = [
        (stage_name(), [*fixed, *target.staged.copied_columns(), *target.staged.found_columns()])
    ]
    for number, child in enumerate(target.children):
        columns: list[sql.Composable] = [
            sql.SQL("n int"),
            *child.staged.copied_columns(),
            *child.staged.found_columns(),
        ]
        tables.append((stage_name(number), columns))
    decided: list[sql.Composable] = [
        sql.SQL("n int, remote_id text, local_id {}, outcome text, known boolean, missing text[]").format(
            target.staged.type_of(target.key)
        )
    ]
    if besides is not None:
        decided.append(besides)
    tables.append((sql.Identifier("erpflow_decided"), decided))
    statement = sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DELETE ROWS")
    return sql.SQL("; ").join(statement.format(name, _csv(columns)) for name, columns in tables)


def drop_stages(target: PullTarget) -> sql.Composed:
    """Take the temporary tables of a target away again: for the next target in the same transaction."""
    names = [stage_name(), *(stage_name(number) for number in range(len(target.children)))]
    return sql.SQL("DROP TABLE {}").format(_csv([*names, sql.Identifier("erpflow_decided")]))


def copy_stage(staged: Staged, *, child: int | None = None) -> sql.Composed:
    """COPY into a stage, in the order `FIXED` (a child: the parent's `n`) then the mapped columns."""
    fixed = FIXED if child is None else ("n",)
    names = [sql.Identifier(name) for name in (*fixed, *("v_" + name for name in staged.columns))]
    return sql.SQL("COPY {} ({}) FROM STDIN").format(stage_name(child), _csv(names))


def resolve(staged: Staged, *, child: int | None = None) -> sql.Composed | None:
    """Fill the looked-up columns of a stage; None when it has none. Parameters: lo, hi (a range of `n`)."""
    if not staged.lookups:
        return None
    assignments = []
    for lookup in staged.lookups:
        if lookup.config_id is not None:
            found = sql.SQL(
                "(SELECT k.local_id FROM erpflow.erp_entity_sync_records k"
                " WHERE k.sync_config_id = {config} AND k.remote_id = s.{v} LIMIT 1)::{kind}"
            ).format(
                config=sql.Literal(lookup.config_id),
                v=sql.Identifier("v_" + lookup.column),
                kind=staged.type_of(lookup.column),
            )
        else:
            found = sql.SQL("(SELECT k.{take} FROM {table} k WHERE {match} = {v} ORDER BY 1 LIMIT 1)").format(
                take=sql.Identifier(lookup.take or ""),
                table=sql.Identifier(*(lookup.table or "").split(".", 1)),
                **_as_written(lookup),
            )
        assignments.append(sql.SQL("{} = {}").format(sql.Identifier("l_" + lookup.column), found))
    return sql.SQL("UPDATE {} s SET {} WHERE s.n BETWEEN %(lo)s AND %(hi)s").format(
        stage_name(child), _csv(assignments)
    )


def _as_written(lookup: LookupTarget) -> dict[str, sql.Composed]:
    """Both sides of a look-up as text that is the same for the same value: 7 is 7.00, and a uuid has no case."""
    match = sql.SQL("k.{}").format(sql.Identifier(lookup.match or ""))
    value = sql.SQL("s.{}").format(sql.Identifier("v_" + lookup.column))
    if lookup.match_type.startswith("numeric"):
        match = sql.SQL("trim_scale({})").format(match)
    elif lookup.match_type == "uuid":
        value = sql.SQL("lower({})").format(value)
    return {"match": sql.SQL("{}::text").format(match), "v": value}


OVERTAKEN = sql.SQL(
    """
    r.remote_modified_at > s.remote_modified_at
    AND (r.synced_at >= %(started)s
         OR (r.remote_modified_at > s.remote_modified_at + interval '1 hour'
             AND r.remote_modified_at <= r.synced_at + interval '1 day'))
    """
)
"""A newer version is applied. A run that began to read behind that knows better, whatever the record's time says: local
time runs an hour twice when summer ends, and clocks are corrected. More than an hour is no clock but an old copy; but a
version that was dated in the future when it was applied (9999) says nothing of the one that corrects it."""

ONE_WAY = sql.SQL(
    """
    WHEN t.{key} IS NOT NULL AND r.raw_hash = s.raw_hash AND r.status <> 'deleted' THEN 'unchanged'
    WHEN {overtaken} THEN 'stale'
    WHEN r.status = 'deleted' AND t.{key} IS NOT NULL THEN 'updated'
    """
)
"""A record that comes back loses its mark of a soft delete."""

TWO_WAY = sql.SQL(
    """
    WHEN r.status = 'frozen' THEN 'frozen'
    WHEN t.{key} IS NOT NULL AND r.raw_hash = s.raw_hash AND r.status <> 'deleted' AND r.agreed_remote IS NOT NULL
    THEN 'unchanged'
    WHEN {overtaken} THEN 'stale'
    WHEN r.status = 'deleted' AND (m.id IS NULL OR m.id::text = r.local_id) THEN 'tombstone'
    WHEN r.local_id IS NOT NULL AND t.{key} IS NULL THEN 'gone'
    """
)
"""What a two-way sync decides outside of SQL: who a frozen record waits for, and deletes on either side.

A record that was deleted and comes back may meet another row with its natural key: both were created again.
"""


def decide(target: PullTarget, *, cases: sql.SQL = ONE_WAY) -> sql.Composed:
    """What becomes of each staged record: created, updated, same, unchanged, stale, lookup or ambiguous.

    `same`: the vendor's record changed, but nothing that is mapped. `stale`: a newer version is already applied, or
    the record was deleted after this run had begun to read (`started`). `cases`: what else there is.
    Parameters: config, started, lo, hi (a range of `n`, so that a record that the table refuses is found by halving).
    """
    key = sql.Identifier(target.key)
    return sql.SQL(
        """
        WITH {matches}, staged AS (
            SELECT s.*, {missing} AS missing FROM {stage} s CROSS JOIN LATERAL (SELECT s.n) p
            WHERE s.n BETWEEN %(lo)s AND %(hi)s
        )
        INSERT INTO erpflow_decided (n, remote_id, local_id, outcome, known, missing)
        SELECT s.n, s.remote_id,
               CASE WHEN t.{key} IS NOT NULL THEN t.{key} ELSE {new_id} END,
               CASE WHEN cardinality(s.missing) > 0 THEN 'lookup'
                    WHEN r.status IN ('deleted', 'frozen') AND r.deleted_at IS NOT NULL AND r.synced_at >= %(started)s
                    THEN 'stale'
                    {cases}
                    WHEN m.candidates > 1 THEN 'ambiguous'
                    WHEN t.{key} IS NULL THEN 'created'
                    WHEN {differs} THEN 'updated'
                    ELSE 'same' END,
               r.local_id IS NOT NULL,
               s.missing
        FROM staged s
        LEFT JOIN LATERAL (
            SELECT k.local_id, k.raw_hash, k.remote_modified_at, k.status, k.synced_at, k.deleted_at, k.agreed_remote
            FROM erpflow.erp_entity_sync_records k
            WHERE k.sync_config_id = %(config)s AND k.remote_id = s.remote_id LIMIT 1
        ) r ON true
        LEFT JOIN matches m ON m.n = s.n
        LEFT JOIN LATERAL (
            SELECT * FROM {table} x
            WHERE x.{key} = CASE WHEN r.status = 'deleted' THEN coalesce(m.id, r.local_id::{kind})
                                 ELSE coalesce(r.local_id::{kind}, m.id) END LIMIT 1
        ) t ON true
        """
    ).format(
        matches=matches(target),
        missing=missing_of(target),
        cases=cases.format(key=key, overtaken=OVERTAKEN),
        stage=stage_name(),
        key=key,
        new_id=_new_id(target),
        differs=target.staged.differs(target.staged.columns),
        table=target.staged.table.identifier,
        kind=target.staged.type_of(target.key),
    )


def missing_of(target: PullTarget) -> sql.Composed:
    """The required look-ups of a record and its lines that found nothing, over aliases `s` and `p` of the stage."""
    missing = [target.staged.missing()]
    for number, child in enumerate(target.children):
        if any(lookup.required for lookup in child.staged.lookups):
            missing.append(
                sql.SQL("ARRAY(SELECT unnest({}) FROM {} s WHERE s.n = p.n)").format(
                    child.staged.missing(), stage_name(number)
                )
            )
    return sql.SQL(" || ").join(missing)


def _new_id(target: PullTarget) -> sql.Composable:
    """The key of a row to be created: a mapped column, or whatever the table's own default gives."""
    if target.key in target.staged.columns:
        return target.staged.value(target.key)
    return sql.SQL((target.key_column.default or "NULL").replace("%", "%%"))  # `decide` runs with parameters


def matches(target: PullTarget) -> sql.Composed:
    """Local rows with the natural key of a record that is not tied (any more), and that are not tied themselves.

    Several records with one natural key: the lowest remote id takes the row, whatever the order they came in.
    """
    if not target.match_on:
        return sql.SQL("matches AS (SELECT NULL::int AS n, NULL::{} AS id, 0 AS candidates WHERE false)").format(
            target.staged.type_of(target.key)
        )
    on = [sql.SQL("t.{} = {}").format(sql.Identifier(name), target.staged.value(name)) for name in target.match_on]
    return sql.SQL(
        """
        candidates AS (
            SELECT s.n, t.{key} AS id,
                   count(*) OVER (PARTITION BY s.n) AS candidates,
                   row_number() OVER (PARTITION BY t.{key} ORDER BY s.remote_id) AS claim
            FROM {stage} s JOIN {table} t ON {on}
            WHERE s.n BETWEEN %(lo)s AND %(hi)s
              AND NOT EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records k
                              WHERE k.sync_config_id = %(config)s AND k.remote_id = s.remote_id
                                AND k.status <> 'deleted')
              AND NOT EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records k
                              WHERE k.sync_config_id = %(config)s AND k.local_id = t.{key}::text
                                AND k.status <> 'deleted')
        ), matches AS (
            SELECT DISTINCT ON (n) n, id, candidates FROM candidates WHERE claim = 1 OR candidates > 1 ORDER BY n, id
        )
        """
    ).format(
        key=sql.Identifier(target.key),
        stage=stage_name(),
        table=target.staged.table.identifier,
        on=sql.SQL(" AND ").join(on),
    )


def mark_changed_children(child: ChildStage, number: int) -> sql.Composed:
    """A record whose own columns are the same and whose lines are not is updated."""
    key, parent = sql.Identifier(child.key), sql.Identifier(child.parent)
    names = [name for name in child.staged.columns if name != child.key]
    return sql.SQL(
        """
        UPDATE erpflow_decided d SET outcome = 'updated'
        WHERE d.outcome = 'same' AND EXISTS (
            SELECT 1
            FROM (SELECT * FROM {stage} c WHERE c.n = d.n) s
            FULL JOIN (SELECT * FROM {table} x WHERE x.{parent} = d.local_id) t ON t.{key} = {line}
            WHERE t.{key} IS NULL OR {line} IS NULL OR {differs}
        )
        """
    ).format(
        stage=stage_name(number),
        table=child.staged.table.identifier,
        parent=parent,
        key=key,
        line=child.staged.value(child.key),
        differs=child.staged.differs(names),
    )


def insert_created(target: PullTarget) -> sql.Composed:
    """Write the rows that are new."""
    columns = [name for name in target.staged.columns if name != target.key]
    names = [sql.Identifier(target.key), *map(sql.Identifier, columns)]
    values: list[sql.Composable] = [sql.SQL("d.local_id"), *(target.staged.value(name) for name in columns)]
    if target.modified and target.modified not in columns:
        names.append(sql.Identifier(target.modified))
        values.append(sql.SQL("now()"))
    return sql.SQL(
        "INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values}"
        " FROM erpflow_decided d JOIN {stage} s USING (n) WHERE d.outcome = 'created' ORDER BY d.n"
    ).format(table=target.staged.table.identifier, names=_csv(names), values=_csv(values), stage=stage_name())


def update_changed(target: PullTarget) -> sql.Composed | None:
    """Write the rows that differ, and only those; None when the mapping fills nothing but the key."""
    columns = [name for name in target.staged.columns if name != target.key]
    assignments = [sql.SQL("{} = {}").format(sql.Identifier(name), target.staged.value(name)) for name in columns]
    assignments += target.set_besides()
    if not assignments:
        return None
    return sql.SQL(
        "UPDATE {table} t SET {assignments} FROM erpflow_decided d JOIN {stage} s USING (n)"
        " WHERE d.outcome = 'updated' AND t.{key} = d.local_id"
    ).format(
        table=target.staged.table.identifier,
        assignments=_csv(assignments),
        stage=stage_name(),
        key=sql.Identifier(target.key),
    )


WRITTEN = sql.SQL("d.outcome IN ('created', 'updated')")


def write_children(child: ChildStage, number: int, *, written: sql.Composable = WRITTEN) -> list[sql.Composed]:
    """Make the lines of every written parent those of the record: delete, update, insert."""
    parts = {
        "table": child.staged.table.identifier,
        "stage": stage_name(number),
        "parent": sql.Identifier(child.parent),
        "key": sql.Identifier(child.key),
        "line": child.staged.value(child.key),
    }
    names = [name for name in child.staged.columns if name != child.key]
    columns = _csv([sql.Identifier(name) for name in (child.parent, child.key, *names)])
    values = _csv([sql.SQL("d.local_id"), *(child.staged.value(name) for name in (child.key, *names))])
    assignments = _csv([sql.SQL("{} = {}").format(sql.Identifier(name), child.staged.value(name)) for name in names])
    delete = sql.SQL(
        "DELETE FROM {table} t USING erpflow_decided d"
        " WHERE d.outcome = 'updated' AND {written} AND t.{parent} = d.local_id"
        " AND NOT EXISTS (SELECT 1 FROM {stage} s WHERE s.n = d.n AND {line} = t.{key})"
    ).format(**parts, written=written)
    update = sql.SQL(
        "UPDATE {table} t SET {assignments} FROM erpflow_decided d JOIN {stage} s USING (n)"
        " WHERE d.outcome = 'updated' AND {written} AND t.{parent} = d.local_id AND t.{key} = {line}"
        " AND {differs}"
    ).format(**parts, written=written, assignments=assignments, differs=child.staged.differs(names))
    insert = sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {values}"
        " FROM erpflow_decided d JOIN {stage} s USING (n) WHERE {written}"
        " AND (d.outcome = 'created'"
        "      OR NOT EXISTS (SELECT 1 FROM {table} t WHERE t.{parent} = d.local_id AND t.{key} = {line}))"
        " ORDER BY d.n, {line}"
    ).format(**parts, columns=columns, values=values, written=written)
    return [delete, update, insert] if names else [delete, insert]


INSERT_RECORDS = sql.SQL(
    """
    INSERT INTO erpflow.erp_entity_sync_records
        (sync_config_id, remote_id, tenant_id, local_id, raw_hash, remote_version, remote_modified_at, log_id,
         first_log_id)
    SELECT %(config)s, s.remote_id, %(tenant)s, d.local_id::text, s.raw_hash, s.remote_version, s.remote_modified_at,
           %(log)s, %(log)s
    FROM erpflow_decided d JOIN erpflow_stage s USING (n)
    WHERE NOT d.known AND d.outcome IN ('created', 'updated', 'same')
    """
)

UPDATE_RECORDS = sql.SQL(
    """
    UPDATE erpflow.erp_entity_sync_records r
    SET local_id = d.local_id::text, raw_hash = s.raw_hash, remote_version = s.remote_version,
        remote_modified_at = s.remote_modified_at, last_direction = 'pull', log_id = %(log)s, synced_at = now(),
        status = 'synced', deleted_at = NULL
    FROM erpflow_decided d JOIN erpflow_stage s USING (n)
    WHERE d.known AND d.outcome IN ('created', 'updated', 'same')
      AND r.sync_config_id = %(config)s AND r.remote_id = s.remote_id
    """
)

OUTCOMES = "SELECT outcome, known, count(*) FROM erpflow_decided GROUP BY outcome, known"

REFUSED = sql.SQL(
    """
    SELECT s.n, d.outcome, d.missing
    FROM erpflow_decided d JOIN erpflow_stage s USING (n) WHERE d.outcome IN ('lookup', 'ambiguous') ORDER BY s.n
    """
)

CHANGED = """
SELECT u.position
FROM unnest(string_to_array(%(keys)s, chr(31)), string_to_array(%(hashes)s, ',')::bigint[])
     WITH ORDINALITY AS u (remote_id, raw_hash, position)
LEFT JOIN LATERAL (
    SELECT k.raw_hash FROM erpflow.erp_entity_sync_records k
    WHERE k.sync_config_id = %(config)s AND k.remote_id = u.remote_id AND k.status IN ('synced', 'pending')
      AND (NOT %(two_way)s OR k.agreed_remote IS NOT NULL) LIMIT 1
) r ON true
WHERE r.raw_hash IS DISTINCT FROM u.raw_hash OR u.remote_id = ANY (%(rejected)s::text[])
"""
