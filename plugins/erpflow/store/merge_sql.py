"""The statements of a two-way sync: what both sides hold and held, and writing what a merge decided.

They stand beside those of `pull_sql`: staging, look-ups and natural keys are the same. `erpflow_decided` has more
columns: which fields are taken from the vendor (`take`), what a counter grows by (`delta`), the last agreed values of
fields that are still to be pushed (`pending`), and what else happens to the tie (`status`: frozen or gone).
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from erpflow.store.pull_sql import ChildStage, PullTarget, Staged, stage_name
from erpflow.store.tracked import Tracked, as_object, canonical, csv, lines_text, staged_lines_text

TWO_WAY_COLUMNS = sql.SQL("take text[] NOT NULL DEFAULT '{}', delta jsonb, pending jsonb, status text")

LOCK_ROWS = sql.SQL(
    """
    SELECT 1 FROM {table} t
    WHERE t.{key} IN (SELECT d.local_id FROM erpflow_decided d WHERE d.outcome <> 'created')
    ORDER BY t.{key} FOR UPDATE
    """
)

COMPARE = sql.SQL(
    """
    SELECT d.n, d.outcome, s.remote_id, r.local_id, r.status, r.last_direction, r.synced_at,
           r.agreed_local, r.agreed_remote, s.remote_modified_at, s.remote_version, s.raw_hash, {modified},
           t.{key} IS NOT NULL, {is_deleted},
           {staged}, {pushed}, {pulled}, d.local_id::text
    FROM erpflow_decided d JOIN erpflow_stage s USING (n)
    LEFT JOIN LATERAL (
        SELECT * FROM erpflow.erp_entity_sync_records k
        WHERE k.sync_config_id = %(config)s AND k.remote_id = s.remote_id
          AND (k.status <> 'deleted' OR d.outcome = 'tombstone') LIMIT 1
    ) r ON true
    LEFT JOIN LATERAL (SELECT * FROM {table} x WHERE x.{key} = d.local_id LIMIT 1) t ON true
    WHERE d.outcome IN ('updated', 'same', 'gone', 'tombstone', 'frozen')
    ORDER BY d.n
    """
)

APPLY_DECISIONS = """
UPDATE erpflow_decided d SET outcome = m.outcome, take = m.take, delta = m.delta, pending = m.pending, status = m.status
FROM jsonb_to_recordset(%s::jsonb)
     AS m (n int, outcome text, take text[], delta jsonb, pending jsonb, status text)
