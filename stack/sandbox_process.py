"""The sandbox as a process of the stack: started, awaited, and asked how many records it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests

from erpflow.errors import ProtocolError
from stack.processes import Command

SANDBOX: Final = "sandbox"
DOCTYPES: Final[Mapping[str, str]] = {"customer": "Customer", "product": "Item", "order": "Sales Order"}
"""What ERPNext calls our entities."""

# The sandbox's own user with every right; worth nothing outside of it.
API_KEY: Final = "sandbox-connector-key"
API_SECRET: Final = "sandbox-connector-secret"  # noqa: S105

TIMEOUT_S: Final = 30.0


class Sandbox:
    """The vendors' APIs on this machine. Its port is its own choice, so that no other program can be in the way."""

    def __init__(self, ready_file: Path) -> None:
        """`ready_file` is where the sandbox writes its address once it answers."""
        self._ready_file = ready_file
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the caller has no business with 127.0.0.1
        self._session.headers["Authorization"] = f"token {API_KEY}:{API_SECRET}"
        ready_file.unlink(missing_ok=True)

    def command(self, *, logs: Path, environment: Mapping[str, str]) -> Command:
        """How to start it."""
        return Command(
            name=SANDBOX,
            module="sandbox",
            arguments=("--ready-file", str(self._ready_file)),
            log=logs / f"{SANDBOX}.log",
            environment=environment,
        )

    def is_ready(self) -> bool:
        """Whether it answers."""
        return self._ready_file.exists()

    @property
    def site_url(self) -> str:
        """The address of its ERPNext."""
        return f"{self._ready_file.read_text(encoding='utf-8').strip()}/erpnext"

    def seeded(self) -> dict[str, int]:
        """How many records of each entity it holds, counted by its own API rather than by what we read."""
        return {entity: self._count(doctype) for entity, doctype in DOCTYPES.items()}

    def _count(self, doctype: str) -> int:
        answer = self._session.get(
            f"{self.site_url}/api/method/frappe.client.get_count", params={"doctype": doctype}, timeout=TIMEOUT_S
        )
        if not answer.ok:
            raise ProtocolError(f"The sandbox does not count its {doctype} records: {answer.status_code}.")
        found: dict[str, Any] = answer.json()
        return int(found["message"])
