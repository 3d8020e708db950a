"""The sandbox as a process: it says where it is, stops when told, and explains what it cannot do."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]
SMALL = ("--customers", "30", "--items", "15", "--orders", "15")
PATIENCE_S = 60


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *SMALL, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_writes_its_url_when_it_answers_and_stops_cleanly_when_told(tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready"
    process = start("--port", "0", "--ready-file", str(ready), "--time-zone", "Asia/Riyadh")
    try:
        until = time.monotonic() + PATIENCE_S
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until
            time.sleep(0.05)
        url = ready.read_text("utf-8").strip()
        zone = requests.get(f"{url}/erpnext/api/method/frappe.client.get_time_zone", timeout=20).json()
        assert zone == {"message": {"time_zone": "Asia/Riyadh"}}
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out.strip(), err) == (0, url, "")


def test_a_taken_port_is_explained_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in err
    assert "--port 0" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--customers", "200001"), "200001 is not between 0 and 200,000"),
        (("--time-zone", "Mars/Olympus"), "'Mars/Olympus' is no time zone"),
        (("--vendor", "sap"), "invalid choice: 'sap'"),
    ],
)
def test_a_senseless_option_is_refused_at_once(arguments: tuple[str, ...], said: str) -> None:
    process = start(*arguments)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert said in err
