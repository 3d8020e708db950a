"""What people are told about, against a real Postgres: found set-based, told once, reminded, resolved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from erpflow.errors import NotificationFailed
from erpflow.services.notifications.causes import late_run
from erpflow.services.notifications.messages import Message
from erpflow.services.notifications.settings import NotificationSettings
from erpflow.services.notifications.tell import Channel, Telling, look_and_tell, tell_one
from erpflow.store import notifications as store
from erpflow.store.database import Database
from erpflow.store.health import configs_of, read_health
from erpflow.vocabulary import SyncConfigId, SyncLogId
from tests.engine import Shop, customer

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Inbox:
    """A channel that keeps what it is sent, or takes nothing while it is down."""

    name: str = "email"
    down: bool = False
    got: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        if self.down:
            raise NotificationFailed(f"{self.name} is down")
        self.got.append(message)

    def said(self) -> list[tuple[str, str]]:
        return [(message.saying.value, message.kind.value) for message in self.got]


@dataclass
class Office:
    """One company's syncs, the people who are told, and a clock that the test turns."""

    shop: Shop
    inboxes: list[Inbox]
    now: datetime = NOW
    settings: NotificationSettings = field(default_factory=NotificationSettings)

    def look(
        self,
        *,
        after: timedelta = MINUTE,
        only: Iterable[SyncConfigId] | None = None,
        looking: str | None = None,
    ) -> Telling:
        self.now += after
        return look_and_tell(
            self.shop.database,
            settings=self.settings,
            channels=lambda _tenant: [Channel(inbox.name, inbox.send) for inbox in self.inboxes],
            base_url="http://airflow.example",
            only=None if only is None else list(only),
            looking=looking,
            now=self.now,
        )

    def log(self, status: str = "completed", *, ago: timedelta = MINUTE, entity: str = "customer", **more: Any) -> str:
        """A sync log that ended `ago`; `more` are columns."""
        columns = {"kind": "incremental", "started_at": self.now - ago, "finished_at": self.now - ago} | more
        if status == "running":
            columns["finished_at"] = None
        names = ", ".join(columns)
        holes = ", ".join(f"%({name})s" for name in columns)
        [(log,)] = self.shop.rows_of(
            f"INSERT INTO erpflow.erp_sync_logs (tenant_id, sync_config_id, status, {names})"
            f" SELECT tenant_id, id, %(status)s, {holes} FROM erpflow.erp_sync_configs WHERE entity = %(entity)s"
            " RETURNING id::text",
            {"status": status, "entity": entity, **columns},
        )
        return str(log)

    def reject(self, number: int = 1, *, ago: timedelta = HOUR, problems: str = '[{"field": "email"}]') -> None:
        self.shop.rows_of(
            "INSERT INTO erpflow.erp_rejects (tenant_id, sync_config_id, remote_id, payload, problems, stage,"
            " first_seen_at, last_seen_at) SELECT tenant_id, id, 'R' || %(at)s::text || n, 'secret payload',"
            " %(problems)s::jsonb, 'transform', %(at)s, %(at)s"
            " FROM erpflow.erp_sync_configs, generate_series(1, %(number)s) n WHERE entity = 'customer' RETURNING id",
            {"at": self.now - ago, "number": number, "problems": problems},
        )

    def conflict(self, kind: str = "both_updated", *, remote_id: str = "C1") -> None:
        self.shop.rows_of(
            "INSERT INTO erpflow.erp_conflicts (tenant_id, sync_config_id, remote_id, kind, strategy, detected_at)"
            " SELECT tenant_id, id, %(id)s, %(kind)s, 'manual', %(at)s FROM erpflow.erp_sync_configs"
            " WHERE entity = 'customer' RETURNING id",
            {"id": remote_id, "kind": kind, "at": self.now},
        )

    def config(self, entity: str = "customer") -> SyncConfigId:
        [(found,)] = self.shop.rows("SELECT id::text FROM erpflow.erp_sync_configs WHERE entity = %s", entity)
        return SyncConfigId(found)

    def rows(self) -> list[tuple[Any, ...]]:
        return self.shop.rows(
            "SELECT kind, times, resolved_at IS NULL FROM erpflow.erp_notifications ORDER BY first_at, cause"
        )


@pytest.fixture
def office(fresh_database: Database, tmp_path: Path) -> Office:
    """Two syncs, due every hour, that worked ten minutes ago, and one inbox."""
    office = Office(Shop(fresh_database, tmp_path), [Inbox()])
    office.shop.do("UPDATE erpflow.erp_sync_configs SET updated_at = '2026-01-01T00:00Z'")
    office.shop.do("UPDATE erpflow.erp_connections SET secret_rotated_at = '2100-01-01T00:00Z'")
    for entity in ("customer", "order"):
        office.log(entity=entity, ago=10 * MINUTE)
    return office


