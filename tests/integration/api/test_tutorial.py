"""The tutorial, line by line, in a shell with curl, against a server that listens."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from erpflow.api.rights import Right
from stack.ports import free_port
from tests.calling import Api
from tests.integration.conftest import API_KEY, API_SECRET, Sandbox

PAGE = Path(__file__).parents[3] / "docs" / "tutorial-api.md"
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def listening(api: Api) -> Iterator[str]:
    """The address of the API, on a real socket."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(api.client.app, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def test_the_tutorial_runs_as_it_is_written(api: Api, listening: str, sandbox: Sandbox, tmp_path: Path) -> None:
    api.serves_at(listening)
    variables = {
        "ERP": f"{listening}/api/erp",
        "KEY": api.key(*Right),
        "SITE": sandbox.erpnext,
        "SITE_KEY": API_KEY,
        "SITE_SECRET": API_SECRET,
    }
    script = "\n".join(["trap 'echo \"at: $BASH_COMMAND\" >&2' ERR", *BLOCKS])
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env={"PATH": "/usr/bin:/bin", **variables}, cwd=tmp_path,
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '{"items":[],"next":null}' in ran.stdout
    assert "active\n" in ran.stdout
    assert "updated\n" in ran.stdout
    with api.database.transaction() as connection:
        renamed = connection.execute("SELECT count(*) FROM app.customers WHERE name = 'Renamed by the tutorial'")
        assert renamed.fetchone() == (1,)
    assert API_SECRET not in ran.stdout + ran.stderr
