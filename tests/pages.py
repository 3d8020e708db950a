"""Pages of the documentation, run as a reader would: each block of shell after the other, in one shell."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from stack.ports import free_port
from stack.postgres_place import find_binaries

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
TIMEOUT_S = 240


@dataclass(frozen=True)
class Ran:
    """What a page printed, and how its shell ended."""

    status: int
    out: str
    err: str


def run_page(name: str, variables: Mapping[str, str], *, cwd: Path) -> Ran:
    """Run the blocks of a page with these variables; the first line that fails ends it, and is named in `err`."""
    blocks = BLOCK.findall((DOCS / name).read_text(encoding="utf-8"))
    script = "\n".join(["set -E; trap 'echo \"at: $BASH_COMMAND\" >&2' ERR", *blocks])
    path = f"{find_binaries() / 'bin'}:/usr/bin:/bin"
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env={"PATH": path, **variables}, cwd=cwd, capture_output=True,
        text=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    return Ran(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """The address of an app that listens on a real socket."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
