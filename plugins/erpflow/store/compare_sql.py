"""The statements of a reconciliation: what the vendor has beside ties and rows, set by set. They write no user's row.

`erpflow_compared` holds every record that was read, with what came of the comparison (`outcome`):

- `equal`: all that is mapped is the same on both sides, or a pair of values that both sides agreed on. What the vendor
  was sent and did not take is agreed on too, and is different nevertheless.
- `missing_here`, `different`, `rejected`, `frozen`, `duplicate_there`: findings, see `FindingKind`.
- `deleted_here`: its row was deleted here, and the mapping keeps the record there. That is agreed on.
- `meanwhile`: it was synced after it was read, so that what was read of it is old.
- `foreign`: it is nobody's here, and the config only pushes.
- `left_out`: the mapping makes no row of it.

`tie` is `none`, `live`, `agreed` (live, and it is known what both sides agreed on) or `deleted`. `changed` says where a
difference began: `here`, `there`, `both`, `kept` (it was sent, and the vendor kept its own), or NULL where it cannot be
told. `twin` is another record with the same natural key. `heir` is a row that has the natural key of a record without a
row: tied to nothing, where the record's own row is gone; tied to a record that is gone, where it never had one. `crowd`
says how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg import sql

from erpflow.store.merge_sql import staged_values
from erpflow.store.pull_sql import PullTarget, Staged, matches, missing_of, stage_name
from erpflow.store.tracked import Tracked, column, csv

PLAIN_TYPES: Final = (
    "text",
    "character",
    "numeric",
    "integer",
    "bigint",
    "smallint",
    "boolean",
    "date",
    "timestamp",
    "uuid",
)
"""How types begin whose equal values have equal texts; of others (jsonb, double precision) a pull only writes what its
own = tells apart."""

CREATE: Final = sql.SQL(
    """
    CREATE TEMPORARY TABLE erpflow_compared (
        remote_id text COLLATE "C", local_id text, outcome text NOT NULL, tie text NOT NULL, changed text, fields jsonb,
        missing text[], reason text, twin text COLLATE "C", heir text, crowd bigint{keys}
    );
    CREATE UNIQUE INDEX erpflow_compared_ids ON erpflow_compared (remote_id);
    CREATE INDEX erpflow_compared_untied ON erpflow_compared (local_id) WHERE tie = 'none';
    CREATE TEMPORARY TABLE erpflow_copies (
        local_id text PRIMARY KEY, twin text NOT NULL, twin_remote_id text COLLATE "C"
    )
    """
)

# White space, case and decimals are what a vendor makes of a value (see `sync.echo`); the value from before is its own.
KEPT: Final = sql.SQL(
    """
    CASE WHEN p.ours = '' OR p.theirs = '' THEN p.ours <> p.theirs
         WHEN p.ours ~ '^-?[0-9]+([.][0-9]+)?$' AND p.theirs ~ '^-?[0-9]+([.][0-9]+)?$'
         THEN round(p.ours::numeric, scale(p.theirs::numeric)) <> p.theirs::numeric
         ELSE {ours} <> {theirs} END
    AND (EXISTS (SELECT 1 FROM erpflow.erp_record_history h
                 WHERE h.sync_config_id = %(config)s AND h.remote_id = v.remote_id AND h.direction = 'push'
                   AND h.after -> e.key = v.agreed_local -> e.key AND {before} = {theirs})
         OR p.theirs = '' AND EXISTS (SELECT 1 FROM erpflow.erp_sync_logs l
                                      WHERE l.id = v.first_log_id AND l.direction = 'push'))
    """
).format(
    **{
        name: sql.SQL("lower(regexp_replace({}, '[[:space:]]', '', 'g'))").format(sql.SQL(value))
        for name, value in (
            ("ours", "p.ours"),
            ("theirs", "p.theirs"),
            ("before", "coalesce(h.before ->> e.key, '')"),
        )
    }
)
"""Whether the vendor kept its own value of a field, though it took the write: what it has is what was agreed on before,
or nothing of a record that was made of the row. Known for as long as the history and the logs are kept."""

COMPARE: Final = sql.SQL(
    """
    WITH {matches}, staged AS (
        SELECT s.*, {missing} AS missing FROM {stage} s CROSS JOIN LATERAL (SELECT s.n) p
        WHERE s.n BETWEEN %(lo)s AND %(hi)s
    ), sides AS (
        SELECT s.remote_id, s.missing, m.candidates, r.status, r.last_direction, r.synced_at, r.first_log_id,
               r.agreed_local, r.agreed_remote, coalesce(t.{key}::text, r.local_id) AS local_id,
               s.raw_hash = r.raw_hash AS same_bytes,
               t.{key} IS NOT NULL AND NOT {is_deleted} AS is_here, {alike} AS alike,
               {there} AS there, CASE WHEN t.{key} IS NOT NULL THEN {here} END AS here,
               CASE WHEN t.{key} IS NOT NULL THEN {pushed} END AS pushed{key_values}
        FROM staged s
        LEFT JOIN LATERAL (
            SELECT * FROM erpflow.erp_entity_sync_records k
            WHERE k.sync_config_id = %(config)s AND k.remote_id = s.remote_id LIMIT 1
        ) r ON true
        LEFT JOIN matches m ON m.n = s.n
        LEFT JOIN LATERAL (
            SELECT * FROM {table} x
            WHERE x.{key} = CASE WHEN r.status IS NULL THEN m.id WHEN r.status <> 'deleted' THEN r.local_id::{kind} END
            LIMIT 1
        ) t ON true
    ), judged AS (
        SELECT v.*, d.fields, d.ours, d.theirs, d.kept,
               CASE WHEN v.status = 'frozen' THEN 'frozen'
                    WHEN cardinality(v.missing) > 0 OR v.status IS NULL AND v.candidates > 1 THEN 'rejected'
                    WHEN v.status = 'deleted' AND v.synced_at >= %(started)s THEN 'meanwhile'
                    WHEN v.status = 'deleted' AND v.last_direction = 'push' AND %(keeps_deleted)s THEN 'deleted_here'
                    WHEN v.status IS NULL AND NOT v.is_here AND NOT %(pulls)s THEN 'foreign'
                    WHEN NOT v.is_here THEN 'missing_here'
                    WHEN v.status IS NULL THEN 'different'
                    WHEN d.fields IS NULL THEN 'equal'
                    WHEN v.synced_at >= %(started)s THEN 'meanwhile'
                    ELSE 'different' END AS outcome
        FROM sides v
        LEFT JOIN LATERAL (
            SELECT jsonb_object_agg(
                       e.key, jsonb_build_object('here', v.here -> e.key, 'there', e.value) ORDER BY e.key) AS fields,
                   bool_or(v.pushed ? e.key AND v.agreed_local ? e.key
                           AND v.pushed -> e.key IS DISTINCT FROM v.agreed_local -> e.key) AS ours,
                   bool_or(v.agreed_remote ? e.key AND e.value IS DISTINCT FROM v.agreed_remote -> e.key) AS theirs,
                   bool_and(k.kept) AS kept
            FROM jsonb_each(v.there) e
            CROSS JOIN LATERAL (
                SELECT coalesce(v.pushed ? e.key AND v.agreed_local ? e.key AND v.agreed_remote ? e.key
                                AND v.pushed -> e.key = v.agreed_local -> e.key
                                AND e.value = v.agreed_remote -> e.key, false) AS agreed,
                       coalesce(v.here ->> e.key, '') AS ours, coalesce(e.value #>> '{{}}', '') AS theirs
            ) p
            CROSS JOIN LATERAL (SELECT p.agreed AND {kept} AS kept) k
            WHERE v.here -> e.key IS DISTINCT FROM e.value AND NOT e.key = ANY (v.alike) AND (k.kept OR NOT p.agreed)
        ) d ON v.is_here AND v.here <> v.there
    )
    INSERT INTO erpflow_compared (remote_id, local_id, outcome, tie, changed, fields, missing, twin{key_names})
    SELECT j.remote_id, j.local_id, j.outcome,
           CASE WHEN j.status IS NULL THEN 'none' WHEN j.status = 'deleted' THEN 'deleted'
                WHEN j.agreed_local IS NULL THEN 'live' ELSE 'agreed' END,
           CASE WHEN NOT %(pushes)s THEN CASE WHEN j.same_bytes THEN 'here' ELSE 'there' END
                WHEN j.kept THEN 'kept' WHEN j.ours AND j.theirs THEN 'both'
                WHEN j.ours THEN 'here' WHEN j.theirs THEN 'there' END,
           j.fields, CASE WHEN j.status IS NULL AND j.candidates > 1 THEN '{{*}}'::text[] ELSE j.missing END,
           NULL{key_names}
    FROM judged j
    ON CONFLICT (remote_id) DO UPDATE
    SET local_id = excluded.local_id, outcome = excluded.outcome, tie = excluded.tie, changed = excluded.changed,
        fields = excluded.fields, missing = excluded.missing, reason = NULL{key_updates}
    """
)
"""`missing` of a record that several rows fit is `{*}`. A record that is read twice counts as it was read last."""

REJECT: Final = """
INSERT INTO erpflow_compared (remote_id, outcome, tie, reason)
SELECT u.remote_id, 'rejected', 'none', u.reason
FROM unnest(%(ids)s::text[], %(reasons)s::text[]) AS u (remote_id, reason)
ON CONFLICT (remote_id) DO UPDATE SET outcome = 'rejected', fields = NULL, missing = NULL, reason = excluded.reason
"""

LEAVE_OUT: Final = sql.SQL(
    """
    INSERT INTO erpflow_compared (remote_id, outcome, tie)
    SELECT u.remote_id, 'left_out', 'none' FROM unnest(%(ids)s::text[]) AS u (remote_id)
    WHERE NOT EXISTS (SELECT 1 FROM {stage} s WHERE s.remote_id = u.remote_id)
    ON CONFLICT (remote_id) DO UPDATE SET outcome = 'left_out', fields = NULL, missing = NULL, reason = NULL
    """
).format(stage=stage_name())

TWINS: Final = sql.SQL(
    """
    WITH ranked AS (
        SELECT c.remote_id, count(*) OVER (PARTITION BY {keys}) AS crowd, row_number() OVER w AS place,
               first_value(c.remote_id) OVER w AS first, first_value(c.local_id) OVER w AS first_local_id
        FROM erpflow_compared c
        WHERE c.outcome NOT IN ('rejected', 'deleted_here') AND {filled}
        WINDOW w AS (PARTITION BY {keys} ORDER BY c.tie = 'none', c.remote_id)
    )
    UPDATE erpflow_compared c
    SET twin = CASE WHEN r.place > 1 THEN r.first END, crowd = r.crowd,
        outcome = CASE WHEN r.place > 1 AND c.tie = 'none'
                            AND (c.outcome <> 'different' OR c.local_id = r.first_local_id)
                       THEN 'duplicate_there' ELSE c.outcome END
    FROM ranked r WHERE r.remote_id = c.remote_id AND r.crowd > 1
    """
)
"""Records with one natural key, all but the first: one that is tied, else the lowest id. An empty key is none.

One that no row belongs to is a duplicate and nothing else: a pull would only carry the duplicate over."""

HEIRS: Final = sql.SQL(
    """
    WITH heirs AS (
        SELECT c.remote_id, min(t.{key}::text) AS heir, count(*) AS number
        FROM erpflow_compared c JOIN {table} t ON {same}
        LEFT JOIN LATERAL (
            SELECT k.remote_id FROM erpflow.erp_entity_sync_records k
            WHERE k.sync_config_id = %(config)s AND k.local_id = t.{key}::text AND k.status <> 'deleted' LIMIT 1
        ) r ON true
        WHERE c.outcome = 'missing_here' AND NOT {is_deleted}
          AND CASE WHEN r.remote_id IS NULL THEN c.tie <> 'none' AND NOT (c.tie = 'agreed' AND %(carries_deletes)s)
                   ELSE c.tie = 'none'
                        AND NOT EXISTS (SELECT 1 FROM erpflow_compared o WHERE o.remote_id = r.remote_id) END
        GROUP BY c.remote_id
    )
    UPDATE erpflow_compared c SET heir = h.heir, crowd = h.number FROM heirs h WHERE h.remote_id = c.remote_id
    """
)
"""Rows that a pull would tie to a record whose own row is gone; where a delete here is carried over, the record has no
need of one. And of a record that never had a row, those whose own record is gone."""

COPIES: Final = sql.SQL(
    """
    INSERT INTO erpflow_copies (local_id, twin, twin_remote_id)
    SELECT o.local_id, o.first, o.first_remote_id
    FROM (
        SELECT t.{key}::text AS local_id, r.remote_id, row_number() OVER w AS place,
               first_value(t.{key}::text) OVER w AS first, first_value(r.remote_id) OVER w AS first_remote_id
        FROM {table} t
        LEFT JOIN erpflow.erp_entity_sync_records r
            ON r.sync_config_id = %(config)s AND r.local_id = t.{key}::text AND r.status <> 'deleted'
        WHERE NOT {is_deleted} AND {filled}
        WINDOW w AS (PARTITION BY {keys} ORDER BY r.remote_id IS NULL, t.{key})
    ) o
    WHERE o.place > 1 AND o.remote_id IS NULL
      AND NOT EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records k
                      WHERE k.sync_config_id = ANY (%(siblings)s::uuid[]) AND k.local_id = o.local_id
                        AND k.status <> 'deleted')
      AND NOT EXISTS (SELECT 1 FROM erpflow_compared c WHERE c.tie = 'none' AND c.local_id = o.local_id)
      AND NOT EXISTS (SELECT 1 FROM erpflow_compared c WHERE c.heir = o.local_id AND c.crowd = 1)
    """
)
"""Rows with the natural key of another row that are tied to nothing, by no config of their table (`siblings`)."""

FOUND: Final = sql.SQL(
    """
    WITH found AS (
        SELECT c.outcome AS kind, c.remote_id, c.local_id, c.tie, c.changed, c.fields, c.missing, c.reason,
               CASE WHEN c.outcome = 'missing_here' THEN c.heir ELSE c.twin END AS twin, c.crowd > 1 AS crowded
        FROM erpflow_compared c
        WHERE c.outcome IN ('missing_here', 'different', 'duplicate_there', 'rejected', 'frozen')
        UNION ALL
        SELECT 'duplicate_there', c.remote_id, c.local_id, c.tie, NULL, NULL, NULL, NULL, c.twin, true
        FROM erpflow_compared c WHERE c.twin IS NOT NULL AND c.outcome <> 'duplicate_there'
        UNION ALL
        SELECT CASE WHEN r.status = 'frozen' THEN 'frozen' ELSE 'missing_there' END, r.remote_id, r.local_id, 'live',
               NULL, NULL, NULL, NULL, n.remote_id, n.crowded
        FROM erpflow.erp_entity_sync_records r JOIN {table} t ON t.{key} = r.local_id::{kind} {namesakes}
        WHERE r.sync_config_id = %(config)s AND r.status <> 'deleted' AND r.synced_at < %(started)s
          AND (r.status = 'frozen' OR NOT {is_deleted})
          AND NOT EXISTS (SELECT 1 FROM erpflow_compared c WHERE c.remote_id = r.remote_id)
        UNION ALL
        SELECT CASE WHEN f.local_id IS NULL THEN 'missing_there' ELSE 'frozen' END, NULL, t.{key}::text, 'none',
               NULL, NULL, NULL, NULL, n.remote_id, n.crowded
        FROM {table} t {namesakes}
        LEFT JOIN erpflow.erp_conflicts f
            ON f.sync_config_id = %(config)s AND f.status = 'open' AND f.local_id = t.{key}::text
           AND f.kind = 'unique_collision'
        WHERE %(creates)s AND NOT {is_deleted} AND ({modified} < %(started)s) IS NOT FALSE
          AND NOT EXISTS (SELECT 1 FROM erpflow.erp_entity_sync_records r
                          WHERE r.sync_config_id = %(config)s AND r.local_id = t.{key}::text AND r.status <> 'deleted')
          AND NOT EXISTS (SELECT 1 FROM erpflow_compared c WHERE c.tie = 'none' AND c.local_id = t.{key}::text)
          AND NOT EXISTS (SELECT 1 FROM erpflow_compared c WHERE c.heir = t.{key}::text AND c.crowd = 1)
          AND NOT EXISTS (SELECT 1 FROM erpflow_copies o WHERE o.local_id = t.{key}::text)
          AND NOT EXISTS (SELECT 1 FROM erpflow.erp_push_attempts a
                          WHERE a.sync_config_id = %(config)s AND a.local_id = t.{key}::text
                            AND a.state IN ('planned', 'sent', 'unknown'))
        UNION ALL
        SELECT 'duplicate_here', o.twin_remote_id, o.local_id, 'none', NULL, NULL, NULL, NULL, o.twin, true
        FROM erpflow_copies o
    )
    SELECT f.kind, f.remote_id, f.local_id, f.tie, f.changed, f.fields, f.missing, f.twin, coalesce(f.crowded, false),
           coalesce(
               f.reason,
               CASE WHEN f.kind = 'frozen' THEN
                   (SELECT k.reason FROM erpflow.erp_conflicts k
                    WHERE k.sync_config_id = %(config)s AND k.status = 'open'
                      AND (k.remote_id = f.remote_id OR k.local_id = f.local_id COLLATE "C") LIMIT 1) END,
               CASE WHEN f.kind IN ('missing_there', 'different') AND %(pushes)s THEN
                   (SELECT string_agg(p ->> 'message', '; ')
                    FROM erpflow.erp_rejects j, jsonb_array_elements(j.problems) p
                    WHERE j.sync_config_id = %(config)s AND j.direction = 'push' AND j.status = 'open'
                      AND j.local_id = f.local_id COLLATE "C") END)
    FROM found f
    ORDER BY array_position(%(kinds)s::text[], f.kind), f.remote_id COLLATE "C" NULLS LAST, length(f.local_id),
             f.local_id COLLATE "C"
    """
)
"""All findings. The reason of one that is frozen is its conflict's, of one that a push was refused for its reject's."""

NAMESAKES: Final = sql.SQL(
    """
    LEFT JOIN LATERAL (
        SELECT min(c.remote_id) AS remote_id, count(*) > 1 OR NOT bool_and(c.tie = 'none') AS crowded
        FROM erpflow_compared c WHERE {same} AND {filled} AND c.outcome NOT IN ('rejected', 'deleted_here')
    ) n ON true
    """
)
"""The records that have the natural key of row `t`: if it were sent, it would be one more. A single one that belongs to
nobody is taken over by a push."""

OUTCOMES: Final = "SELECT outcome, count(*) FROM erpflow_compared GROUP BY outcome"

SEEN_AGAIN: Final = """
SELECT c.remote_id, c.outcome, c.fields, c.missing, c.reason FROM erpflow_compared c WHERE c.remote_id IS NOT NULL
"""

ANALYZE: Final = "ANALYZE erpflow_compared"


def create(target: PullTarget) -> sql.Composed:
    """The tables of the session; they outlive its transactions."""
    columns = [
        sql.SQL("{} {}").format(name, target.staged.type_of(match))
        for name, match in zip(_keys(target), target.match_on, strict=True)
    ]
    return CREATE.format(keys=_behind(columns))


def compare(tracked: Tracked, target: PullTarget, *, pushes: bool) -> sql.Composed:
    """Compare staged records with ties and rows. Parameters: config, started, lo, hi, pulls, pushes, keeps_deleted."""
    keys = _keys(target)
    values = [sql.SQL("{} AS {}").format(target.staged.value(m), k) for m, k in zip(target.match_on, keys, strict=True)]
    updates = [sql.SQL("{0} = excluded.{0}").format(name) for name in keys]
    pushed = tracked.row_values("t", tracked.pushed, lines="pushed") if pushes else sql.SQL("'{{}}'::jsonb").format()
    return COMPARE.format(
        matches=matches(target),
        missing=missing_of(target),
        stage=stage_name(),
        key=sql.Identifier(target.key),
        kind=target.staged.type_of(target.key),
        table=target.staged.table.identifier,
        is_deleted=tracked.is_deleted("t"),
        kept=KEPT,
        alike=sql.SQL("'{{}}'::text[]").format() if pushes else _alike(target.staged, tracked.pulled),
        there=staged_values(tracked, target),
        here=tracked.row_values("t", tracked.pulled, lines="pulled"),
        pushed=pushed,
        key_values=_behind(values),
        key_names=_behind(keys),
        key_updates=_behind(updates),
    )


def twins(target: PullTarget) -> sql.Composed:
    """Mark records that have the natural key of another one."""
    keys = _keys(target)
    names = [sql.SQL("c.{}").format(name) for name in keys]
    return TWINS.format(filled=_filled(names), keys=csv(names))


def heirs(tracked: Tracked, target: PullTarget) -> sql.Composed:
    """Find rows that stand in for those that are gone. Parameters: config, carries_deletes."""
    return HEIRS.format(
        key=sql.Identifier(target.key),
        table=target.staged.table.identifier,
        same=_same(target),
        is_deleted=tracked.is_deleted("t"),
    )


def index_keys(target: PullTarget) -> sql.Composed:
    """Make records findable by their natural key."""
    return sql.SQL("CREATE INDEX ON erpflow_compared ({})").format(csv(_keys(target)))


def copies(tracked: Tracked, target: PullTarget) -> sql.Composed:
    """Find rows that have the natural key of another one. Parameters: config, siblings."""
    names = [column("t", name) for name in target.match_on]
    return COPIES.format(
        key=sql.Identifier(target.key),
        table=target.staged.table.identifier,
        is_deleted=tracked.is_deleted("t"),
        filled=_filled(names),
        keys=csv(names),
    )


def found(tracked: Tracked, target: PullTarget) -> sql.Composed:
    """Every finding, in the order of `kinds`. Parameters: config, started, creates, pushes, kinds."""
    names = [column("t", name) for name in target.match_on]
    nobody = sql.SQL("CROSS JOIN LATERAL (SELECT NULL::text AS remote_id, false AS crowded) n")
    return FOUND.format(
        namesakes=NAMESAKES.format(same=_same(target), filled=_filled(names)) if names else nobody,
        key=sql.Identifier(target.key),
        kind=target.staged.type_of(target.key),
        table=target.staged.table.identifier,
        is_deleted=tracked.is_deleted("t"),
        modified=tracked.modified_at("t"),
    )


def _keys(target: PullTarget) -> list[sql.Identifier]:
    """The columns of `erpflow_compared` that hold the natural key, with the types of the user's table."""
    return [sql.Identifier(f"key_{number}") for number in range(len(target.match_on))]


def _same(target: PullTarget) -> sql.Composed:
    """Whether row `t` has the natural key of record `c`."""
    pairs = zip(target.match_on, _keys(target), strict=True)
    return sql.SQL(" AND ").join(sql.SQL("{} = c.{}").format(column("t", name), key) for name, key in pairs)


def _behind(parts: Sequence[sql.Composable]) -> sql.Composable:
    """Behind other parts of a list; nothing when there are none."""
    return sql.SQL(", ") + csv(parts) if parts else sql.SQL("")


def _filled(names: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(" AND ").join(sql.SQL("{0} IS NOT NULL AND {0}::text <> ''").format(name) for name in names)


def _alike(staged: Staged, names: Sequence[str]) -> sql.Composed:
    """The columns whose own = takes both values for one, so that a pull would not write them; rows `t` and `s`."""
    loose = [name for name in names if not staged.table.columns[name].type.startswith(PLAIN_TYPES)]
    cases = [
        sql.SQL("CASE WHEN NOT ({}) THEN {} END").format(staged.differs([name]), sql.Literal(name)) for name in loose
    ]
    return sql.SQL("array_remove(ARRAY[{}]::text[], NULL)").format(csv(cases))
