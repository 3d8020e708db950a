"""An API to call in tests: the real app over a real database; the engine carries out the DAG runs, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.testclient import TestClient

from erpflow.api import receiving, serving
from erpflow.api.app import mounted
from erpflow.api.rights import Right
from erpflow.api.surroundings import Person, Surroundings
from erpflow.services import installation
from erpflow.store import api_keys, tenants
from erpflow.store.database import Database
from erpflow.sync.plan import RunRequest, plan
from erpflow.sync.reconcile import plan_reconciliations
from erpflow.vocabulary import DEFAULT_TENANT, Direction, FindingKind, SyncConfigId, SyncLogId, TenantId
from erpflow.webhooks.drain import Drain
from erpflow.webhooks.wake import DAG_ID as WEBHOOKS

ALL = tuple(Right)
LOGINS = {
    "viewer": {Right.LOOK},
    "user": {Right.LOOK, Right.RUN, Right.RESOLVE},
    "op": set(Right),
    "admin": set(Right),
}
"""What Airflow's SimpleAuthManager lets each role do; tests/airflow holds that against Airflow itself."""


@dataclass
class EngineRuns:
    """Carries out a sync DAG's run with the engine, at once; keeps what it was asked for."""

    asked: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    carries_out: bool = True

    def trigger(self, dag_id: str, *, conf: dict[str, Any], run_id: str, by: str) -> str:
        if any(known == run_id for _, _, known in self.asked):
            return run_id
        self.asked.append((dag_id, conf, run_id))
        if self.carries_out and dag_id == WEBHOOKS:
            Drain(installation.engine(installation.database())).run()
        elif self.carries_out and "configs" in conf:
            self._in_order(dag_id.partition("__")[0], conf, run_id, by)
        elif self.carries_out and not dag_id.startswith("erpflow__"):
            self.carry_out(dag_id, conf, run_id, by)
        return run_id

    def _in_order(self, system: str, conf: dict[str, Any], run_id: str, by: str) -> None:
        for entity, config in conf["configs"].items():
            one = {"config": config, "direction": conf["direction"], "full": conf["full"]}
            self.carry_out(f"{system}__{entity}", one | {"records": conf["records"].get(entity)}, run_id, by)

    def run_link(self, dag_id: str, run_id: str) -> str | None:
        return f"/dags/{dag_id}/runs/{run_id}"

    def carry_out(self, dag_id: str, conf: dict[str, Any], run_id: str, by: str) -> None:
        """Do what the tasks of a DAG run would do, one after the other."""
        system, entity, *rest = dag_id.split("__")
        database = installation.database()
        request = RunRequest(
            kind="manual",
            config_id=SyncConfigId(conf["config"]) if conf.get("config") else None,
            connection=conf.get("connection"),
            full=bool(conf.get("full")),
            since=_moment(conf.get("since")),
            until=_moment(conf.get("until")),
            dry_run=bool(conf.get("dry_run")),
            direction=Direction(conf["direction"]) if conf.get("direction") else None,
            record_ids=tuple(conf.get("records") or ()),
            reject_ids=tuple(conf.get("rejects") or ()),
            replay=SyncLogId(conf["replay"]) if conf.get("replay") else None,
            allow_deletes=bool(conf.get("allow_deletes")),
            dag_id=dag_id,
            dag_run_id=run_id,
            attempt_key=f"{dag_id}/{run_id}/0",
            triggered_by=by,
        )
        if rest == ["reconcile"]:
            self._reconcile(database, request, conf, system=system, entity=entity)
            return
        with database.session() as connection:
            planned = plan(connection, request, system=system, entity=entity, now=datetime.now(UTC))
        for run in planned:
            installation.engine(database).run(run.log_id)

    @staticmethod
    def _reconcile(database: Database, request: RunRequest, conf: dict[str, Any], *, system: str, entity: str) -> None:
        kinds = [FindingKind(kind) for kind in conf.get("kinds") or FindingKind] if conf.get("repair") else []
        with database.session() as connection:
            planned = plan_reconciliations(connection, request, system=system, entity=entity, repairs=kinds)
        for run in planned:
            installation.engine(database).reconcile(run.log_id)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@dataclass
class Api:
    """The API of one installation; `client` calls it with a key that may do everything for the default tenant."""

    surroundings: Surroundings
    runs: EngineRuns
    client: TestClient
    database: Database

    def serves_at(self, address: str) -> None:
        """Have webhooks sent there."""
        self.change(public_url=address)

    def change(self, **changes: Any) -> None:
        """Go on in other surroundings."""
        for mount in self.client.app.routes:  # type: ignore[attr-defined]
            mount.app.state.surroundings = replace(self.surroundings, **changes)

    def key(self, *scopes: Right, tenant_id: TenantId = DEFAULT_TENANT) -> str:
        """A key that may do just that."""
        with self.database.transaction() as connection:
            key, _ = api_keys.make(connection, tenant_id, name="test", scopes=list(scopes), by="test")
        return key

    def tenant(self, slug: str) -> TenantId:
        """Another tenant."""
        with self.database.transaction() as connection:
            return tenants.add_tenant(connection, slug, name=slug.title()).id

    def as_key(self, key: str) -> TestClient:
        """A client that sends a key."""
        return TestClient(self.client.app, headers={"Authorization": f"Bearer {key}"})

    def nobody(self) -> TestClient:
        """A client that sends nothing."""
        return TestClient(self.client.app)

    def as_person(self, role: str, *, cookie: bool = False, **headers: str) -> TestClient:
        """A client of somebody logged in with a role, by token or by cookie."""
        login = {"Cookie": f"_token={role}"} if cookie else {"Authorization": f"Bearer {role}"}
        return TestClient(self.client.app, headers={**login, **headers})


async def _person(request: Request) -> Person | None:
    """Airflow's login as the tests have it: the token is the name of the role."""
    _, _, token = request.headers.get("authorization", "").partition(" ")
    role = token or request.cookies.get("_token", "")
    return Person(role, frozenset(LOGINS[role])) if role in LOGINS else None


def serve(database: Database, **changes: Any) -> Iterator[Api]:
    """The API over a database, with every app mounted where Airflow mounts it; the environment names the rest."""
    receiving._waking = receiving._Waking()  # a server of its own: no other has just woken the drain
    runs = EngineRuns()
    around = replace(serving.surroundings(runs, public_url="https://erp.example"), person=_person, **changes)
    with TestClient(mounted(around)) as client:
        api = Api(around, runs, client, database)
        client.headers["Authorization"] = f"Bearer {api.key(*ALL)}"
        yield api
    around.database.close()
