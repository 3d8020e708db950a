"""Numbers for Prometheus, read when they are asked for. Source: the Prometheus text exposition format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from erpflow.api.callers import Looking
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.surroundings import surroundings_of
from erpflow.store import dashboard as store
from erpflow.store.dashboard import LimiterState, SyncState, WebhookState

router = APIRouter(tags=["metrics"], route_class=IdempotentRoute)

SYNC = ("system", "connection", "entity")
CONNECTION = ("system", "connection")


class Numbers(Collector):
    """The numbers of one moment. Labels are of what a person configured, never of a record: there are few of them."""

    def __init__(
        self, syncs: Sequence[SyncState], webhooks: Sequence[WebhookState], limiters: Sequence[LimiterState]
    ) -> None:
        self.syncs = syncs
        self.webhooks = webhooks
        self.limiters = limiters

    def collect(self) -> Iterator[Metric]:
        """Every metric with a sample for each sync or connection that has the number."""
        yield from self._freshness()
        yield from self._runs()
        yield from self._last_runs()
        yield from self._open()
        yield from self._webhooks()
        yield from self._limiters()

    def _freshness(self) -> Iterator[Metric]:
        yield _of_syncs(
            "erpflow_sync_freshness_lag_seconds",
            "Seconds since the vendor was last read by a run that did not fail; absent: never",
            [(sync, sync.lag_s) for sync in self.syncs],
        )
        yield _of_syncs(
            "erpflow_sync_every_seconds", "How often the sync is due", [(sync, sync.every_s) for sync in self.syncs]
        )
        yield _of_syncs(
            "erpflow_sync_active",
            "1 when the sync and its connection are switched on",
            [(sync, float(sync.active)) for sync in self.syncs],
        )

    def _runs(self) -> Iterator[Metric]:
        runs = GaugeMetricFamily(
            "erpflow_sync_runs", "Runs that began in the last 24 hours, by status", labels=(*SYNC, "status")
        )
        ratio = GaugeMetricFamily(
            "erpflow_sync_success_ratio",
            "Which part of the runs that ended did not fail; absent: none ended",
            labels=(*SYNC, "window"),
        )
        for sync in self.syncs:
            of_day = {"completed": sync.completed_day, "partial": sync.partial_day, "failed": sync.failed_day}
            of_week = {"completed": sync.completed_week, "partial": sync.partial_week, "failed": sync.failed_week}
            for status, number in {**of_day, "running": sync.running_day}.items():
                runs.add_metric((*_labels(sync), status), number)
            for window, numbers in (("24h", of_day), ("7d", of_week)):
                found = store.success_ratio(**numbers)
                if found is not None:
                    ratio.add_metric((*_labels(sync), window), found)
        yield runs
        yield ratio

    def _last_runs(self) -> Iterator[Metric]:
        yield _of_syncs(
            "erpflow_sync_last_run_rows_per_second",
            "Records that the newest ended run read per second",
            [(sync, sync.last_rows_per_s) for sync in self.syncs],
        )
        yield _of_syncs(
            "erpflow_sync_last_run_timestamp_seconds",
            "When the newest ended run ended",
            [(sync, sync.last_finished_at.timestamp() if sync.last_finished_at else None) for sync in self.syncs],
        )

    def _open(self) -> Iterator[Metric]:
        yield _of_syncs(
            "erpflow_rejects_open",
            "Records that could not be applied and are kept",
            [(sync, sync.open_rejects) for sync in self.syncs],
        )
        yield _of_syncs(
            "erpflow_conflicts_open",
            "Conflicts that wait for a person",
            [(sync, sync.open_conflicts) for sync in self.syncs],
        )

    def _webhooks(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            "erpflow_webhook_lag_seconds", "Age of the oldest event that is not processed yet", labels=CONNECTION
        )
        waiting = GaugeMetricFamily(
            "erpflow_webhook_events_waiting", "Events that are not processed yet", labels=CONNECTION
        )
        active = GaugeMetricFamily("erpflow_webhooks_active", "Webhooks that are switched on", labels=CONNECTION)
        for one in self.webhooks:
            labels = (one.system, one.connection)
            lag.add_metric(labels, one.lag_s or 0.0)
            waiting.add_metric(labels, one.waiting)
            active.add_metric(labels, one.active)
        yield from (lag, waiting, active)

    def _limiters(self) -> Iterator[Metric]:
        pause = GaugeMetricFamily(
            "erpflow_limiter_pause_seconds",
            "How long the vendor is still not asked, since it said so",
            labels=CONNECTION,
        )
        wait = GaugeMetricFamily(
            "erpflow_limiter_wait_seconds",
            "How far ahead the last slot of the vendor's limits is taken",
            labels=CONNECTION,
        )
        requests = CounterMetricFamily(
            "erpflow_limiter_requests",
            "Requests let through on the connection's account; absent where tenants share it",
            labels=CONNECTION,
        )
        for one in self.limiters:
            labels = (one.system, one.connection)
            pause.add_metric(labels, one.pause_s)
            wait.add_metric(labels, one.wait_s)
            if one.requests is not None:
                requests.add_metric(labels, one.requests)
        yield from (pause, wait, requests)


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(request: Request, caller: Looking) -> Response:
    """The tenant's numbers as Prometheus scrapes them, with an API key that may look."""
    around = surroundings_of(request)
    with around.database.session(caller.tenant_id) as connection:
        syncs, webhooks = store.sync_states(connection), store.webhook_states(connection)
    with around.database.owner() as owner:
        limiters = store.limiter_states(owner, caller.tenant_id)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Numbers(syncs, webhooks, limiters))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _of_syncs(name: str, documentation: str, numbers: Sequence[tuple[SyncState, float | None]]) -> Metric:
    metric = GaugeMetricFamily(name, documentation, labels=SYNC)
    for sync, number in numbers:
        if number is not None:
            metric.add_metric(_labels(sync), number)
    return metric


def _labels(sync: SyncState) -> tuple[str, str, str]:
    return sync.system, sync.connection, sync.entity
