"""DAG runs started over Airflow's REST API, for whoever serves erpflow's API outside of Airflow.

Source: Airflow's REST API v2, "Trigger Dag Run" and "Get Dag", and "Create Token" of its auth managers.
"""

from __future__ import annotations

import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests

from erpflow.connectors.session import base_url
from erpflow.errors import AuthFailed, ConfigError, DagPaused, PermissionDenied, ProtocolError, VendorUnavailable
from erpflow.store.database import setting

URL_VARIABLE: Final = "ERPFLOW_AIRFLOW_URL"
USER_VARIABLE: Final = "ERPFLOW_AIRFLOW_USER"
PASSWORD_VARIABLE: Final = "ERPFLOW_AIRFLOW_PASSWORD"  # noqa: S105  (a name)

TIMEOUT: Final = (5.0, 30.0)  # seconds to connect, and between two bytes of the answer
_LONGEST_REASON: Final = 500


class AirflowRest:
    """Starts DAG runs as one of Airflow's users. Safe for threads; logs in with the first run, again when needed."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        """Raises ConfigError when the address is none."""
        self._url = base_url(url)
        self._user, self._password = user, password
        self._lock = threading.Lock()
        self._token: str | None = None

    @classmethod
    def from_environment(cls, home: Path | None = None) -> AirflowRest | NoAirflow:
        """The Airflow that the environment names; without one, what says so whenever a run is to be started."""
        found = {name: setting(name, home=home) for name in (URL_VARIABLE, USER_VARIABLE, PASSWORD_VARIABLE)}
        url, user, password = found.values()
        if not url:
            return NoAirflow()
        if not user or not password:
            missing = USER_VARIABLE if not user else PASSWORD_VARIABLE
            raise ConfigError(f"{missing} is not set: runs are started as one of Airflow's users. Set it.")
        return cls(url, user=user, password=password)

    def trigger(self, dag_id: str, *, conf: dict[str, Any], run_id: str, by: str) -> str:
        """Start a run and give its id; one of that id that was started before is not started again.

        Raises ConfigError when there is no such DAG or the conf does not fit it, DagPaused when the run would wait,
        PermissionDenied for a user who may not do it.
        """
        path = f"/api/v2/dags/{quote(dag_id, safe='')}"
        if self._is_paused(path):
            raise DagPaused(f"The DAG {dag_id} is paused in Airflow: its runs wait. Unpause it on its page first.")
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf, "note": f"by {by}"}
        answer = self._ask("POST", f"{path}/dagRuns", body)
        status = answer.status_code
        if status in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT):
            return run_id
        if status == HTTPStatus.NOT_FOUND:
            raise ConfigError(
                f"Airflow has no DAG {dag_id}. Is its file in the dags folder, and without an import error?"
            )
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise ConfigError(f"The DAG {dag_id} refuses this: {_reason(answer)}")
        if status == HTTPStatus.FORBIDDEN:
            raise PermissionDenied(
                f'Airflow\'s user "{self._user}" may not start runs of {dag_id}. Give it that right.'
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise VendorUnavailable(f"Airflow at {self._url} answered HTTP {status}. Try again in a moment.")
        raise ProtocolError(f"Airflow at {self._url} answered HTTP {status}, which it should not: {_reason(answer)}")

    def run_link(self, dag_id: str, run_id: str) -> str | None:
        """The page of a run in Airflow's UI, which is at another address than this API."""
        return f"{self._url}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"

    def _is_paused(self, path: str) -> bool:
        """Whether a DAG is paused; False where Airflow does not say, since to start the run then tells the rest."""
        answer = self._ask("GET", path)
        if answer.status_code != HTTPStatus.OK:
            return False
        try:
            return bool(answer.json()["is_paused"])
        except (ValueError, KeyError, TypeError):
            raise ProtocolError(f"{self._url} is not Airflow: it describes no DAG. Check {URL_VARIABLE}.") from None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        token = self._login(after=None)
        answer = self._send(method, path, body, token=token)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            answer = self._send(method, path, body, token=self._login(after=token))
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise AuthFailed(f'Airflow at {self._url} does not accept the login of "{self._user}".')
        return answer

    def _login(self, *, after: str | None) -> str:
        """A token; `after`: one that was refused. Raises AuthFailed."""
        with self._lock:
            if self._token is not None and self._token != after:
                return self._token
            answer = self._send("POST", "/auth/token", {"username": self._user, "password": self._password})
            if answer.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
                raise AuthFailed(
                    f'Airflow at {self._url} gives "{self._user}" no token (HTTP {answer.status_code}). Check '
                    f"{USER_VARIABLE} and {PASSWORD_VARIABLE}."
                )
            try:
                self._token = str(answer.json()["access_token"])
            except (ValueError, KeyError, TypeError):
                raise ProtocolError(f"{self._url} is not Airflow: it gives no token. Check {URL_VARIABLE}.") from None
            return self._token

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, *, token: str | None = None
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            return requests.request(
                method, f"{self._url}{path}", json=body, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            raise VendorUnavailable(
                f"Airflow at {self._url} does not answer ({type(error).__name__}). Is it running?", maybe_done=True
            ) from None


class NoAirflow:
    """Starts nothing, and says what is missing."""

    def trigger(self, dag_id: str, *, conf: dict[str, Any], run_id: str, by: str) -> str:
        """Raises ConfigError."""
        raise ConfigError(
            f"{dag_id} cannot be started: {URL_VARIABLE} is not set, and says where Airflow is. Set it with "
            f"{USER_VARIABLE} and {PASSWORD_VARIABLE}."
        )

    def run_link(self, dag_id: str, run_id: str) -> str | None:
        """Nowhere."""
        return None


def _reason(answer: requests.Response) -> str:
    try:
        found = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        found = answer.text
    return str(found)[:_LONGEST_REASON]
