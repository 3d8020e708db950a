"""The sandbox as a process of the stack: started, awaited, and asked how many records it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import requests

from erpflow.errors import ProtocolError
from stack.processes import Command

SANDBOX: Final = "sandbox"
TIMEOUT_S: Final = 30.0


class Sandbox:
    """The vendors' APIs on this machine. Its port is its own choice, so that no other program can be in the way."""

    def __init__(self, ready_file: Path, *, vendors: Sequence[str]) -> None:
        """`ready_file` is where the sandbox writes its address once it answers."""
        self._ready_file = ready_file
        self._vendors = vendors
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the caller has no business with 127.0.0.1
        ready_file.unlink(missing_ok=True)

    def command(self, *, logs: Path, environment: Mapping[str, str]) -> Command:
        """How to start it."""
        vendors = [word for name in self._vendors for word in ("--vendor", name)]
        return Command(
            name=SANDBOX,
            module="sandbox",
            arguments=("--ready-file", str(self._ready_file), *vendors),
            log=logs / f"{SANDBOX}.log",
            environment=environment,
        )

    def is_ready(self) -> bool:
        """Whether it answers."""
        return self._ready_file.exists()

    @property
    def url(self) -> str:
        """Its address; each vendor is below it under its name."""
        return self._ready_file.read_text(encoding="utf-8").strip()

    def seeded(self) -> dict[str, dict[str, int]]:
        """How many records each vendor holds of each entity, counted by itself rather than by what we read."""
        found: dict[str, dict[str, int]] = self.side_door("counts")
        return found

    def side_door(self, path: str, *, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """Ask the sandbox to act as a person would at a vendor: with a body it is a POST. Raises ProtocolError."""
        method = "GET" if body is None else "POST"
        answer = self._session.request(
            method, f"{self.url}/_sandbox/{path}", params=query, json=body, timeout=TIMEOUT_S
        )
        if not answer.ok:
            raise ProtocolError(f"The sandbox answered {path} with {answer.status_code}: {answer.text[:300]}")
        return answer.json()
