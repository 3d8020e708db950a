"""Connections kept in AWS Secrets Manager (moto's), read by our hooks through Airflow's secrets backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from erpflow.airflow import environment
from erpflow.airflow.hooks import hook_class
from erpflow.connectors.registry import connector_class
from erpflow.store.database import Database
from erpflow.testing.server import Asked, Reply, ScriptedServer
from tests.engine import Shop

BACKEND = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
REGION = "eu-central-1"
CANARY = "canary-aws-91d2"


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an empty Secrets Manager that Airflow is configured to ask."""
    import boto3
    from airflow.sdk.configuration import clear_secrets_backends_cache

    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", BACKEND)
    options = {"connections_prefix": "prod/connections", "variables_prefix": None, "region_name": REGION}
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps(options))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv(f"AIRFLOW_CONN_{environment.DATABASE_CONNECTION.upper()}", raising=False)
    clear_secrets_backends_cache()
    with mock_aws():
        yield boto3.client("secretsmanager", region_name=REGION)
    clear_secrets_backends_cache()


def keep(secrets: Any, conn_id: str, **parts: Any) -> None:
    secrets.create_secret(Name=f"prod/connections/{conn_id}", SecretString=json.dumps(parts))


def test_the_application_database_is_found_as_a_uri(secrets: Any, fresh_database: Database) -> None:
    secrets.create_secret(Name="prod/connections/erpflow_db", SecretString=fresh_database.url)
    with environment.database().session() as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (fresh_database.name,)


def test_a_vendor_is_asked_with_the_secret_that_is_kept_there(
    secrets: Any, fresh_database: Database, tmp_path: Any
) -> None:
    shop = Shop(fresh_database, tmp_path)
    [(connection_id,)] = shop.rows("SELECT id::text FROM erpflow.erp_connections")

    def answer(asked: Asked) -> Reply:
        return Reply(body=b'{"message": "ana@example.com"}')

    with ScriptedServer(answer) as server:
        keep(secrets, "erpnext_main", conn_type="erpnext", host=server.url, login="key", password=CANARY)
        run: Any = SimpleNamespace(system="erpnext", airflow_conn_id="erpnext_main", connection_id=connection_id)
        with environment.connector_for(run, fresh_database) as vendor:
            vendor.check()
    assert server.asked[0].headers["Authorization"] == f"token key:{CANARY}"


def test_settings_of_a_connector_are_its_extra(secrets: Any) -> None:
    extra = {"company_db": "SBODEMO", "time_zone": "Europe/Berlin"}
    keep(secrets, "b1", conn_type="sap_b1", host="https://b1.example.com:50000", login="u", password="p", extra=extra)
    with hook_class("sap_b1")(http_conn_id="b1").session(connector_class("sap_b1")) as (_, account):
        assert account.extra["company_db"] == "SBODEMO"


def test_a_secret_that_was_rotated_there_is_what_the_next_step_signs_with(secrets: Any) -> None:
    def password() -> str | None:
        with hook_class("metakocka")(http_conn_id="books").session(connector_class("metakocka")) as (_, account):
            return account.password

    parts = {"conn_type": "metakocka", "host": "https://main.metakocka.si", "login": "16"}
    keep(secrets, "books", **parts, password="first")
    assert password() == "first"
    secrets.put_secret_value(SecretId="prod/connections/books", SecretString=json.dumps({**parts, "password": "next"}))
    assert password() == "next"


def test_a_connection_that_is_not_there_is_found_where_airflow_looks_next(
    secrets: Any, monkeypatch: pytest.MonkeyPatch, fresh_database: Database
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ERPFLOW_DB", fresh_database.url)
    assert environment.database().name == fresh_database.name


def test_the_secret_is_masked_in_logs(secrets: Any) -> None:
    from airflow.sdk.log import redact

    keep(secrets, "erpnext_main", conn_type="erpnext", host="https://erp.example.com", login="key", password=CANARY)
    with hook_class("erpnext")(http_conn_id="erpnext_main").session(connector_class("erpnext")) as (_, account):
        assert account.password == CANARY
        assert CANARY not in repr(account)
    assert redact(f"it said {CANARY}") == "it said ***"
