"""What people are told, in words: from how a sync is doing to a subject, a text, a page and a JSON body."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erpflow import errors
from erpflow.services.notifications.causes import causes_of, late_run
from erpflow.services.notifications.messages import Message, Saying, compose
from erpflow.services.notifications.settings import NotificationSettings
from erpflow.services.notifications.tell import due
from erpflow.services.notifications.wording import ADVICE, LONGEST_QUOTE, quote, span
from erpflow.store.health import (
    Failures,
    LastRun,
    OpenConflicts,
    OpenRejects,
    Reason,
    SyncHealth,
    WaitingDeletes,
)
from erpflow.store.notifications import Cause, Details, Notification, NotificationId
from erpflow.vocabulary import DEFAULT_TENANT, CauseKind, SyncConfigId, SyncLogId, SyncStatus, TenantId

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTINGS = NotificationSettings()

HEALTHY = SyncHealth(
    config_id=SyncConfigId("config"),
    tenant_id=TenantId("tenant"),
    tenant="default",
    connection="main-site",
    system="erpnext",
    entity="customer",
    active=True,
    every=timedelta(minutes=30),
    configured_at=NOW - 100 * HOUR,
    synced_at=NOW - HOUR / 2,
)


def ended(status: SyncStatus, **more: Any) -> LastRun:
    facts: dict[str, Any] = {"error": None, "error_kind": None, "read": 0, "rejected": 0} | more
    return LastRun(
        log_id=SyncLogId("log"),
        status=status,
        dag_id="erpnext__customer",
        dag_run_id="scheduled__2026",
        finished_at=NOW - HOUR / 4,
        **facts,
    )


def failed(kind: str = "AuthFailed", error: str = "no") -> SyncHealth:
    return replace(
        HEALTHY,
        last=ended(SyncStatus.FAILED, error_kind=kind, error=error),
        failures=Failures(3, NOW - HOUR),
    )


EVERYTHING_WRONG = replace(
    failed(),
    synced_at=NOW - 10 * HOUR,
    rejects=OpenRejects(500, 400, NOW - 9 * HOUR, (Reason("email", "pattern", 480), Reason("", "json", 20))),
    conflicts=OpenConflicts(1, NOW - HOUR, {"both_updated": 1}),
    deletes=WaitingDeletes(40, NOW - HOUR, SyncLogId("other"), "erpnext__customer", "r"),
)


def only_cause(health: SyncHealth, kind: CauseKind) -> Cause:
    return next(cause for cause in causes_of([health], now=NOW, settings=SETTINGS) if cause.kind is kind)


def notification(cause: Cause, **more: Any) -> Notification:
    facts: dict[str, Any] = {"told": {}, "times": 0, "resolved_at": None} | more
    return Notification(
        id=NotificationId("id"),
        tenant_id=cause.tenant_id,
        tenant="default",
        config_id=cause.config_id,
        cause=cause.key,
        kind=cause.kind,
        subject=cause.subject,
        details=cause.details,
        first_at=cause.since,
        last_at=NOW,
        **facts,
    )


def message(cause: Cause, saying: Saying = Saying.NEW, **more: Any) -> Message:
    return compose(notification(cause, **more), saying, health=None, base_url="https://airflow.example/", now=NOW)


def test_a_healthy_sync_has_no_cause() -> None:
    assert causes_of([HEALTHY], now=NOW, settings=SETTINGS) == []
    assert causes_of([replace(HEALTHY, last=ended(SyncStatus.COMPLETED))], now=NOW, settings=SETTINGS) == []


def test_a_sync_that_is_switched_off_has_no_cause_however_bad_it_is() -> None:
    assert causes_of([replace(EVERYTHING_WRONG, active=False)], now=NOW, settings=SETTINGS) == []


def test_a_sync_has_at_most_one_cause_of_each_kind_with_a_key_of_its_own() -> None:
    found = causes_of([EVERYTHING_WRONG], now=NOW, settings=SETTINGS)
    assert {cause.kind for cause in found} == set(CauseKind) - {CauseKind.LATE, CauseKind.ROTATION, CauseKind.WAITING}
    assert len(found) == len({cause.key for cause in found}) == 6
    assert only_cause(EVERYTHING_WRONG, CauseKind.FAILED).key == "failed/config/AuthFailed"
    assert only_cause(EVERYTHING_WRONG, CauseKind.STALE).key == "stale/config"


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (CauseKind.FAILED, "[erpflow] main-site customer failed: AuthFailed"),
        (CauseKind.STALE, "[erpflow] main-site customer is stale: nothing for 10 h"),
        (CauseKind.PARTIAL, "[erpflow] main-site customer: 500 records refused"),
        (CauseKind.REJECTS, "[erpflow] main-site customer: 400 records newly refused within a day"),
        (CauseKind.CONFLICTS, "[erpflow] main-site customer: 1 conflict waits for a decision"),
        (CauseKind.DELETES, "[erpflow] main-site customer: 40 deletes wait for approval"),
    ],
)
def test_the_subject_says_which_sync_and_what(kind: CauseKind, subject: str) -> None:
    assert message(only_cause(EVERYTHING_WRONG, kind)).subject == subject


def test_a_message_says_what_since_when_how_many_why_and_what_next() -> None:
    assert message(only_cause(EVERYTHING_WRONG, CauseKind.PARTIAL)).text().splitlines() == [
        "500 records cannot be applied; everything else is. Each is kept whole, with why.",
        "Connection: main-site (erpnext)",
        "Entity: customer",
        "Since: 2026-06-01 03:00Z",
        "Refused: 500",
        "Reason: email: pattern (480 records)",
        "Reason: json (20 records)",
        "What to do: Mend them at the vendor or mend the mapping; the next sync that reads them closes them.",
        "Sync log: https://airflow.example/api/erp/sync-logs/log",
        "Airflow run: https://airflow.example/dags/erpnext__customer/runs/scheduled__2026",
    ]


def test_a_reminder_says_for_how_long_and_the_end_from_when_to_when() -> None:
    cause = only_cause(EVERYTHING_WRONG, CauseKind.CONFLICTS)
    reminder = message(cause, Saying.REMINDER)
    assert reminder.subject.startswith("[erpflow] Still: main-site customer")
    assert "It has lasted for 1 h." in reminder.what
    over = message(cause, Saying.RESOLVED, resolved_at=NOW)
    assert over.subject.startswith("[erpflow] Resolved: main-site customer")
    assert "From: 2026-06-01 11:00Z to 2026-06-01 12:00Z" in over.text()
    assert over.counts == {}


def test_a_message_of_a_tenant_names_it_and_the_only_tenant_is_not_named() -> None:
    cause = only_cause(EVERYTHING_WRONG, CauseKind.FAILED)
    theirs = compose(replace(notification(cause), tenant="acme"), Saying.NEW, health=None, base_url=None, now=NOW)
    assert theirs.subject.startswith("[erpflow acme] ")
    assert "Tenant: acme" in theirs.text()
    assert theirs.links == ()
    assert "Tenant" not in message(cause).text()


def test_a_late_run_is_about_a_dag_and_goes_to_those_who_run_the_installation() -> None:
    cause = late_run(dag_id="erpnext__order", dag_run_id="r", queued_at=NOW - 2 * HOUR, within=HOUR, now=NOW)
    assert (cause.key, cause.tenant_id, cause.since) == ("late/erpnext__order", DEFAULT_TENANT, NOW - HOUR)
    assert "queued 2 h ago" in cause.details.what


@pytest.mark.parametrize(
    "name", [name for name, kind in vars(errors).items() if isinstance(kind, type) and name in ADVICE] + ["Unfinished"]
)
def test_every_error_a_sync_can_end_with_has_advice(name: str) -> None:
    assert message(only_cause(failed(name), CauseKind.FAILED)).next_step == ADVICE[name]


def test_there_is_advice_for_every_error_of_the_family_that_ends_a_sync() -> None:
    family = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    elsewhere = {
        "ErpflowError", "RecordRejected", "StaleVersion", "SyncsFailed", "NotificationFailed", "SignatureInvalid",
        "PayloadInvalid", "DagPaused",
    }  # fmt: skip
    assert family - elsewhere == set(ADVICE) - {"Unfinished"}


def test_an_error_is_quoted_only_where_it_is_in_our_own_words() -> None:
    told = "include/mappings/erpnext/customer.yaml:12: fields[3].type: no such type"
    assert quote("ConfigError", told) == (told,)
    for kind in ("ProtocolError", "VendorUnavailable", "AuthFailed", "KeyError", None):
        assert quote(kind, 'It begins: {"tax_id": "SI12345678"}') == ()
    assert len(quote("ConfigError", "x" * 1000)[0]) == LONGEST_QUOTE
    assert "hunter2" not in str(quote("ConfigError", "GET https://erp.example.com/?password=hunter2 is wrong"))


def test_names_are_text_in_the_page_and_one_line_in_the_subject() -> None:
    hostile = replace(failed(), connection='<script>alert("x")</script>\r\nBcc: everybody@example.com {{ 7 * 7 }}')
    told = message(only_cause(hostile, CauseKind.FAILED))
    assert "<script>" not in told.html()
    assert "&lt;script&gt;" in told.html()
    assert "\n" not in told.subject
    assert "\r" not in told.subject


def test_a_program_gets_everything_and_a_chat_its_text() -> None:
    body = message(only_cause(failed(), CauseKind.FAILED)).json()
    assert body["text"].startswith("[erpflow] main-site customer failed: AuthFailed\n")
    assert (body["state"], body["kind"], body["cause"]) == ("new", "failed", "failed/config/AuthFailed")
    assert body["counts"] == {"failures": 3}
    assert set(body["links"]) == {"Sync log", "Airflow run"}


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=59), "under a minute"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=2, minutes=10), "2 h 10 min"),
        (timedelta(days=3, minutes=10), "3 d 10 min"),
        (timedelta(days=3, hours=4, minutes=10), "3 d 4 h"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(length: timedelta, words: str) -> None:
    assert span(length) == words


MOMENTS = st.integers(0, 100).map(lambda hours: NOW + hours * HOUR)
A_CAUSE = late_run(dag_id="d", dag_run_id="r", queued_at=NOW, within=HOUR, now=NOW)


@given(told=st.none() | MOMENTS, resolved_at=st.none() | MOMENTS, now=MOMENTS, remind=st.integers(1, 48))
def test_what_is_due_follows_from_what_was_told(
    told: datetime | None, resolved_at: datetime | None, now: datetime, remind: int
) -> None:
    row = notification(A_CAUSE, told={} if told is None else {"email": told}, resolved_at=resolved_at)
    saying = due(row, "email", now=now, remind_after=remind * HOUR)
    assert due(row, "another", now=now, remind_after=HOUR) is (Saying.NEW if resolved_at is None else None)
    assert (saying is Saying.NEW) == (resolved_at is None and told is None)
    assert (saying is Saying.RESOLVED) == (resolved_at is not None and told is not None and told < resolved_at)
    assert (saying is Saying.REMINDER) == (resolved_at is None and told is not None and now - told >= remind * HOUR)
    if saying is not None:  # once it is told, there is nothing more to say
        later = replace(row, told={"email": max(now, resolved_at or now)})
        assert due(later, "email", now=now, remind_after=remind * HOUR) is None


def test_details_that_another_version_wrote_are_read_all_the_same() -> None:
    assert msgspec.convert({"what": "It failed.", "a_word_of_a_newer_version": 1}, Details) == Details("It failed.")
