"""The vault and Airflow read each other's connections: the same table, the same keys, the same dialect of URIs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from erpflow.store.database import Database
from erpflow.store.vault import Credentials, Secret, Vault

# Airflow in a process of its own: it answers one JSON line for each JSON line.
AIRFLOW = """
import json, sys
from airflow import settings
from airflow.models import Connection
from airflow.sdk import Connection as TaskConnection
from airflow.utils.session import create_session

FIELDS = ("conn_type", "host", "schema", "port", "login", "password")

def fields(connection):
    extra = json.loads(connection.extra) if connection.extra else {}
    return {name: getattr(connection, name) for name in FIELDS} | {"extra": extra}

for line in sys.stdin:
    order, payload = json.loads(line)
    if order == "create":
        tables = [Connection.metadata.tables[name] for name in ("team", "connection")]
        Connection.metadata.create_all(settings.engine, tables=tables)
        answer = None
    elif order == "write":
        with create_session() as session:
            session.add(Connection(**payload))
        answer = None
    elif order == "read":
        with create_session() as session:
            answer = fields(session.query(Connection).filter(Connection.conn_id == payload).one())
    elif order == "parse":
        found = TaskConnection.from_json(payload, "x") if payload.startswith("{") else TaskConnection.from_uri(payload, "x")
        answer = fields(found)
    print("answer:" + json.dumps(answer), flush=True)
"""  # noqa: E501

Ask = Callable[[str, Any], Any]


@pytest.fixture(scope="module")
def key() -> str:
    return f"{Fernet.generate_key().decode()},{Fernet.generate_key().decode()}"


@pytest.fixture(scope="module")
def metadata(postgres: Any, request: pytest.FixtureRequest) -> Iterator[Database]:
    import psycopg

    with psycopg.connect(postgres.url, autocommit=True) as connection:
        name = f"vault_airflow_{uuid.uuid4().hex[:12]}"
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        yield Database(postgres.url_for(name))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def airflow(metadata: Database, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    home = tmp_path_factory.mktemp("airflow")
    complaints = home / "stderr.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    with (
        complaints.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", AIRFLOW],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={
                **kept,
                "AIRFLOW_HOME": str(home),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata.url.replace("postgresql://", "postgresql+psycopg2://"),
                "AIRFLOW__CORE__FERNET_KEY": key,
            },
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def ask(order: str, payload: Any = None) -> Any:
            stdin.write(json.dumps([order, payload]) + "\n")
            stdin.flush()
            for line in stdout:
                if line.startswith("answer:"):
                    return json.loads(line.removeprefix("answer:"))
            raise AssertionError(Path(complaints).read_text()[-3000:])

        ask("create")
        yield ask
        stdin.close()


def fields(credentials: Credentials) -> dict[str, Any]:
    """As Airflow tells them; it does not care whether a field is empty or absent, and neither do we."""
    return {
        "conn_type": credentials.conn_type,
        "host": credentials.host or None,
        "schema": credentials.schema or None,
        "port": credentials.port,
        "login": credentials.login or None,
        "password": credentials.password.reveal() if credentials.password else None,
        "extra": dict(credentials.extra),
    }


def empty_is_none(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value if value != "" else None for name, value in found.items()}


EVERY_FIELD = {
    "conn_type": "erpnext",
    "host": "https://erp.example.com",
    "schema": "s",
    "port": 8443,
    "login": "key",
    "password": "pass wörd/@:%",
    "extra": {"verify": False, "headers": {"X-Frappe-Site-Name": "a"}},
}
ONLY_A_TYPE = dict.fromkeys(EVERY_FIELD) | {"conn_type": "erpnext", "extra": {}}


@pytest.mark.parametrize("written", [EVERY_FIELD, ONLY_A_TYPE], ids=["every field", "only a type"])
def test_airflow_reads_what_the_vault_wrote(
    written: dict[str, Any], airflow: Ask, metadata: Database, key: str, request: pytest.FixtureRequest
) -> None:
    name = f"ours_{written['port']}"
    secret = Secret(written["password"]) if written["password"] else None
    Vault(metadata, fernet_keys=key).write(Credentials(**{**written, "conn_id": name, "password": secret}))
    assert airflow("read", name) == written


@pytest.mark.parametrize("written", [EVERY_FIELD, ONLY_A_TYPE], ids=["every field", "only a type"])
def test_the_vault_reads_what_airflow_wrote(
    written: dict[str, Any], airflow: Ask, metadata: Database, key: str
) -> None:
    name = f"theirs_{written['port']}"
    extra = json.dumps(written["extra"]) if written["extra"] else None
    airflow("write", {**written, "conn_id": name, "extra": extra})
    assert fields(Vault(metadata, fernet_keys=key).read(name)) == written


def test_a_rotated_key_is_understood_by_both(airflow: Ask, metadata: Database, key: str) -> None:
    old = key.split(",")[1]
    Vault(metadata, fernet_keys=old).write(Credentials(conn_id="old", conn_type="erpnext", password=Secret("kept")))
    assert airflow("read", "old")["password"] == "kept"
    assert fields(Vault(metadata, fernet_keys=key).read("old"))["password"] == "kept"


@pytest.mark.parametrize(
    "text",
    [
        "erpnext://key:secret@erp.example.com:8443/schema?verify=false&a=1",
        "erpnext://https://erp.example.com",
        "erpnext://key:secret@erp.example.com",
        "erp-next://ERP.Example.COM/",
        "ERPNEXT://key@host",
        "postgresql://u:p%40%2F%3A%25@h/db",
        "http://https%3A%2F%2Ferp.example.com%2Fpath:80/",
        "erpnext://https%3A%2F%2FERP.example.com%2FPath",
        "http://key:secret@/?__extra__=%7B%22a%22%3A+%7B%22b%22%3A+1%7D%7D",
        "erpnext://:onlypassword@host",
        "erpnext://",
        '{"conn_type": "erpnext", "host": "https://h", "port": "1", "password": "p", "extra": {"a": [1]}}',
        '{"conn_type": "erp-next", "login": "l", "extra": "{\\"a\\": 1}"}',
        '{"conn_type": "postgresql"}',
    ],
)
def test_a_variable_means_to_the_vault_what_it_means_to_airflow(
    text: str, airflow: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_X", text)
    assert fields(Vault(None).read("x")) == empty_is_none(airflow("parse", text))
