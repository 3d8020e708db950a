"""What the demo says: progress, outcomes, and who holds its folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from erpflow.errors import ConfigError
from erpflow.mapping.load import load_mapping
from erpflow.store.sync_logs import RunSummary
from erpflow.vocabulary import Counts, Direction, SyncLogId, SyncStatus
from stack.demo_merge import Merged
from stack.demo_systems import SYSTEMS, Sync, System, chosen, waves
from stack.lock import announce, only_demo
from stack.outcome import Outcome, complaints, table_of
from stack.progress import LiveProgress, PlainProgress, progress_for, step

PROJECT = Path(__file__).parents[2]
SYNC = Sync("erpnext", "customer")
MAPPING = load_mapping(PROJECT / "include" / "mappings" / SYNC.mapping)


def outcome(counts: Counts, *, linked: int, status: SyncStatus = SyncStatus.COMPLETED) -> Outcome:
    log = RunSummary(
        log_id=SyncLogId("00000000-0000-0000-0000-000000000000"),
        connection="erpnext_demo",
        entity="customer",
        direction="pull",
        kind="full",
        status=status,
        dry_run=False,
        counts=counts,
        pages=1,
        error=None,
        seconds=1.5,
    )
    return Outcome(sync=SYNC, mapping=MAPPING, state="success", log=log, linked=linked, repeated=False)


GOOD = outcome(Counts(read=10, created=9, rejected=1), linked=9)


def test_counts_that_match_give_no_complaint() -> None:
    assert list(complaints(GOOD, seeded=10)) == []


@pytest.mark.parametrize(
    ("wrong", "seeded", "complaint"),
    [
        (GOOD, 11, "read 10 records; the sandbox has 11"),
        (outcome(Counts(read=10, created=8, rejected=1), linked=9), 10, "can say of 9 what became of them"),
        (replace(GOOD, linked=8), 10, "accepted 9 records; 8 rows of app.customers are tied to one"),
        (replace(GOOD, repeated=True), 10, "read the same data again and changed 9 rows"),
        (replace(GOOD, state="failed"), 10, "ended as failed"),
        (replace(GOOD, log=None), 10, "opened no sync log"),
    ],
)
def test_each_count_that_is_wrong_is_told(wrong: Outcome, seeded: int, complaint: str) -> None:
    assert complaint in "\n".join(complaints(wrong, seeded=seeded))


def test_a_sync_that_only_pushes_is_not_held_to_what_the_sandbox_had() -> None:
    pushed = replace(GOOD, mapping=MAPPING.model_copy(update={"direction": Direction.PUSH}))

    assert list(complaints(pushed, seeded=0)) == []


@pytest.mark.parametrize(("linked", "is_right"), [(8, False), (9, True), (10, True), (11, False)])
def test_a_version_that_is_older_than_what_is_applied_may_be_tied_or_not(linked: int, is_right: bool) -> None:
    again = outcome(Counts(read=10, unchanged=9, ignored=1), linked=linked)

    assert (list(complaints(again, seeded=10)) == []) is is_right


MERGED = Merged(
    remote_id="C1",
    before={"name": "a", "company_name": "b", "tax_number": "c"},
    there={"company_name": "B", "tax_number": "there"},
    here={"name": "A", "tax_number": "here"},
    now_there={"name": "A", "company_name": "B", "tax_number": "here"},
    now_here={"name": "A", "company_name": "B", "tax_number": "here"},
)


def test_a_merge_is_right_when_both_sides_have_every_change_and_the_newer_of_a_field_both_changed() -> None:
    assert list(MERGED.complaints()) == []


@pytest.mark.parametrize(("side", "name", "value"), [("now_there", "name", "a"), ("now_here", "tax_number", "there")])
def test_a_change_that_a_merge_lost_is_told(side: str, name: str, value: str) -> None:
    wrong = replace(MERGED, **{side: getattr(MERGED, side) | {name: value}})

    (complaint,) = wrong.complaints()
    assert f"{name} is {value!r}" in complaint


def test_the_first_system_is_done_before_the_others_run_side_by_side() -> None:
    systems = (
        System("one", "One", path="/one", waves=(("a", "b"), ("c",))),
        System("two", "Two", path="/two", waves=(("d",),)),
        System("three", "Three", path="/three", waves=(("e",), ("f",))),
    )

    assert [[sync.entity for sync in wave] for wave in waves(systems)] == [["a", "b"], ["c"], ["d", "e"], ["f"]]


def test_systems_are_chosen_by_name_and_a_misspelt_one_is_told() -> None:
    assert chosen([]) == SYSTEMS
    assert [system.name for system in chosen(["erpnext"])] == ["erpnext"]
    with pytest.raises(ConfigError, match=r'no system "erpnet".*erpnext'):
        chosen(["erpnet"])


def test_a_repeated_read_that_changes_nothing_is_right() -> None:
    again = replace(outcome(Counts(read=10, unchanged=9, rejected=1), linked=9), repeated=True)

    assert list(complaints(again, seeded=10)) == []


def shown(outcomes: list[Outcome]) -> str:
    console = Console(file=io.StringIO(), width=80)
    console.print(table_of(outcomes))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_table_names_every_count_and_cuts_no_name_on_a_narrow_terminal() -> None:
    text = shown([outcome(Counts(read=5_000, created=4_996, rejected=4), linked=4_996)])

    words = "DAG read created updated unchanged rejected seconds erpnext__customer 5,000 4,996 0 0 4 1.5"
    assert " ".join(text.split()) == words


def test_rarer_outcomes_have_a_column_when_there_are_any() -> None:
    assert "ignored" not in shown([GOOD])
    assert "ignored" in shown([outcome(Counts(read=10, ignored=10), linked=0)])


def test_a_log_gets_one_plain_line_per_step() -> None:
    console = Console(file=io.StringIO(), width=80)
    progress = progress_for(console)
    with step(progress, "Postgres"):
        progress.tell("Postgres", "nobody reads this in a log")
    with pytest.raises(ValueError, match="broken"), step(progress, "Airflow"):
        raise ValueError("broken")
    progress.close()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]

    assert isinstance(progress, PlainProgress)
    assert [line.split()[:2] for line in lines] == [["ok", "Postgres"], ["failed", "Airflow"]]


def test_a_terminal_sees_what_a_step_is_doing_and_how_it_ended() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    progress = progress_for(console)
    progress.begin("Airflow")
    progress.tell("Airflow", "waiting for scheduler")
    console.print(progress._render())  # type: ignore[attr-defined]
    progress.done("Airflow", "http://127.0.0.1:8080")
    progress.close()
    text = console.file.getvalue()  # type: ignore[attr-defined]

    assert isinstance(progress, LiveProgress)
    assert "waiting for scheduler" in text
    assert "✓" in text
    assert "http://127.0.0.1:8080" in text


def test_a_folder_holds_one_demo_and_says_which(tmp_path: Path) -> None:
    with only_demo(tmp_path) as note:
        announce(note, url="http://127.0.0.1:8080")
        with pytest.raises(ConfigError) as refused, only_demo(tmp_path):
            pass

    assert f"process {os.getpid()}" in str(refused.value)
    assert "http://127.0.0.1:8080" in str(refused.value)
    assert "ERPFLOW_HOME=" in str(refused.value)


def test_a_folder_is_free_again_when_its_demo_has_ended(tmp_path: Path) -> None:
    with only_demo(tmp_path):
        pass
    with only_demo(tmp_path):
        pass


def test_make_clean_refuses_while_a_demo_runs_and_removes_its_folder_afterwards(tmp_path: Path) -> None:
    home = tmp_path / "state"
    home.mkdir()
    code = "import sys, time; from stack.lock import only_demo; from pathlib import Path\n"
    code += "with only_demo(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    holder = subprocess.Popen([sys.executable, "-c", code, str(home)], cwd=PROJECT, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    clean = [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import clean; sys.exit(clean.main())"]
    clean.append(str(PROJECT / "stack"))
    # The caches of the project belong to whoever works on it now, so the cleaner works on an empty project.
    clean[2] = clean[2].replace("sys.exit(", "from pathlib import Path; clean.ROOT = Path(sys.argv[2]); sys.exit(")
    clean.append(str(tmp_path))
    environment = {**os.environ, "ERPFLOW_HOME": str(home)}

    refused = subprocess.run(clean, env=environment, capture_output=True, text=True, check=False)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    time.sleep(0.05)
    done = subprocess.run(clean, env=environment, capture_output=True, text=True, check=False)

    assert refused.returncode == 1
    assert f"kill {holder.pid}" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert not home.exists()
