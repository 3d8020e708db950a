"""How a run finds out what the vendor deleted: from its list, from what a full read no longer meets, or by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

import structlog

from erpflow.connectors.base import Connector
from erpflow.errors import ConfigError
from erpflow.mapping.model import Mapping
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.landing import Seen
from erpflow.vocabulary import Deletes, FindDeletes

log = structlog.get_logger(__name__)


class Finding(StrEnum):
    """The ways of finding deletes.

    `feed`: the vendor lists them. `sweep`: what a full read does not meet is gone. `named`: what was asked for by name
    and did not come is gone. `not`: this run does not look.
    """

    NOT = "not"
    FEED = "feed"
    SWEEP = "sweep"
    NAMED = "named"


def finding_of(run: SyncRun, mapping: Mapping, connector: type[Connector]) -> Finding:
    """How a run finds deletes. Raises ConfigError when the mapping asks for a list that the vendor does not have."""
    deletes, spec = mapping.deletes, connector.spec.entities.get(run.entity)
    if deletes.pull is Deletes.IGNORE or spec is None or run.kind == "backfill":
        return Finding.NOT
    if run.kind == "records":
        return Finding.NAMED
    if deletes.find is FindDeletes.FEED and not spec.deleted_feed:
        raise ConfigError(
            f"deletes.find of {mapping.system}/{mapping.entity}: {connector.spec.title} has no list of deleted "
            f"{run.entity} records. Use sweep: a full read then finds what is gone."
        )
    if spec.deleted_feed and deletes.find is not FindDeletes.SWEEP:
        return Finding.FEED if run.reads_on else Finding.NOT
    is_whole = run.kind == "full" and run.window.since is None and run.window.until is None
    return Finding.SWEEP if is_whole else Finding.NOT


def whole_reads(seen: Iterable[Seen]) -> Iterator[list[str]]:
    """The ids of a full read. Raises ConfigError when a record had none: then what is missing cannot be told."""
    for batch in seen:
        if not batch.whole:
            raise ConfigError(
                "A record of this full read has no key, so what the vendor deleted cannot be told from what is "
                "missing. See the rejects of the run, and correct remote.key of the mapping or the record."
            )
        yield batch.ids
