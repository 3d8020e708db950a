"""`erpflow sync run` and the commands about mappings that need a vendor or a database."""

from __future__ import annotations

import signal
import time

import pytest

from erpflow.errors import ConfigError
from erpflow.mapping.load import find_mappings
from tests.integration.conftest import Installation, Sandbox

COUNTS = (
    "SELECT read_count = created_count + updated_count + unchanged_count + rejected_count + ignored_count,"
    " status, triggered_by FROM erpflow.erp_sync_logs ORDER BY started_at DESC LIMIT 2"
)


def test_a_sync_lands_the_records_and_says_what_became_of_them(connected: Installation) -> None:
    ended = connected.run("sync", "run", "demo", "customer")
    # The sandbox has hostile records among the good ones, so some are rejected.
    assert ended.status == 2
    assert ended.err == ""
    (landed,) = connected.rows("SELECT count(*) FROM app.customers")
    assert landed[0]
    assert ended.out.startswith("demo customer pull: partial. ")
    assert f"{landed[0]} created" in ended.out
    assert "rejected HOSTILE-" in ended.out
    assert connected.rows(COUNTS) == [(True, "completed", "cli"), (True, "partial", "cli")]


def test_a_second_sync_changes_nothing(connected: Installation) -> None:
    connected.run("sync", "run", "demo", "customer")
    before = connected.rows("SELECT c::text FROM app.customers c ORDER BY id")
    ended = connected.run("sync", "run", "demo", "customer", "--full")
    assert "0 created, 0 updated" in ended.out
    assert connected.rows("SELECT c::text FROM app.customers c ORDER BY id") == before


def test_orders_find_their_customers_and_products(connected: Installation) -> None:
    for entity in ("customer", "product", "order"):
        assert connected.run("sync", "run", "demo", entity).status in (0, 2)
    assert connected.rows("SELECT count(*) > 0 FROM app.orders WHERE customer_id IS NOT NULL") == [(True,)]
    assert connected.rows("SELECT count(*) > 0 FROM app.order_items WHERE product_id IS NOT NULL") == [(True,)]


def test_a_dry_run_says_what_would_happen_and_writes_nothing(connected: Installation) -> None:
    ended = connected.run("sync", "run", "demo", "customer", "--dry-run")
    assert "dry run: nothing was written" in ended.out
    assert connected.rows("SELECT count(*) FROM app.customers") == [(0,)]
    assert connected.rows("SELECT count(*) FROM erpflow.erp_entity_sync_records") == [(0,)]
    assert connected.rows("SELECT cursor_at FROM erpflow.erp_sync_configs WHERE entity = 'customer'") == [(None,)]


def test_dates_bound_what_is_read(connected: Installation) -> None:
    ended = connected.run(
        "sync", "run", "demo", "customer", "--since", "1999-01-01", "--until", "1999-01-02T00:00+05:30"
    )
    assert ended.status == 0
    assert "0 read" in ended.out
    window = connected.rows(
        "SELECT window_since AT TIME ZONE 'UTC' = '1999-01-01', window_until AT TIME ZONE 'UTC' = '1999-01-01 18:30'"
        " FROM erpflow.erp_sync_logs"
    )
    assert window == [(True, True)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("demoo", "customer"), 'did you mean "demo"'),
        (("demo", "custmer"), 'did you mean "customer"'),
        (("demo", "customer", "--since", "yesterday"), "is not a time"),
        (("demo", "customer", "--since", "2026-02-01", "--until", "2026-01-01"), "is not before until"),
        (("demo", "customer", "--full", "--since", "2026-01-01"), "does not go with since"),
        (("demo", "customer", "--ful"), "No such option"),
    ],
)
def test_a_mistake_is_said_and_nothing_runs(words: tuple[str, ...], message: str, connected: Installation) -> None:
    ended = connected.run("sync", "run", *words)
    assert ended.status == 1
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert connected.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == [(0,)]