def test_where_all_is_well_nobody_hears_anything(office: Office) -> None:
    assert office.look() == Telling()
    assert office.rows() == []


def test_a_failed_sync_is_told_once_and_its_end_once(office: Office) -> None:
    log = office.log("failed", error_kind="AuthFailed", error="no", dag_id="shop__customer", dag_run_id="manual__1+0")
    for _ in range(3):
        office.look()
    [message] = office.inboxes[0].got
    assert message.subject == "[erpflow] shop customer failed: AuthFailed"
    assert "put them into the Airflow Connection" in message.next_step
    assert [link.url for link in message.links] == [
        f"http://airflow.example/api/erp/sync-logs/{log}",
        "http://airflow.example/dags/shop__customer/runs/manual__1%2B0",
    ]
    office.log("completed")
    for _ in range(3):
        office.look()
    assert office.inboxes[0].said() == [("new", "failed"), ("resolved", "failed")]
    assert office.rows() == [("failed", 2, False)]


def test_many_runs_that_fail_alike_are_one_cause_and_count_up(office: Office) -> None:
    for minute in range(5, 0, -1):
        office.log("failed", ago=minute * MINUTE * 0.1, error_kind="VendorUnavailable", error="away")
    office.look()
    [message] = office.inboxes[0].got
    assert message.counts == {"failures": 5}
    assert "It has failed 5 times in a row" in message.what


def test_another_error_is_another_cause(office: Office) -> None:
    office.log("failed", error_kind="VendorUnavailable", error="away")
    office.look()
    office.log("failed", ago=timedelta(0), error_kind="AuthFailed", error="no")
    office.look()
    assert sorted(office.inboxes[0].said()[1:]) == [("new", "failed"), ("resolved", "failed")]
    ended = next(message for message in office.inboxes[0].got if message.saying == "resolved")
    assert "It fails with AuthFailed now" in ended.what


def test_what_lasts_is_told_again_after_a_day_and_not_before(office: Office) -> None:
    office.log("failed", error_kind="AuthFailed", error="no")
    office.look()
    office.settings = NotificationSettings(stale_after_intervals=1000)
    office.look(after=DAY - MINUTE)
    assert office.inboxes[0].said() == [("new", "failed")]
    office.look()
    assert office.inboxes[0].said() == [("new", "failed"), ("reminder", "failed")]
    assert "Still: " in office.inboxes[0].got[1].subject
    office.look()
    assert len(office.inboxes[0].got) == 2


def test_what_comes_back_after_it_was_over_is_told_anew(office: Office) -> None:
    for _ in range(2):
        office.log("failed", ago=timedelta(0), error_kind="AuthFailed", error="no")
        office.look()
        office.log(ago=timedelta(0))
        office.look()
    assert office.inboxes[0].said() == [("new", "failed"), ("resolved", "failed")] * 2


def test_refused_records_last_until_none_is_open_and_tell_field_and_rule_never_a_value(office: Office) -> None:
    problems = '[{"field": "items[3].sku", "rule": "required", "message": "X-9: secret", "value": "secret"}]'
    office.reject(2, problems=problems)
    office.reject(1, ago=2 * HOUR, problems='[{"field": "email", "rule": "pattern", "message": "a@secret"}]')
    office.log("partial", ago=timedelta(0), read_count=10, unchanged_count=7, rejected_count=3)
    office.look()
    [message] = office.inboxes[0].got
    assert message.subject == "[erpflow] shop customer: 3 records refused"
    assert message.reasons == ("items[].sku: required (2 records)", "email: pattern (1 record)")
    assert message.counts == {"refused": 3, "read_by_the_last_sync": 10, "refused_by_the_last_sync": 3}
    assert message.since == office.now - MINUTE - 2 * HOUR
    assert "secret" not in message.text() + message.html() + str(message.json())

    office.log(ago=timedelta(0))  # it happened to read none of them
    office.look()
    assert len(office.inboxes[0].got) == 1
    office.shop.do("UPDATE erpflow.erp_rejects SET status = 'resolved', resolved_at = now()")
    office.look()
    assert office.inboxes[0].said() == [("new", "partial"), ("resolved", "partial")]


