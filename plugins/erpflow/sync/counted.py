"""Vendors that count their changes instead of dating them: what their cursor means, and what nobody can ask of them.

Their cursor is the count that was reached, and not that of the newest record: other entities share it. So it needs no
overlap, and as long as the vendor has not counted on there is nothing to look for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from erpflow.connectors.base import Connector, EntitySpec, Page, PageToken
from erpflow.connectors.counting import STEP
from erpflow.errors import ConfigError
from erpflow.mapping.model import Mapping
from erpflow.store.sync_logs import SyncRun
from erpflow.vocabulary import Direction, FieldConflict, Window


def read_counted(run: SyncRun, connector: Connector, token: PageToken | None) -> Iterator[Page]:
    """The pages of a run. Raises ConfigError for a span of time, and for a vendor that has counted back."""
    for page in connector.read(run.entity, _window(run, connector), resume=token):
        reached = reached_by(page.reached, connector=type(connector), zone=page.zone)
        if reached is not None and run.cursor_before is not None and reached < run.cursor_before:
            raise ConfigError(
                f"{connector.spec.title} has counted to {page.reached}, and the sync of {run.entity} with "
                f'"{run.connection}" had come further: it was restored from a backup, or is another one. Nothing was '
                "changed. Remove the connection and add it again: its records then find their rows by match_on."
            )
        yield page


def reached_by(count: str | None, *, connector: type[Connector], zone: str) -> datetime | None:
    """Where the cursor is when everything up to a count is applied."""
    return connector.instant(count, zone=zone) if count is not None else None


def unjudgeable(mapping: Mapping, spec: EntitySpec) -> str | None:
    """Why a mapping's conflicts cannot be decided at a vendor that knows no times; None when they can."""
    if not spec.counted or mapping.direction is not Direction.BIDIRECTIONAL:
        return None
    named = [f.local or "" for f in mapping.fields if f.conflict is FieldConflict.NEWEST_WINS]
    if mapping.conflict.value != FieldConflict.NEWEST_WINS.value and not named:
        return None
    where = f"conflict of the field {named[0]}" if named else "conflict"
    return (
        f"{where} is newest_wins, and {mapping.system} does not say when a {mapping.entity} was changed. "
        "Say who wins: remote_wins, local_wins, or manual."
    )


def _window(run: SyncRun, connector: Connector) -> Window:
    if run.kind == "backfill" or (run.window.since is not None and not run.reads_on):
        raise ConfigError(
            f"{connector.spec.title} counts its changes and does not say when they were made: no span of time can be "
            f"asked of it. Sync {run.entity} without dates, which reads what is new, or with full."
        )
    since = run.window.since
    if run.cursor_before is not None and since == run.cursor_before - run.overlap:
        since = run.cursor_before + STEP
    return Window(since, None)
