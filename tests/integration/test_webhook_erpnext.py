"""Webhooks of an ERPNext site, from the signed request to the row: mixed up, doubled, and with a killed drain."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
import requests

from erpflow.services.installation import engine
from tests.inbox import Inbox
from tests.integration.conftest import API_KEY, API_SECRET, Installation, Sandbox

DRAIN = (
    "from erpflow.services.installation import database, engine;"
    "from erpflow.webhooks.drain import Drain;"
    "print(Drain(engine(database())).run().events)"
)


@dataclass
class Site:
    """A person at the ERPNext site; each of their deeds is what its webhook says of it."""

    url: str

    def create(self, name: str) -> bytes:
        return self._told("after_insert", self._ask("POST", "", {"customer_name": name, "customer_type": "Company"}))

    def update(self, name: str, tax_id: str) -> bytes:
        return self._told("on_update", self._ask("PUT", name, {"tax_id": tax_id}))

    def delete(self, name: str) -> bytes:
        last = self._ask("GET", name)
        self._ask("DELETE", name)
        return self._told("on_trash", last)

    def customers(self, prefix: str) -> dict[str, str | None]:
        """The customers whose names begin so, with their tax numbers."""
        query = f'?fields=["name","tax_id"]&filters=[["name","like","{prefix}%"]]&limit_page_length=0'
        return {row["name"]: row["tax_id"] or None for row in self._ask("GET", "", query=query)}

    def _ask(self, method: str, name: str, values: dict[str, Any] | None = None, *, query: str = "") -> Any:
        answer = requests.request(
            method,
            f"{self.url}/api/resource/Customer{'/' if name else ''}{quote(name)}{query}",
            json=values,
            headers={"Authorization": f"token {API_KEY}:{API_SECRET}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json().get("data")

    @staticmethod
    def _told(event: str, document: dict[str, Any]) -> bytes:
        facts = {"event": event, "doctype": "Customer", "name": document["name"], "modified": document["modified"]}
        return json.dumps(facts).encode()


@pytest.fixture
def site(sandbox: Sandbox) -> Iterator[Site]:
    """The site that all tests of this process share: what is made there goes again."""
    found = Site(sandbox.erpnext)
    yield found
    sandbox.heal()
    for prefix in ("Mixed", "Killed"):
        for name in found.customers(prefix):
            found.delete(name)


@pytest.fixture
def inbox(connected: Installation, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    """A webhook of the connection `demo`, which syncs customers and deletes what is deleted there."""
    mapping = connected.mappings / "erpnext" / "customer.yaml"
    text = mapping.read_text()
    assert "deletes: ignore" in text
    mapping.write_text(text.replace("deletes: ignore", "deletes: {pull: hard, push: ignore, at_most: 100%}"))
    ended = connected.run("sync", "run", "demo", "customer")
    assert "3 rejected" in ended.out  # the seed holds three that are refused
    for name, value in connected.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(connected.home)
    return Inbox(connected.database, engine(connected.database), name="demo", payload={})


def here(inbox: Inbox, prefix: str) -> dict[str, str | None]:
    return dict(inbox.rows("SELECT name, tax_number FROM app.customers WHERE name LIKE %s", f"{prefix}%"))


def test_events_of_a_site_in_any_order_and_doubled_end_in_its_state(inbox: Inbox, site: Site) -> None:
    rng = random.Random(7)
    names = [f"Mixed {number}" for number in range(6)]
    events: list[bytes] = [site.create(name) for name in names]
    events += [site.update(name, f"T-{turn}") for turn in range(2) for name in names[2:]]
    inbox.deliver(*rng.sample(events, 8))
    inbox.drain()
    events += [site.delete(names[5])]
    events += [site.create("Mixed and gone"), site.delete("Mixed and gone")]
    rng.shuffle(events)
    for _ in range(2):
        inbox.deliver(*events)
    inbox.drain()
    expected = site.customers("Mixed")
    assert set(expected) == set(names[:5])
    assert here(inbox, "Mixed") == expected
    assert inbox.mine("SELECT count(*) FROM erpflow.erp_webhook_events {}") == [(len(set(events)),)]
    assert {state for state, _, _ in inbox.states()} == {"applied", "ignored"}


def test_a_drain_that_is_killed_loses_nothing_and_the_next_one_applies_it_all(
    inbox: Inbox, site: Site, sandbox: Sandbox, connected: Installation
) -> None:
    inbox.deliver(*(site.create(f"Killed {number}") for number in range(3)))
    sandbox.fault(kind="latency", path="/api/resource/", seconds=30)
    process = subprocess.Popen([sys.executable, "-c", DRAIN], env=connected.environment, cwd=connected.home)
    try:
        deadline = time.monotonic() + 60
        while not inbox.rows("SELECT 1 FROM erpflow.erp_sync_logs WHERE triggered_by = 'webhook'"):
            assert process.poll() is None, "the drain ended although the site does not answer"
            assert time.monotonic() < deadline, "the drain did not begin within a minute"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait(timeout=15)
    sandbox.heal()
    assert [state for state, _, _ in inbox.states()] == ["received"] * 3
    drained = inbox.drain()
    # Postgres may not have noticed yet that the killed one is gone: its lane is free once it has.
    deadline = time.monotonic() + 30
    while not drained.events:
        assert time.monotonic() < deadline, "the lane of the killed drain did not become free"
        time.sleep(0.05)
        drained = inbox.drain()
    assert inbox.actions() == ["created"] * 3
    assert here(inbox, "Killed") == site.customers("Killed")
    logs = inbox.rows("SELECT status FROM erpflow.erp_sync_logs WHERE triggered_by = 'webhook' ORDER BY started_at")
    assert logs == [("failed",), ("completed",)]