def test_refused_records_that_grow_are_a_cause_of_their_own(office: Office) -> None:
    office.reject(150, ago=2 * DAY)
    office.reject(99)
    office.look()
    assert office.inboxes[0].said() == [("new", "partial")]
    office.reject(1, ago=MINUTE)
    office.look()
    assert office.inboxes[0].said() == [("new", "partial"), ("new", "rejects")]
    assert office.inboxes[0].got[1].counts == {"newly_refused": 100, "refused": 250}


@pytest.mark.parametrize(
    ("every", "age", "stale"),
    [
        ("1 hour", 3 * HOUR - MINUTE, False),
        ("1 hour", 3 * HOUR + MINUTE, True),
        ("1 minute", 14 * MINUTE, False),
        ("1 minute", 16 * MINUTE, True),
    ],
)
def test_a_sync_is_stale_after_three_intervals_and_a_quarter_of_an_hour_at_least(
    office: Office, every: str, age: timedelta, stale: bool
) -> None:
    office.shop.do(f"UPDATE erpflow.erp_sync_configs SET every = '{every}' WHERE entity = 'customer'")
    office.shop.do("UPDATE erpflow.erp_sync_configs SET enabled = false WHERE entity = 'order'")
    office.look(after=age - 10 * MINUTE)
    assert office.inboxes[0].said() == ([("new", "stale")] if stale else [])


def test_a_sync_that_never_worked_is_stale_since_it_was_configured(office: Office) -> None:
    office.shop.do("DELETE FROM erpflow.erp_sync_logs")
    office.shop.do("UPDATE erpflow.erp_sync_configs SET updated_at = '2026-06-01T11:50Z' WHERE entity = 'customer'")
    office.look()
    assert [message.entity for message in office.inboxes[0].got] == ["order"]
    assert "No sync has worked since it was configured" in office.inboxes[0].got[0].what


@pytest.mark.parametrize(
    "more",
    [
        {"dry_run": True},
        {"kind": "backfill"},
        {"kind": "records"},
    ],
)
def test_a_dry_run_a_backfill_and_single_records_neither_fail_nor_freshen_a_sync(
    office: Office, more: dict[str, Any]
) -> None:
    office.log("failed", ago=timedelta(0), error_kind="AuthFailed", error="no", **more)
    office.look()
    assert office.inboxes[0].got == []
    office.now += 4 * HOUR
    office.log(ago=timedelta(0), **more)
    office.look()
    assert {(message.kind, message.entity) for message in office.inboxes[0].got} >= {("stale", "customer")}


def test_a_run_that_goes_on_changes_nothing(office: Office) -> None:
    office.log("failed", error_kind="AuthFailed", error="no")
    office.look()
    office.log("running", ago=timedelta(0))
    office.look()
    assert office.inboxes[0].said() == [("new", "failed")]


def test_open_conflicts_are_one_cause_whatever_their_number(office: Office) -> None:
    office.conflict(remote_id="C1")
    office.look()
    office.conflict("both_created", remote_id="C2")
    office.look()
    assert office.inboxes[0].said() == [("new", "conflicts")]
    [(details,)] = office.shop.rows("SELECT details FROM erpflow.erp_notifications")
    assert details["reasons"] == ["both created: 1 record", "both updated: 1 record"]
    office.shop.do("UPDATE erpflow.erp_conflicts SET status = 'resolved', resolved_at = now()")
    office.look()
    assert office.inboxes[0].said() == [("new", "conflicts"), ("resolved", "conflicts")]


def test_deletes_that_wait_are_told_until_somebody_settles_them(office: Office) -> None:
    log = office.log(deletes_waiting=40, dag_id="shop__customer", dag_run_id="r", ago=2 * MINUTE)
    office.log(ago=MINUTE)  # a later run that found none does not settle them
    office.look()
    [message] = office.inboxes[0].got
    assert message.subject == "[erpflow] shop customer: 40 deletes wait for approval"
    assert message.links[0].url.endswith(log)
    office.shop.do("UPDATE erpflow.erp_sync_logs SET deletes_waiting = 0")
    office.look()
    assert office.inboxes[0].said() == [("new", "deletes"), ("resolved", "deletes")]


@pytest.mark.parametrize(
    "switch",
    [
        "UPDATE erpflow.erp_sync_configs SET enabled = false",
        "UPDATE erpflow.erp_connections SET status = 'disabled'",
    ],
)
def test_a_sync_that_is_switched_off_troubles_nobody_any_more(office: Office, switch: str) -> None:
    office.log("failed", error_kind="AuthFailed", error="no")
    office.look()
    office.shop.do(switch)
    office.look()
    assert office.inboxes[0].got[-1].what == "The sync or its connection was switched off."
    office.look(after=10 * DAY)
    assert len(office.inboxes[0].got) == 2


