"""Extract: the vendor's pages into the landing area, resumable page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import structlog

from erpflow.connectors.base import Connector
from erpflow.errors import ConfigError, suggestion
from erpflow.store.sync_logs import SyncRun
from erpflow.sync.landing import Extracted, LandedPage, Landing

log = structlog.get_logger(__name__)

OnPage = Callable[[int, int], None]
"""Told after each page: pages and records landed so far."""


def _nothing(_pages: int, _records: int) -> None:
    return None


def stream_pages(
    run: SyncRun, connector: Connector, landing: Landing, *, on_page: OnPage = _nothing
) -> Iterator[LandedPage]:
    """The pages of a run: those that landed in an earlier try from the landing area, the rest as they land."""
    landed, _, _ = landing.resume_point()
    for number in range(1, landed + 1):
        yield landing.page(number)
    yield from _land(run, connector, landing, on_page=on_page)


def extract(run: SyncRun, connector: Connector, landing: Landing, *, on_page: OnPage = _nothing) -> Extracted:
    """Land every page. Raises what `Connector.read` raises; what has landed stays, and the next try goes on."""
    for _ in _land(run, connector, landing, on_page=on_page):
        pass
    return landing.extracted() or Extracted(pages=0, records=0)


def _land(run: SyncRun, connector: Connector, landing: Landing, *, on_page: OnPage) -> Iterator[LandedPage]:
    """Ask the vendor for the pages that have not landed yet."""
    known = connector.spec.entities
    if run.entity not in known:
        raise ConfigError(f'{connector.spec.title} has no entity "{run.entity}"{suggestion(run.entity, known)}')
    if landing.extracted() is not None:
        return
    pages, records, token = landing.resume_point()
    if pages:
        log.info("extract_resumed", sync_log=run.log_id, pages=pages, records=records)
    if not pages or token is not None:
        for page in connector.read(run.entity, run.window, resume=token):
            pages, records = pages + 1, records + page.count
            landing.land(pages, page)
            on_page(pages, records)
            yield LandedPage(pages, page.raw, page.zone)
    landing.finish(Extracted(pages=pages, records=records))
    log.info("extract_finished", sync_log=run.log_id, pages=pages, records=records)
