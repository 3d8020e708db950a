"""The little of Airflow's REST API that the demo needs, with the login of the local administrator."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import quote

import requests

from erpflow.errors import ProtocolError
from stack.keys import ADMIN

TIMEOUT_S: Final = 60.0
PROBE_TIMEOUT_S: Final = 5.0
COMPONENTS: Final = ("metadatabase", "scheduler", "dag_processor", "triggerer")


@dataclass(frozen=True, slots=True)
class DagRun:
    """One run of a DAG; `state` as Airflow names it (queued, running, success, failed)."""

    dag_id: str
    run_id: str
    state: str

    @property
    def ended(self) -> bool:
        return self.state in {"success", "failed"}


class AirflowApi:
    """Airflow's REST API on this machine."""

    def __init__(self, url: str, *, password: str) -> None:
        """`url` is where the API server listens; `password` is the administrator's."""
        self._url = url
        self._password = password
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the caller has no business with 127.0.0.1

    def waiting_for(self) -> tuple[str, ...]:
        """The components that are not healthy yet; all of them while the API server does not answer."""
        try:
            answer = self._session.get(f"{self._url}/api/v2/monitor/health", timeout=PROBE_TIMEOUT_S)
            health = answer.json() if answer.ok else {}
        except (requests.RequestException, ValueError):
            return ("api_server",)
        return tuple(name for name in COMPONENTS if (health.get(name) or {}).get("status") != "healthy")

    def warm_up(self) -> None:
        """Have the API server build the interface of the tasks now: the first call takes seconds, and blocks it."""
        self._answer(self._session.get(f"{self._url}/execution/health", timeout=TIMEOUT_S))

    def log_in(self) -> None:
        """Fetch the bearer token of the administrator and use it from here on."""
        answer = self._session.post(
            f"{self._url}/auth/token", json={"username": ADMIN, "password": self._password}, timeout=TIMEOUT_S
        )
        self._session.headers["Authorization"] = f"Bearer {self._answer(answer)['access_token']}"

    def import_errors(self) -> dict[str, str]:
        """The DAG files that cannot be loaded: file name to the reason."""
        found = self._get("/importErrors", limit=20)["import_errors"]
        return {error["filename"]: error["stack_trace"].strip().splitlines()[-1] for error in found}

    def has_dag(self, dag_id: str) -> bool:
        """Whether the DAG processor has stored this DAG."""
        answer = self._session.get(f"{self._url}/api/v2/dags/{quote(dag_id)}", timeout=TIMEOUT_S)
        return answer.ok and not answer.json().get("is_stale", False)

    def set_paused(self, dag_id: str, state: Literal["paused", "unpaused"]) -> None:
        """Let the scheduler start the runs of this DAG, or not."""
        self._send("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": state == "paused"})

    def ensure_pool(self, name: str, *, slots: int, description: str) -> None:
        """Make the pool unless it is there; its size is the user's once it exists."""
        if not self._exists(f"/pools/{quote(name)}"):
            self._send("POST", "/pools", {"name": name, "slots": slots, "description": description})

    def ensure_connection(
        self,
        conn_id: str,
        *,
        kind: str,
        host: str,
        login: str | None,
        password: str | None,
        extra: Mapping[str, str],
        description: str,
    ) -> None:
        """Make the Airflow Connection, or bring it up to date."""
        body = {
            "connection_id": conn_id,
            "conn_type": kind,
            "host": host,
            "login": login,
            "password": password,
            "extra": json.dumps(dict(extra)),
            "description": description,
        }
        if self._exists(f"/connections/{quote(conn_id)}"):
            self._send("PATCH", f"/connections/{quote(conn_id)}", body)
        else:
            self._send("POST", "/connections", body)

    def trigger(self, dag_id: str, *, conf: Mapping[str, Any], note: str) -> DagRun:
        """Start a run now."""
        body = {"logical_date": None, "conf": dict(conf), "note": note}
        return _run(self._send("POST", f"/dags/{quote(dag_id)}/dagRuns", body))

    def run(self, run: DagRun) -> DagRun:
        """The run as it is now."""
        return _run(self._get(f"/dags/{quote(run.dag_id)}/dagRuns/{quote(run.run_id, safe='')}"))

    def failed_tasks(self, run: DagRun) -> tuple[str, ...]:
        """The ids of the tasks that failed by themselves, not for want of one before them."""
        path = f"/dags/{quote(run.dag_id)}/dagRuns/{quote(run.run_id, safe='')}/taskInstances"
        tasks = self._get(path, limit=100)["task_instances"]
        return tuple(task["task_id"] for task in tasks if task["state"] == "failed")

    def _exists(self, path: str) -> bool:
        answer = self._session.get(f"{self._url}/api/v2{path}", timeout=TIMEOUT_S)
        if answer.status_code == requests.codes.not_found:
            return False
        self._answer(answer)
        return True

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._answer(self._session.request(method, f"{self._url}/api/v2{path}", json=body, timeout=TIMEOUT_S))

    def _get(self, path: str, **query: int) -> dict[str, Any]:
        return self._answer(self._session.get(f"{self._url}/api/v2{path}", params=query, timeout=TIMEOUT_S))

    def _answer(self, answer: requests.Response) -> dict[str, Any]:
        if not answer.ok:
            asked = f"{answer.request.method} {answer.url.removeprefix(self._url)}"
            raise ProtocolError(f"Airflow answered {asked} with {answer.status_code}: {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return found


def _run(found: Mapping[str, Any]) -> DagRun:
    return DagRun(dag_id=found["dag_id"], run_id=found["dag_run_id"], state=found["state"])