def test_a_deleted_connection_takes_its_notifications_along(office: Office) -> None:
    office.log("failed", error_kind="AuthFailed", error="no")
    office.look()
    office.shop.do("DELETE FROM erpflow.erp_connections")
    office.look()
    assert office.rows() == []
    assert len(office.inboxes[0].got) == 1


def test_a_channel_that_is_down_gets_the_message_later_and_the_others_get_it_once(office: Office) -> None:
    office.inboxes.append(Inbox("webhook", down=True))
    office.log("failed", error_kind="AuthFailed", error="no")
    told = office.look()
    assert (told.sent, told.failed) == (1, ["webhook: webhook is down"])
    office.look()
    office.inboxes[1].down = False
    office.look()
    assert [inbox.said() for inbox in office.inboxes] == [[("new", "failed")]] * 2


def test_who_was_never_told_is_not_told_that_it_is_over(office: Office) -> None:
    office.inboxes.append(Inbox("webhook", down=True))
    office.log("failed", error_kind="AuthFailed", error="no")
    office.look()
    office.log(ago=timedelta(0))
    office.inboxes[1].down = False
    office.look()
    assert [inbox.said() for inbox in office.inboxes] == [[("new", "failed"), ("resolved", "failed")], []]


def test_what_comes_back_before_its_end_was_told_goes_on_as_if_it_had_never_ended(office: Office) -> None:
    office.log("failed", ago=timedelta(0), error_kind="AuthFailed", error="no")
    office.look()
    office.inboxes[0].down = True
    office.log(ago=timedelta(0))
    office.look()
    office.inboxes[0].down = False
    office.log("failed", ago=timedelta(0), error_kind="AuthFailed", error="no")
    office.look()
    assert office.inboxes[0].said() == [("new", "failed")]


def test_without_a_channel_causes_are_kept_and_told_once_there_is_one(office: Office) -> None:
    inboxes, office.inboxes = office.inboxes, []
    office.log("failed", error_kind="AuthFailed", error="no")
    assert office.look() == Telling(open=1, unheard=1)
    office.inboxes = inboxes
    office.look()
    assert office.inboxes[0].said() == [("new", "failed")]


def test_a_kill_between_sending_and_marking_tells_twice_and_never_not_at_all(office: Office) -> None:
    class Killed(BaseException):
        pass

    def send_and_die(message: Message) -> None:
        inbox.got.append(message)
        raise Killed

    [inbox] = office.inboxes
    inbox.send = send_and_die  # type: ignore[method-assign]
    office.log("failed", error_kind="AuthFailed", error="no")
    with pytest.raises(Killed):
        office.look()
    del inbox.send  # type: ignore[attr-defined]
    office.look()
    assert inbox.said() == [("new", "failed")] * 2
    office.look()
    assert len(inbox.got) == 2


def test_two_who_look_at_once_tell_once(office: Office) -> None:
    office.log("failed", error_kind="AuthFailed", error="no")
    [inbox] = office.inboxes
    other = Inbox()

    def send_while_somebody_else_looks(message: Message) -> None:
        inbox.got.append(message)
        office.inboxes = [other]
        office.look(after=timedelta(seconds=1))

    inbox.send = send_while_somebody_else_looks  # type: ignore[method-assign]
    office.look()
    office.look()
    assert len(inbox.got) + len(other.got) == 1


def test_a_claim_of_a_process_that_died_does_not_hold_for_ever(office: Office) -> None:
    office.log("failed", error_kind="AuthFailed", error="no")
    inboxes, office.inboxes = office.inboxes, []
    office.look()
    office.inboxes = inboxes
    office.shop.do("UPDATE erpflow.erp_notifications SET claimed_at = clock_timestamp() - interval '4 minutes'")
    assert office.look().sent == 0
    office.shop.do("UPDATE erpflow.erp_notifications SET claimed_at = clock_timestamp() - interval '6 minutes'")
    assert office.look().sent == 1


def test_an_older_look_undoes_nothing_that_a_newer_one_has_seen(office: Office) -> None:
    with office.shop.database.session() as connection:
        older = office.now
        office.log("failed", error_kind="AuthFailed", error="no")
        office.look()
        store.observe(connection, [], now=older)  # saw the time before it failed
        assert office.rows() == [("failed", 1, True)]
        [seen] = store.unsettled(connection)
        office.log(ago=timedelta(0))
        office.look()
        stale = store.Cause(
            key=seen.cause,
            tenant_id=seen.tenant_id,
            config_id=seen.config_id,
            kind=seen.kind,
            subject=seen.subject,
            since=older,
            details=seen.details,
        )
        store.observe(connection, [stale], now=office.now - timedelta(seconds=1))  # saw the time before it worked
    assert office.rows() == [("failed", 2, False)]


