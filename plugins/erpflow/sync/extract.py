"""Extract: the vendor's pages into the landing area, resumable page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import structlog

from erpflow.connectors.base import Connector, Page, PageToken, SupportsDeletedFeed, SupportsWrites
from erpflow.errors import ConfigError, suggestion
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.counted import read_counted
from erpflow.sync.landing import Extracted, LandedPage, Landing
from erpflow.vocabulary import RemoteId, Window

log = structlog.get_logger(__name__)

OnPage = Callable[[int, int], None]
"""Told after each page: pages and records landed so far."""

Read = Callable[[PageToken | None], Iterator[Page]]
"""The vendor's pages from a token on (None: from the first)."""


def _nothing(_pages: int, _records: int) -> None:
    return None


def reader(run: SyncRun, connector: Connector) -> Read:
    """How the records of a run are read: those of its window, or those it names.

    Raises ConfigError for an entity the vendor does not have, and for named records where none can be asked for.
    """
    known = connector.spec.entities
    if run.entity not in known:
        raise ConfigError(f'{connector.spec.title} has no entity "{run.entity}"{suggestion(run.entity, known)}')
    if run.kind in ("retry", "replay"):
        return lambda _token: iter(())  # what they read has landed already
    if run.kind != "records" and known[run.entity].counted:
        return lambda token: read_counted(run, connector, token)
    if run.kind != "records":
        return lambda token: connector.read(run.entity, run.window, resume=token)
    if not isinstance(connector, SupportsWrites):
        raise ConfigError(f"{connector.spec.title} cannot be asked for single records. Sync a span of time instead.")
    size = known[run.entity].page_size
    batches = [run.record_ids[start : start + size] for start in range(0, len(run.record_ids), size)]
    return lambda token: _named(connector, run.entity, batches, int(token or 0))


def _named(connector: SupportsWrites, entity: str, batches: Sequence[Sequence[str]], start: int) -> Iterator[Page]:
    for number in range(start, len(batches)):
        page = connector.read_many(entity, [RemoteId(remote_id) for remote_id in batches[number]])
        following = PageToken(str(number + 1)) if number + 1 < len(batches) else None
        yield Page(page.raw, page.count, following, zone=page.zone, server_time=page.server_time)


def deletes_since(run: SyncRun) -> datetime:
    """Where a run's reading of deletes begins, less the overlap: behind the last ones that were applied, or its cursor.

    Before a first load there is nothing to delete.
    """
    return run.deletes_cursor_at or run.cursor_before or run.started_at


def deletes_reader(run: SyncRun, connector: SupportsDeletedFeed) -> Read:
    """The vendor's list of deletes since the last ones that were applied."""
    window = Window(deletes_since(run) - run.overlap, run.window.until)
    return lambda token: connector.read_deleted(run.entity, window, resume=token)


def stream_pages(read: Read, landing: Landing, *, log_id: str, on_page: OnPage = _nothing) -> Iterator[LandedPage]:
    """The pages of a run: those that landed in an earlier try from the landing area, the rest as they land."""
    landed, _, _ = landing.resume_point()
    for number in range(1, landed + 1):
        yield landing.page(number)
    yield from _land(read, landing, log_id=log_id, on_page=on_page)


def extract(read: Read, landing: Landing, *, log_id: str, on_page: OnPage = _nothing) -> Extracted:
    """Land every page. Raises what `Connector.read` raises; what has landed stays, and the next try goes on."""
    for _ in _land(read, landing, log_id=log_id, on_page=on_page):
        pass
    return landing.extracted() or Extracted(pages=0, records=0)


def _land(read: Read, landing: Landing, *, log_id: str, on_page: OnPage) -> Iterator[LandedPage]:
    """Ask the vendor for the pages that have not landed yet."""
    if landing.extracted() is not None:
        return
    pages, records, token = landing.resume_point()
    if pages:
        log.info("extract_resumed", sync_log=log_id, pages=pages, records=records)
    if not pages or token is not None:
        for page in read(token):
            pages, records = pages + 1, records + page.count
            landing.land(pages, page)
            on_page(pages, records)
            yield LandedPage(pages, page.raw, page.zone, page.server_time, page.reached)
    landing.finish(Extracted(pages=pages, records=records))
    log.info("extract_finished", sync_log=log_id, pages=pages, records=records)
