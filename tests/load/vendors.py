"""What three vendors send when a customer changes, signed as each of them signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import psycopg
import requests

from tests.load.sender import Address, Signed

EVERY_S = 1.0
SEEN_WITHIN_S = 60
ERPNEXT = {"Authorization": "token sandbox-connector-key:sandbox-connector-secret"}


@dataclass(frozen=True, slots=True)
class Vendor:
    """How a webhook of a vendor is registered, and what makes its requests out of ids and a secret."""

    registration: dict[str, Any]
    maker: Callable[[Sequence[str], str], Callable[[], Signed]]


def _base64_hmac(secret: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def erpnext_request(remote_id: str, number: int, secret: str) -> Signed:
    """An ERPNext webhook of the structure JSON, as Frappe signs it."""
    doc = {"doctype": "Customer", "name": remote_id, "modified": f"2026-11-26 10:00:00.{number:06}", "n": number}
    body = json.dumps(doc).encode()
    return body, {"X-Frappe-Webhook-Signature": _base64_hmac(secret, body)}


def _erpnext(ids: Sequence[str], secret: str) -> Callable[[], Signed]:
    numbers, dice = itertools.count(), random.Random(1)
    return lambda: erpnext_request(dice.choice(ids), next(numbers), secret)


def _quickbooks(ids: Sequence[str], secret: str) -> Callable[[], Signed]:
    numbers, dice = itertools.count(), random.Random(2)

    def make() -> Signed:
        at = f"2026-11-26T10:00:00.{next(numbers):06}Z"
        entity = {"name": "Customer", "id": dice.choice(ids), "operation": "Update", "lastUpdated": at}
        told = [{"realmId": "9130347596", "dataChangeEvent": {"entities": [entity]}}]
        body = json.dumps({"eventNotifications": told}).encode()
        return body, {"intuit-signature": _base64_hmac(secret, body)}

    return make


def _zoho(ids: Sequence[str], secret: str) -> Callable[[], Signed]:
    numbers, dice = itertools.count(1), random.Random(3)

    def make() -> Signed:
        at = 1_795_000_000_000 + next(numbers)
        told = {
            "server_time": at, "module": "Accounts", "operation": "update", "ids": [dice.choice(ids)],
            "channel_id": "1000000068001", "token": secret, "resource_uri": "https://www.zohoapis.com/crm/v8/Accounts",
        }  # fmt: skip
        return json.dumps(told).encode(), {"Content-Type": "application/json"}

    return make


VENDORS = {
    "erpnext": Vendor({}, _erpnext),
    "quickbooks": Vendor({}, _quickbooks),
    "zoho_crm": Vendor({}, _zoho),
}


@dataclass(slots=True)
class Probe:
    """Changes a customer at ERPNext now and then, tells of it, and watches for the row; in seconds since the answer."""

    sandbox: str
    address: Address
    database_url: str
    secret: str = ""
    seconds: list[float] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Probe until the block ends."""
        over = threading.Event()
        thread = threading.Thread(target=self._probe, args=(over,), daemon=True)
        thread.start()
        yield
        over.set()
        thread.join(SEEN_WITHIN_S)

    def percentile(self, share: float) -> float:
        """The delay that so large a share of the changes kept within, in seconds; infinite when none was seen."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")

    def _probe(self, over: threading.Event) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection, requests.Session() as session:
            for number in itertools.count():
                if over.wait(EVERY_S):
                    return
                body, headers = self.address.make()
                remote_id = json.loads(body)["name"]
                name = f"Probe {number} {time.time():.3f}"
                changed = session.put(
                    f"{self.sandbox}/erpnext/api/resource/Customer/{quote(remote_id, safe='')}",
                    json={"customer_name": name}, headers=ERPNEXT, timeout=30,
                )  # fmt: skip
                changed.raise_for_status()
                try:
                    session.post(self.address.url, data=body, headers=headers, timeout=10).raise_for_status()
                except requests.RequestException:
                    continue  # the server is being killed: this one is not counted
                began = time.monotonic()
                seen = "SELECT 1 FROM app.customers WHERE name = %s"
                while not connection.execute(seen, (name,)).fetchone():
                    if time.monotonic() - began > SEEN_WITHIN_S:
                        break
                    time.sleep(0.02)
                self.seconds.append(time.monotonic() - began)