def test_a_look_right_after_a_run_touches_only_the_syncs_of_that_run(office: Office) -> None:
    log = office.log("failed", error_kind="AuthFailed", error="no")
    office.log("failed", entity="order", error_kind="ConfigError", error="line 3")
    with office.shop.database.session() as connection:
        only = configs_of(connection, [SyncLogId(log)])
    assert only == [office.config()]
    office.look(only=only)
    assert [message.entity for message in office.inboxes[0].got] == ["customer"]
    office.look()
    assert [message.entity for message in office.inboxes[0].got] == ["customer", "order"]
    office.log(ago=timedelta(0))
    office.look(only=only)
    assert sorted(office.rows()) == [("failed", 1, True), ("failed", 2, False)]


def test_a_late_run_is_over_when_a_sync_of_its_dag_has_ended_since(office: Office) -> None:
    inbox = office.inboxes[0]

    def late() -> Telling:
        cause = late_run(dag_id="shop__customer", dag_run_id="r1", queued_at=NOW, within=HOUR, now=NOW + 2 * HOUR)
        return tell_one(
            office.shop.database,
            cause,
            settings=office.settings,
            channels=lambda _: [Channel("email", inbox.send)],
            base_url=None,
        )

    late()
    late()
    assert inbox.said() == [("new", "late")]
    [(seen_at,)] = office.shop.rows("SELECT last_at FROM erpflow.erp_notifications")
    office.now = seen_at
    office.settings = NotificationSettings(stale_after_intervals=1e6)
    office.look()
    assert inbox.said() == [("new", "late")]
    office.log(dag_id="shop__customer", dag_run_id="r1", ago=timedelta(seconds=1))
    office.look()
    assert inbox.said() == [("new", "late"), ("resolved", "late")]


def test_the_dag_that_looks_is_not_late_any_more(office: Office) -> None:
    cause = late_run(dag_id="erpflow__watch", dag_run_id="r1", queued_at=NOW - 2 * HOUR, within=HOUR, now=NOW)
    with office.shop.database.session() as connection:
        store.note(connection, cause, now=NOW)
    office.look()
    assert office.rows() == [("late", 1, True)]
    office.look(looking="erpflow__watch")
    assert office.inboxes[0].said() == [("new", "late"), ("resolved", "late")]


def test_each_tenant_is_told_of_its_own_syncs_only(office: Office, tmp_path: Path) -> None:
    office.shop.do("INSERT INTO erpflow.erp_tenants (name, slug) VALUES ('Acme', 'acme')")
    office.shop.do(
        "UPDATE erpflow.erp_sync_configs SET tenant_id = (SELECT id FROM erpflow.erp_tenants WHERE slug = 'acme')"
        " WHERE entity = 'order'"
    )
    office.log("failed", error_kind="AuthFailed", error="no")
    office.log("failed", entity="order", error_kind="AuthFailed", error="no")
    inboxes = {"default": Inbox(), "acme": Inbox()}
    look_and_tell(
        office.shop.database,
        settings=office.settings,
        channels=lambda tenant: [Channel("email", inboxes[tenant].send)],
        base_url=None,
        now=office.now,
    )
    assert {tenant: [message.entity for message in inbox.got] for tenant, inbox in inboxes.items()} == {
        "default": ["customer"],
        "acme": ["order"],
    }
    assert inboxes["acme"].got[0].subject == "[erpflow acme] shop order failed: AuthFailed"


def test_the_health_of_many_syncs_is_one_statement(office: Office) -> None:
    with office.shop.database.session() as connection:
        statements = []
        execute = connection.execute

        def counted(*words: Any, **more: Any) -> Any:
            statements.append(words[0])
            return execute(*words, **more)

        connection.execute = counted  # type: ignore[method-assign, assignment]
        assert len(read_health(connection, now=office.now)) == 2
    assert len(statements) == 1


def test_a_sync_leaves_the_moment_its_config_was_changed_alone(office: Office) -> None:
    """What is stale is counted from there where nothing has worked yet: a run that fails must not move it."""
    before = office.shop.rows("SELECT updated_at FROM erpflow.erp_sync_configs ORDER BY entity")
    office.shop.sync([customer(1)])
    assert office.shop.rows("SELECT updated_at FROM erpflow.erp_sync_configs ORDER BY entity") == before