WHERE d.n = m.n
"""

FREEZE = sql.SQL(
    """
    INSERT INTO erpflow.erp_entity_sync_records AS r
        (sync_config_id, remote_id, tenant_id, local_id, raw_hash, remote_version, remote_modified_at, log_id,
         first_log_id, status)
    SELECT %(config)s, s.remote_id, %(tenant)s, d.local_id::text, 0, s.remote_version, s.remote_modified_at, %(log)s,
           %(log)s, 'frozen'
    FROM erpflow_decided d JOIN erpflow_stage s USING (n) WHERE d.status = 'frozen'
    ON CONFLICT (sync_config_id, remote_id) DO UPDATE
    SET status = 'frozen', log_id = excluded.log_id, deleted_at = NULL
    """
)


def compare(tracked: Tracked, target: PullTarget) -> sql.Composed:
    """Both sides of each record that is known or matched, as texts. Parameters: config."""
    return COMPARE.format(
        modified=tracked.modified_at("t"),
        key=sql.Identifier(tracked.key),
        table=tracked.table.identifier,
        is_deleted=tracked.is_deleted("t"),
        staged=staged_values(tracked, target),
        pushed=tracked.row_values("t", tracked.pushed, lines="pushed"),
        pulled=tracked.row_values("t", tracked.pulled, lines="pulled"),
    )


def lock_rows(tracked: Tracked) -> sql.Composed:
    """Keep the rows as they are until the transaction ends; in the order of their keys, so that two never cross."""
    return LOCK_ROWS.format(table=tracked.table.identifier, key=sql.Identifier(tracked.key))


def staged_values(tracked: Tracked, target: PullTarget) -> sql.Composed:
    """What the vendor holds, as the columns a pull writes, over alias `s` of the stage."""
    names: list[sql.Composable] = [sql.Literal(name) for name in tracked.pulled]
    texts: list[sql.Composable] = [canonical(tracked.table, name, target.staged.value(name)) for name in tracked.pulled]
    names += [sql.Literal(lines.name) for lines in tracked.lines]
    texts += _staged_lines(tracked, target)
    return as_object(names, texts)


def agreed_values(tracked: Tracked, target: PullTarget, *, local_id: sql.Composable) -> sql.Composed:
    """What the vendor made of the row that was sent to it, over aliases `s` of the stage and `a` of its attempt.

    Columns that are only pulled are left out: what the vendor computed is still to be pulled. Lines with such a column
    count as sent, until their next pull, unless the row's own have all that the vendor's have.
    """
    names: list[sql.Composable] = []
    texts: list[sql.Composable] = []
    for name in tracked.pulled:
        if name in tracked.pushed:
            names.append(sql.Literal(name))
            texts.append(canonical(tracked.table, name, target.staged.value(name)))
    parent = sql.SQL("({}::{})").format(local_id, tracked.key_type)
    for lines, staged in zip(tracked.lines, _staged_lines(tracked, target), strict=True):
        if not lines.pushed:
            continue
        names.append(sql.Literal(lines.name))
        if set(lines.pulled) <= set(lines.pushed):
            texts.append(staged)
            continue
        same = sql.SQL("CASE WHEN {staged} = {ours} THEN {staged} ELSE a.sent ->> {name} END")
        ours = lines_text(lines, lines.pulled, parent=parent)
        texts.append(same.format(staged=staged, ours=ours, name=sql.Literal(lines.name)))
    return as_object(names, texts) if names else sql.SQL("'{}'::jsonb").format()


def _staged_lines(tracked: Tracked, target: PullTarget) -> Iterator[sql.Composed]:
    for number, (lines, child) in enumerate(zip(tracked.lines, target.children, strict=True)):
        values = [child.staged.value(name, alias="c") for name in lines.pulled]
        order = child.staged.value(child.key, alias="c")
        yield staged_lines_text(lines, values, order=order, stage=stage_name(number), number=sql.SQL("s.n"))


def update_merged(target: PullTarget) -> sql.Composed:
    """Write the fields that were taken, and only those; counters grow by their delta."""
    assignments = [_merged(target.staged, name) for name in target.staged.columns if name != target.key]
    assignments += target.set_besides()
    return sql.SQL(
        "UPDATE {table} t SET {assignments} FROM erpflow_decided d JOIN {stage} s USING (n)"
        " WHERE d.outcome = 'updated' AND t.{key} = d.local_id"
    ).format(
        table=target.staged.table.identifier,
        assignments=csv(assignments),
        stage=stage_name(),
        key=sql.Identifier(target.key),
    )


def _merged(staged: Staged, name: str) -> sql.Composed:
    kind = staged.table.columns[name].type
    counts = kind.startswith(("numeric", "integer", "bigint", "smallint", "double", "real"))
    grows = sql.SQL("WHEN d.delta ? {name} THEN t.{column} + (d.delta ->> {name})::{kind} ")
    return sql.SQL("{column} = CASE WHEN {name} = ANY (d.take) THEN {value} {grows}ELSE t.{column} END").format(
        column=sql.Identifier(name),
        name=sql.Literal(name),
        value=staged.value(name),
        grows=grows.format(name=sql.Literal(name), column=sql.Identifier(name), kind=sql.SQL(kind))
        if counts
        else sql.SQL(""),
    )


def taken_lines(child: ChildStage) -> sql.Composed:
    """Which records get the lines of a child table: those that are new, and those whose merge took them."""
    return sql.SQL("(d.outcome = 'created' OR {name} = ANY (d.take))").format(name=sql.Literal(child.staged.table.name))


def agreed(tracked: Tracked, target: PullTarget) -> dict[str, sql.Composable]:
    """What both sides agree on after the writes, over aliases `d`, `s` and `t`: expressions by column.

    The local values are read back from the table: a trigger may have changed what was written, and that is no change
    of the user's.
    """
    local = sql.SQL("{} || coalesce(d.pending, '{{}}'::jsonb)").format(
        tracked.row_values("t", tracked.pushed, lines="pushed")
    )
    return {
        "agreed_local": local,
        "agreed_remote": staged_values(tracked, target),
        "local_hash": sql.SQL("CASE WHEN d.pending IS NULL THEN {} END").format(tracked.row_hash("t")),
        "status": sql.SQL("CASE WHEN d.pending IS NULL THEN 'synced' ELSE 'pending' END"),
    }


def insert_agreed(tracked: Tracked, target: PullTarget) -> sql.Composed:
    """Tie new records, with what was agreed."""
    parts = agreed(tracked, target)
    return sql.SQL(
        """
        INSERT INTO erpflow.erp_entity_sync_records
            (sync_config_id, remote_id, tenant_id, local_id, raw_hash, remote_version, remote_modified_at, log_id,
             first_log_id, {names})
        SELECT %(config)s, s.remote_id, %(tenant)s, d.local_id::text, s.raw_hash, s.remote_version,
               s.remote_modified_at, %(log)s, %(log)s, {values}
        FROM erpflow_decided d JOIN erpflow_stage s USING (n) JOIN {table} t ON t.{key} = d.local_id
        WHERE NOT d.known AND d.outcome IN {written}
        """
    ).format(names=csv(map(sql.Identifier, parts)), values=csv(parts.values()), **_common(tracked))


def update_agreed(tracked: Tracked, target: PullTarget) -> sql.Composed:
    """Bring the ties of known records up to date, with what is agreed now."""
    parts = agreed(tracked, target)
    assignments = csv(sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in parts.items())
    return sql.SQL(
        """
        UPDATE erpflow.erp_entity_sync_records r
        SET local_id = d.local_id::text, raw_hash = s.raw_hash, remote_version = s.remote_version,
            remote_modified_at = s.remote_modified_at, last_direction = 'pull', log_id = %(log)s, synced_at = now(),
            deleted_at = NULL, {assignments}
        FROM erpflow_decided d JOIN erpflow_stage s USING (n) JOIN {table} t ON t.{key} = d.local_id
        WHERE d.known AND d.outcome IN {written}
          AND r.sync_config_id = %(config)s AND r.remote_id = s.remote_id
        """
    ).format(assignments=assignments, **_common(tracked))


def acknowledge_remote(tracked: Tracked, target: PullTarget) -> sql.Composed:
    """A record whose row is gone here stays gone: what the vendor has is noted, the push deletes it there."""
    return sql.SQL(
        """
        UPDATE erpflow.erp_entity_sync_records r
        SET raw_hash = s.raw_hash, remote_version = s.remote_version, remote_modified_at = s.remote_modified_at,
            log_id = %(log)s, agreed_remote = {remote}
        FROM erpflow_decided d JOIN erpflow_stage s USING (n)
        WHERE d.status = 'gone' AND r.sync_config_id = %(config)s AND r.remote_id = s.remote_id
        """
    ).format(remote=staged_values(tracked, target))


def _common(tracked: Tracked) -> dict[str, sql.Composable]:
    return {
        "table": tracked.table.identifier,
        "key": sql.Identifier(tracked.key),
        "written": sql.SQL("('created', 'updated', 'same')"),
    }
