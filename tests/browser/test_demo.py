"""The demo as somebody meets it who has just cloned the project. One story: the tests run in this order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

pytestmark = pytest.mark.timeout(600)

PROJECT = Path(__file__).parents[2]
DAGS = ("erpnext__customer", "erpnext__product", "erpnext__order")
ENDS_WITHIN_S = 280


def table(said: str) -> dict[str, dict[str, int]]:
    """The summary table: DAG to counts."""
    lines = said[said.index("DAG  ") :].splitlines()
    names = lines[0].split()[1:]
    rows = [line.split() for line in lines if line.startswith("erpnext__")]
    return {row[0]: dict(zip(names, [int(float(n.replace(",", ""))) for n in row[1:]], strict=True)) for row in rows}


def users_of(folder: Path) -> list[str]:
    """The processes that hold a file below `folder` open: everything a demo starts does, if only its log."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                held = [handle.readlink() for handle in (process / "fd").iterdir()]
                if any(path.is_relative_to(folder) for path in held):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found


def setting(home: Path, name: str) -> str:
    lines = (home / "env").read_text(encoding="utf-8").splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))


def test_the_first_syncs_are_in_the_tables_and_every_count_is_right(demo: Any) -> None:
    counts = table(demo.said())

    assert "Every count is right" in demo.said()
    assert "One customer, changed on both sides and synced once" in demo.said()
    assert tuple(counts) == DAGS
    for dag in DAGS:
        read = counts[dag]["read"]
        assert read >= {"erpnext__customer": 2000, "erpnext__product": 500, "erpnext__order": 5000}[dag]
        assert counts[dag]["created"] + counts[dag]["rejected"] == read
    with psycopg.connect(setting(demo.home, "ERPFLOW_DATABASE_URL")) as database:
        row = database.execute("SELECT count(*), count(DISTINCT order_id) FROM app.order_items").fetchone()
        assert row is not None
        assert row[0] >= row[1] > 0


def test_the_grid_and_the_log_of_a_task_can_be_looked_at(demo: Any, page: Any, screenshots: Path) -> None:
    page.goto(f"{demo.url}/dags/erpnext__customer")
    page.get_by_role("heading", name="erpnext__customer").wait_for()
    for task in ("plan", "finish"):
        page.get_by_role("link", name=task).first.wait_for()
    page.get_by_text("Last", exact=False).first.wait_for()
    page.wait_for_timeout(1500)  # the chart draws itself in
    page.screenshot(path=screenshots / "grid.png")

    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "_token")
    runs = page.request.get(
        f"{demo.url}/api/v2/dags/erpnext__customer/dagRuns", headers={"Authorization": f"Bearer {token}"}
    ).json()["dag_runs"]
    run = next(run["dag_run_id"] for run in runs if run["run_type"] == "manual")
    page.goto(f"{demo.url}/dags/erpnext__customer/runs/{quote(run, safe='')}/tasks/sync.load/mapped/0")
    page.get_by_text(re.compile(r"chunk_applied")).first.wait_for()
    page.screenshot(path=screenshots / "task-log.png")


def test_no_secret_is_in_a_log_of_the_stack(demo: Any) -> None:
    files = [
        demo.home / "postgres" / "password",
        *(demo.home / "keys").glob("*.key"),
        *(demo.home / "keys").glob("*.secret"),
    ]
    keys = [path.read_text().strip() for path in files]
    secrets = [*keys, demo.password, "sandbox-connector-secret"]
    logs = [*(demo.home / "logs").rglob("*"), *(demo.home / "airflow" / "logs").rglob("*")]
    text = "".join(path.read_text(encoding="utf-8", errors="replace") for path in logs if path.is_file())

    assert "sync.load" in text  # the logs of tasks are among them
    assert not [secret for secret in secrets if secret in text]


def test_what_the_demo_keeps_is_for_its_owner_only(demo: Any) -> None:
    private = [demo.home / "env", *(demo.home / "keys").iterdir(), *(demo.home / "logs").iterdir()]

    assert {path.stat().st_mode & 0o077 for path in private} == {0}


def test_a_second_demo_in_the_same_folder_is_refused(demo: Any, start_demo: Any) -> None:
    second = start_demo(demo.home)

    assert second.ended(within_s=60) == 1
    assert f"already running on {demo.home}" in second.said()
    assert f"kill {demo.process.pid}" in second.said()
    assert "Traceback" not in second.said()


def test_a_taken_port_is_refused_before_anything_is_started(demo: Any, start_demo: Any, places: Path) -> None:
    other = start_demo(places / "other", port=demo.port)

    assert other.ended(within_s=60) == 1
    assert f"Port {demo.port} is taken" in other.said()
    assert "make demo ARGS='--port" in other.said()
    assert not (places / "other" / "postgres").exists()


def test_an_interrupted_demo_leaves_no_process_behind(demo: Any) -> None:
    if sys.platform == "linux":
        assert len(users_of(demo.home)) >= 6  # or the list would prove nothing afterwards

    assert demo.stop() == 0
    assert "Stopped." in demo.said()
    assert users_of(demo.home) == []


def test_a_killed_demo_takes_its_processes_along(demo: Any, start_demo: Any) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process that its parent died")
    assert demo.process.poll() is not None
    killed = start_demo(demo.home)
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not any("triggerer" in line for line in users_of(demo.home)):
        assert time.monotonic() < deadline, killed.said()
        time.sleep(0.2)
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()

    while left := [line for line in users_of(demo.home) if "postgres" not in line]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_the_next_demo_starts_all_the_same_changes_nothing_and_says_so(demo: Any, start_demo: Any) -> None:
    assert demo.process.poll() is not None
    second = start_demo(demo.home, "--exit")

    assert second.ended(within_s=ENDS_WITHIN_S) == 0, second.said()
    counts = table(second.said())
    assert "nothing had changed, and no row was written" in second.said()
    for dag in DAGS:
        assert counts[dag]["read"] > 0
        assert counts[dag]["unchanged"] + counts[dag]["rejected"] == counts[dag]["read"]
    assert "Airflow's metadata" not in second.said()  # not migrated again
    assert users_of(demo.home) == []


def test_a_process_that_dies_at_the_start_is_told_with_its_log(places: Path, start_demo: Any) -> None:
    home = places / "broken"
    (home / "airflow" / "airflow.cfg").mkdir(parents=True)
    broken = start_demo(home, "--exit")

    assert broken.ended(within_s=ENDS_WITHIN_S) == 1
    assert re.search(r"(api-server|airflow-migrate) ended with status 1", broken.said())
    assert "airflow.cfg" in broken.said()
    assert f"The whole log: {home}/logs/" in broken.said()
    assert users_of(home) == []


def test_a_damaged_mapping_stops_the_demo_with_the_line_of_the_error(
    demo: Any, start_demo: Any, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The demo's own environment is cleaned of ERPFLOW_ variables, so this one is started by hand.
    mappings = places / "mappings" / "erpnext"
    mappings.mkdir(parents=True)
    for name in ("customer", "product", "order"):
        text = (PROJECT / "include" / "mappings" / "erpnext" / f"{name}.yaml").read_text(encoding="utf-8")
        (mappings / f"{name}.yaml").write_text(text.replace("required: true", "required: treu"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "stack", "demo", "--exit"],
        cwd=PROJECT,
        env={**os.environ, "ERPFLOW_HOME": str(demo.home), "ERPFLOW_MAPPINGS": str(mappings.parent)},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )

    assert done.returncode == 1
    assert re.search(r"customer\.yaml:\d+", done.stdout)
    assert "Traceback" not in done.stdout + done.stderr
    assert users_of(demo.home) == []
