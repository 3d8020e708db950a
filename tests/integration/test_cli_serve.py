"""`erpflow serve`: the API as a process of its own, and the DAG runs it starts over Airflow's REST API."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import pytest
import requests

from erpflow.errors import (
    AuthFailed,
    ConfigError,
    DagPaused,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    VendorUnavailable,
)
from erpflow.services.airflow_rest import AirflowRest, NoAirflow
from erpflow.testing.server import Asked, Reply, ScriptedServer
from tests.integration.conftest import Installation

USER, PASSWORD = "erpflow", "CANARY-of-airflow"


@contextmanager
def served(installation: Installation, *words: str) -> Iterator[str]:
    process = installation.start("serve", "--port", "0", *words)
    try:
        line = cast("IO[str]", process.stdout).readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, line + cast("IO[str]", process.stderr).read()
        yield found.group()
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert "Traceback" not in err


def test_a_server_answers_programs_that_have_a_key(installation: Installation) -> None:
    key = installation.run("api-key", "add", "shop", "--scope", "look").out.strip()
    with served(installation) as place:
        health = requests.get(f"{place}/api/erp/health", timeout=10)
        nobody = requests.get(f"{place}/api/erp/connections", timeout=10)
        program = requests.get(f"{place}/api/erp/connections", headers={"Authorization": f"Bearer {key}"}, timeout=10)
        person = requests.get(
            f"{place}/api/erp/connections", headers={"Authorization": "Bearer of-airflow"}, timeout=10
        )
    assert (health.status_code, health.json()["status"]) == (200, "ok")
    assert (nobody.status_code, person.status_code) == (401, 401)
    assert (program.status_code, program.json()) == (200, {"items": [], "next": None})


def test_a_taken_port_is_said(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = installation.run("serve", "--port", str(taken.getsockname()[1]))
    assert (ended.status, "Nothing can listen" in ended.err) == (1, True)


def test_without_a_database_nothing_is_served(installation: Installation) -> None:
    ended = installation.run("serve", "--port", "0", ERPFLOW_DATABASE_URL="")
    assert (ended.status, "ERPFLOW_DATABASE_URL" in ended.err) == (1, True)


class Airflow:
    """Airflow's endpoints: tokens, which it may forget, whether the one DAG is paused, and runs, each id once."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, object]] = {}
        self.tokens: list[str] = []
        self.answer: Reply | None = None
        self.is_paused = False

    def __call__(self, asked: Asked) -> Reply:
        if asked.path == "/auth/token":
            good = json.loads(asked.body) == {"username": USER, "password": PASSWORD}
            self.tokens += [f"token-{len(self.tokens)}"] if good else []
            return Reply.json({"access_token": self.tokens[-1]}, status=201) if good else Reply.json({}, status=401)
        if not self.tokens or asked.headers.get("Authorization") != f"Bearer {self.tokens[-1]}":
            return Reply.json({"detail": "Not authenticated"}, status=401)
        if self.answer is not None:
            return self.answer
        if not asked.path.startswith("/api/v2/dags/erpnext__customer"):
            return Reply.json({"detail": "not found"}, status=404)
        if asked.method == "GET":
            return Reply.json({"dag_id": "erpnext__customer", "is_paused": self.is_paused})
        body = json.loads(asked.body)
        if body["dag_run_id"] in self.runs:
            return Reply.json({"detail": "exists"}, status=409)
        self.runs[body["dag_run_id"]] = body
        return Reply.json(body)


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.fixture
def server(airflow: Airflow) -> Iterator[ScriptedServer]:
    with ScriptedServer(airflow) as running:
        yield running


@pytest.fixture
def rest(server: ScriptedServer) -> AirflowRest:
    return AirflowRest(server.url, user=USER, password=PASSWORD)


def start(rest: AirflowRest, run_id: str = "api__1", dag_id: str = "erpnext__customer") -> str:
    return rest.trigger(dag_id, conf={"config": "7"}, run_id=run_id, by="key:erp_1")


def test_a_run_is_started_with_its_conf_and_who_asked(rest: AirflowRest, airflow: Airflow) -> None:
    assert start(rest) == "api__1"
    assert airflow.runs["api__1"] == {
        "dag_run_id": "api__1", "logical_date": None, "conf": {"config": "7"}, "note": "by key:erp_1",
    }  # fmt: skip


def test_a_run_is_started_once_and_one_token_serves_many(
    rest: AirflowRest, airflow: Airflow, server: ScriptedServer
) -> None:
    assert [start(rest), start(rest), start(rest, "api__2")] == ["api__1", "api__1", "api__2"]
    assert list(airflow.runs) == ["api__1", "api__2"]
    assert [asked.path for asked in server.asked].count("/auth/token") == 1


def test_a_token_that_ran_out_is_renewed(rest: AirflowRest, airflow: Airflow) -> None:
    start(rest)
    airflow.tokens.append("another")
    assert start(rest, "api__2") == "api__2"
    assert len(airflow.tokens) == 3


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Reply.json({"detail": "since: not a date"}, status=400), ConfigError, "refuses this: since: not a date"),
        (Reply.json({"detail": "no"}, status=403), PermissionDenied, 'user "erpflow" may not start runs'),
        (Reply(503), VendorUnavailable, "answered HTTP 503"),
        (Reply(302, b"", {"Location": "https://elsewhere.example"}), ProtocolError, "HTTP 302"),
    ],
)
def test_a_no_of_airflow_is_said_in_our_words(
    rest: AirflowRest, airflow: Airflow, answer: Reply, error: type[ErpflowError], said: str
) -> None:
    airflow.answer = answer
    with pytest.raises(error, match=said):
        start(rest)


def test_a_paused_dag_is_not_started_where_its_run_would_wait(rest: AirflowRest, airflow: Airflow) -> None:
    airflow.is_paused = True
    with pytest.raises(DagPaused, match="erpnext__customer is paused in Airflow"):
        start(rest)
    assert airflow.runs == {}


def test_a_dag_that_is_not_there_is_named(rest: AirflowRest) -> None:
    with pytest.raises(ConfigError, match="Airflow has no DAG erpnext__order"):
        start(rest, dag_id="erpnext__order")


def test_a_wrong_password_is_said_and_not_repeated(server: ScriptedServer) -> None:
    with pytest.raises(AuthFailed, match="ERPFLOW_AIRFLOW_PASSWORD") as raised:
        start(AirflowRest(server.url, user=USER, password="CANARY-wrong"))
    assert "CANARY" not in str(raised.value)


def test_an_airflow_that_is_away_is_said() -> None:
    with pytest.raises(VendorUnavailable, match="does not answer"):
        start(AirflowRest("http://127.0.0.1:9", user=USER, password=PASSWORD))


def test_without_an_airflow_starting_a_run_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "USER", "PASSWORD"):
        monkeypatch.delenv(f"ERPFLOW_AIRFLOW_{name}", raising=False)
    found = AirflowRest.from_environment()
    assert isinstance(found, NoAirflow)
    with pytest.raises(ConfigError, match="ERPFLOW_AIRFLOW_URL is not set"):
        found.trigger("erpnext__customer", conf={}, run_id="1", by="x")
    monkeypatch.setenv("ERPFLOW_AIRFLOW_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="ERPFLOW_AIRFLOW_USER is not set"):
        AirflowRest.from_environment()