def test_a_column_that_does_not_exist_is_named_before_anything_is_read(connected: Installation) -> None:
    path = connected.mappings / "erpnext" / "customer.yaml"
    path.write_text(path.read_text().replace("local: phone,", "local: phon,"))
    ended = connected.run("sync", "run", "demo", "customer")
    assert ended.status == 1
    assert 'has no column "phon" (did you mean "phone"?)' in ended.err
    assert connected.rows("SELECT status, pages, error_kind FROM erpflow.erp_sync_logs") == [
        ("failed", 0, "ConfigError")
    ]


def test_a_vendor_that_fails_leaves_a_failed_log_and_the_next_run_recovers(
    connected: Installation, sandbox: Sandbox
) -> None:
    sandbox.fault(kind="unauthorized", path="/api/")
    ended = connected.run("sync", "run", "demo", "customer")
    assert ended.status == 1
    assert "Traceback" not in ended.err
    assert connected.rows("SELECT status, error_kind FROM erpflow.erp_sync_logs") == [("failed", "AuthFailed")]
    sandbox.heal()
    assert connected.run("sync", "run", "demo", "customer").status == 2
    assert connected.rows(COUNTS) == [(True, "completed", "cli"), (True, "partial", "cli")]


def test_debug_shows_where_an_error_comes_from(connected: Installation) -> None:
    with pytest.raises(ConfigError, match="demoo"):
        connected.run("--debug", "sync", "run", "demoo", "customer")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sync_closes_its_log_and_the_next_run_finishes_the_work(
    stop: signal.Signals, connected: Installation, sandbox: Sandbox
) -> None:
    sandbox.fault(kind="latency", path="/api/resource/", seconds=30)
    process = connected.start("sync", "run", "demo", "customer")
    deadline = time.monotonic() + 30
    while not connected.rows("SELECT 1 FROM erpflow.erp_sync_logs WHERE landing IS NOT NULL"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(stop)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.strip() == "Stopped."
    assert out == ""
    assert connected.rows("SELECT status, error_kind FROM erpflow.erp_sync_logs") == [("failed", "Stopped")]
    sandbox.heal()
    assert connected.run("sync", "run", "demo", "customer").status == 2
    assert connected.rows(COUNTS) == [(True, "completed", "cli"), (True, "partial", "cli")]


STOPPED_AS_A_QUERY_LEAVES = """
from erpflow.cli.terminal import quiet_logs
from erpflow.services.installation import database

quiet_logs(debug=False)
with database().session() as connection, connection.transaction():
    connection.pgconn.send_query(b"SELECT pg_sleep(60)")
    raise KeyboardInterrupt
"""


def test_a_signal_between_a_query_and_its_answer_says_nothing_of_the_driver(connected: Installation) -> None:
    _, err = connected.start(code=STOPPED_AS_A_QUERY_LEAVES).communicate(timeout=30)
    assert err.startswith("Traceback (most recent call last):"), err
    assert err.rstrip().endswith("KeyboardInterrupt")


def test_a_preview_of_live_records_writes_nothing(connected: Installation) -> None:
    path = str(connected.mappings / "erpnext" / "order.yaml")
    ended = connected.run("mapping", "preview", path, "--connection", "demo", "--limit", "3")
    assert ended.status in (0, 2)
    assert "3 records: " in ended.out
    assert "Nothing was written." in ended.out
    assert "grand_total" in ended.out
    assert connected.rows("SELECT count(*) FROM app.orders") == [(0,)]
    assert connected.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == [(0,)]
    assert connected.rows("SELECT count(*) FROM erpflow.erp_rejects") == [(0,)]


def test_mappings_are_compared_with_the_tables(installation: Installation) -> None:
    good = installation.run("mapping", "check")
    assert (good.status, good.err) == (0, "")
    shipped = len(find_mappings(installation.mappings))
    assert good.out.count("Correct.") == shipped
    path = installation.mappings / "erpnext" / "order.yaml"
    path.write_text(path.read_text().replace("local: app.order_items", "local: app.order_item"))
    bad = installation.run("mapping", "check")
    assert bad.status == 1
    assert 'there is no table "app.order_item" (did you mean "app.order_items"?)' in bad.err
    assert f"1 of {shipped} mappings cannot be used." in bad.err
    assert bad.out.count("Correct.") == shipped - 1
    unchecked = installation.run("mapping", "check", "--no-database")
    assert unchecked.status == 0
