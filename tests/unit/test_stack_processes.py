"""Processes end together with everything they started, and a death is told with its reason."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.processes import Command, ProcessEnded, Processes, reap_orphans

WAIT_S = 20


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of small modules to run."""
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    running = Processes(cwd=tmp_path, secrets=["hunter2"])
    yield running
    running.stop(grace_s=1)


def command(programs: Path, name: str, code: str, **options: object) -> Command:
    (programs / f"{name}.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(programs), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path, "OUT": str(programs)}
    return Command(
        name=name, module=name, arguments=(), log=programs / f"{name}.log", environment=environment, **options
    )


def eventually(path: Path) -> str:
    """The text of a file that a process writes, once it is there."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text(encoding="utf-8")):
            return text
        time.sleep(0.02)
    raise AssertionError(f"{path.name} was never written")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until_ended(processes: Processes) -> ProcessEnded:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        try:
            processes.check()
        except ProcessEnded as ended:
            return ended
        time.sleep(0.02)
    raise AssertionError("it never ended")


FAMILY = """
import os, pathlib, signal, subprocess, sys, time
out = pathlib.Path(os.environ["OUT"])
child = os.fork()
if child == 0:
    os.setpgid(0, 0)                                  # leaves the group, as Airflow's tasks do
    signal.signal(signal.SIGTERM, signal.SIG_IGN)     # and will not be asked
    grandchild = os.fork()
    if grandchild:
        (out / "pids").write_text(f"{os.getppid()} {os.getpid()} {grandchild}")
    time.sleep(600)
time.sleep(600)
"""


def test_stopping_ends_grandchildren_that_left_the_group_and_ignore_the_request(
    processes: Processes, programs: Path
) -> None:
    processes.start(command(programs, "family", FAMILY))
    pids = [int(pid) for pid in eventually(programs / "pids").split()]
    assert all(alive(pid) for pid in pids)

    processes.stop(grace_s=2)

    assert not [pid for pid in pids if alive(pid)]


def test_a_grandchild_whose_parent_died_first_is_ended_too(processes: Processes, programs: Path) -> None:
    code = """
import os, pathlib, time
if os.fork() == 0:
    pathlib.Path(os.environ["OUT"], "orphan").write_text(str(os.getpid()))
    time.sleep(600)
os._exit(3)
"""
    processes.start(command(programs, "parent", code))
    orphan = int(eventually(programs / "orphan"))
    until_ended(processes)

    processes.stop(grace_s=1)

    assert not alive(orphan)


def test_dead_orphans_are_collected_while_we_run(processes: Processes, programs: Path) -> None:
    code = """
import os, pathlib, time
middle = os.fork()
if middle == 0:
    if os.fork() == 0:
        pathlib.Path(os.environ["OUT"], "orphan").write_text(str(os.getpid()))
        time.sleep(0.2)
        os._exit(0)
    os._exit(0)
os.waitpid(middle, 0)
time.sleep(600)
"""
    processes.start(command(programs, "busy", code))
    orphan = int(eventually(programs / "orphan"))
    deadline = time.monotonic() + WAIT_S
    while alive(orphan) and time.monotonic() < deadline:
        processes.reap()
        time.sleep(0.05)

    assert not alive(orphan)
    processes.check()  # the process itself is still there: its status was not taken away


def test_a_process_that_dies_is_told_with_its_last_lines_and_the_path_of_its_log(
    processes: Processes, programs: Path
) -> None:
    code = "import sys; [print('line', n) for n in range(40)]; print('the reason'); sys.exit(7)"
    processes.start(command(programs, "doomed", code))

    message = str(until_ended(processes))

    assert "doomed ended with status 7" in message
    assert "the reason" in message
    assert "line 1\n" not in message
    assert str(programs / "doomed.log") in message


def test_a_process_that_was_killed_says_by_which_signal(processes: Processes, programs: Path) -> None:
    processes.start(command(programs, "victim", "import os; os.kill(os.getpid(), 9)"))

    assert "victim was ended by SIGKILL" in str(until_ended(processes))


def test_secrets_are_hidden_when_a_log_is_quoted(processes: Processes, programs: Path) -> None:
    processes.start(command(programs, "chatty", "import sys; print('password hunter2'); sys.exit(1)"))

    message = str(until_ended(processes))

    assert "hunter2" not in message
    assert "password ***" in message


def test_a_gated_process_imports_at_once_and_runs_when_it_is_let_go(processes: Processes, programs: Path) -> None:
    (programs / "heavy.py").write_text(
        "import os, pathlib; pathlib.Path(os.environ['OUT'], 'imported').write_text('x')"
    )
    code = "import os, pathlib, time; pathlib.Path(os.environ['OUT'], 'ran').write_text('x'); time.sleep(600)"
    processes.start(command(programs, "patient", code, preload=("heavy",), gated=True))
    eventually(programs / "imported")
    time.sleep(0.2)
    assert not (programs / "ran").exists()

    processes.open_gate("patient")

    assert eventually(programs / "ran") == "x"


def test_a_process_with_one_job_is_asked_until_it_is_done_and_is_not_missed_afterwards(
    processes: Processes, programs: Path
) -> None:
    processes.start(command(programs, "job", "print('done')", one_job=True))
    deadline = time.monotonic() + WAIT_S
    while not processes.finished("job"):
        processes.check()
        assert time.monotonic() < deadline
        time.sleep(0.02)

    processes.check()


def test_a_job_that_fails_raises(processes: Processes, programs: Path) -> None:
    processes.start(command(programs, "job", "raise SystemExit('no disk')", one_job=True))

    assert "no disk" in str(until_ended(processes))


def test_logs_are_for_their_owner_only(processes: Processes, programs: Path) -> None:
    processes.start(command(programs, "quiet", "import time; time.sleep(600)"))

    assert (programs / "quiet.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_a_process_does_not_outlive_a_parent_that_was_killed(tmp_path: Path, programs: Path) -> None:
    # Still importing when it happens, as a slow starter is.
    (programs / "slow.py").write_text("import time; time.sleep(600)")
    sleeper = command(programs, "sleeper", "raise SystemExit", preload=("slow",))
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        running = Processes(cwd=tmp_path)
        running.start(sleeper)
        os.write(write, str(running.pid("sleeper")).encode())
        os.kill(os.getpid(), 9)
    os.waitpid(parent, 0)
    child = int(os.read(read, 20))
    os.close(read)
    os.close(write)

    deadline = time.monotonic() + WAIT_S
    while alive(child) and time.monotonic() < deadline:
        reap_orphans()
        time.sleep(0.05)

    assert not alive(child)
