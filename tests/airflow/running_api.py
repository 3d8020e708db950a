"""The API inside a running Airflow, as somebody calls it who is logged in there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from tests.demos import Demo


def token_of(demo: Demo, user: str) -> str:
    """What Airflow's login gives a user."""
    login = {"username": user, "password": demo.password_of(user)}
    answer = requests.post(f"{demo.url}/auth/token", json=login, timeout=60)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def ask(
    demo: Demo, method: str, path: str, body: Any = None, *, headers: Mapping[str, str], **query: Any
) -> requests.Response:
    """One request, with nothing in it that was not said: no proxy, no cookie of before."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"{demo.url}{path}", json=body, params=query, headers=headers, timeout=120)


class Erp:
    """The API with one bearer: a token of Airflow's or a key of erpflow's."""

    def __init__(self, demo: Demo, bearer: str) -> None:
        self.demo = demo
        self.bearer = bearer

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> requests.Response:
        """The answer, whatever it is."""
        sent = {"Authorization": f"Bearer {self.bearer}", **(headers or {})}
        return ask(self.demo, method, f"/api/erp{path}", body, headers=sent, **query)

    def call(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Any:
        """What a request that must work answers."""
        answer = self.ask(method, path, body, headers=headers, **query)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text else None

    def refused(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """The problem of a request that must not work."""
        answer = self.ask(method, path, body, **query)
        assert answer.headers["Content-Type"] == "application/problem+json", f"{answer.status_code} {answer.text}"
        return dict(answer.json())
