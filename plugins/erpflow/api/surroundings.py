"""What the API needs from whoever serves it: Airflow's API server, or `erpflow serve`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request

from erpflow.api.rights import Right
from erpflow.connectors.base import Connector
from erpflow.store.cipher import Cipher
from erpflow.store.connections import ErpConnection
from erpflow.store.tenancy import TenantDatabase
from erpflow.store.vault import Vault
from erpflow.sync.engine import Engine


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody logged in to Airflow, with what the auth manager lets them do."""

    name: str
    rights: frozenset[Right]


class Orchestrator(Protocol):
    """Starts DAG runs."""

    def trigger(self, dag_id: str, *, conf: dict[str, Any], run_id: str, by: str) -> str:
        """Start a run and give its id; one of that id that was started before is not started again.

        Raises ConfigError when there is no such DAG or the conf does not fit it, DagPaused when it would wait for ever.
        """

    def run_link(self, dag_id: str, run_id: str) -> str | None:
        """Where a person sees that run, as a path on Airflow's own pages."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The database, the secrets, the vendors and Airflow.

    `person`: who is logged in; None when nobody is, an HTTP error when the login is no good. `connect`: a vendor's
    connector, signed in, for one connection. `mappings`: the folder of mapping files. `public_url`: how the outside
    reaches this API, without a slash at the end; None takes it from each request.
    """

    database: TenantDatabase
    vault: Callable[[], Vault]
    cipher: Callable[[], Cipher]
    connect: Callable[[ErpConnection], AbstractContextManager[Connector]]
    engine: Callable[[], Engine]
    mappings: Path
    orchestrator: Orchestrator
    person: Callable[[Request], Awaitable[Person | None]]
    public_url: str | None = None


def surroundings_of(request: Request) -> Surroundings:
    """The surroundings of the app that serves a request."""
    found: Surroundings = request.app.state.surroundings
    return found
