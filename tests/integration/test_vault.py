"""Secrets are found where Airflow keeps them, and stay out of everything people read."""

from __future__ import annotations

import json
import logging
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from erpflow.errors import ConfigError, DatabaseUnavailable
from erpflow.store.database import Database
from erpflow.store.vault import Credentials, Secret, Vault

CANARY = "canary-7f3a"
SHOP = Credentials(
    conn_id="shop",
    conn_type="erpnext",
    host="https://erp.example.com",
    port=8443,
    login="key",
    password=Secret(CANARY),
    extra={"verify": False},
)

# The columns of Airflow's table, as its migrations make them; tests/airflow holds the vault against Airflow itself.
TABLE = """
CREATE TABLE connection (
    id serial PRIMARY KEY, conn_id varchar(250) NOT NULL UNIQUE, conn_type varchar(500) NOT NULL, description text,
    host varchar(500), schema varchar(500), login text, password text, port int,
    is_encrypted boolean NOT NULL, is_extra_encrypted boolean NOT NULL, team_name varchar(50), extra text
)
"""


@pytest.fixture
def metadata(empty_database: Database) -> Database:
    with empty_database.transaction() as connection:
        connection.execute(TABLE)
    return empty_database


@pytest.fixture
def key() -> str:
    return Fernet.generate_key().decode()


def test_what_was_written_is_read_back_and_lies_there_encrypted(metadata: Database, key: str) -> None:
    vault = Vault(metadata, fernet_keys=key)
    vault.write(SHOP)
    assert vault.read("shop") == SHOP
    with metadata.transaction() as connection:
        row = connection.execute("SELECT connection::text, is_encrypted, is_extra_encrypted FROM connection").fetchone()
    assert row is not None
    assert CANARY not in row[0]
    assert row[1:] == (True, True)


def test_writing_again_replaces_the_secret(metadata: Database, key: str) -> None:
    vault = Vault(metadata, fernet_keys=key)
    vault.write(SHOP)
    vault.write(replace(SHOP, password=Secret("new"), extra={}, port=None))
    found = vault.read("shop")
    assert found.password is not None
    assert (found.password.reveal(), found.extra, found.port) == ("new", {}, None)


def test_after_a_rotation_the_old_key_still_reads_and_the_new_one_writes(metadata: Database, key: str) -> None:
    Vault(metadata, fernet_keys=key).write(SHOP)
    new = Fernet.generate_key().decode()
    both = Vault(metadata, fernet_keys=f"{new}, {key}")
    assert both.read("shop") == SHOP
    both.write(SHOP)
    assert Vault(metadata, fernet_keys=new).read("shop") == SHOP


def test_a_secret_of_another_key_asks_for_the_old_key(metadata: Database, key: str) -> None:
    Vault(metadata, fernet_keys=key).write(SHOP)
    with pytest.raises(ConfigError, match=r"encrypted with another key.*new,old"):
        Vault(metadata, fernet_keys=Fernet.generate_key().decode()).read("shop")
    with pytest.raises(ConfigError, match=r"is encrypted. Set AIRFLOW__CORE__FERNET_KEY"):
        Vault(metadata).read("shop")


def test_nothing_is_written_in_the_clear(metadata: Database) -> None:
    with pytest.raises(ConfigError, match="AIRFLOW__CORE__FERNET_KEY is not set"):
        Vault(metadata).write(SHOP)
    with metadata.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM connection").fetchone() == (0,)


def test_the_variable_comes_before_the_table(metadata: Database, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = Vault(metadata, fernet_keys=key)
    vault.write(SHOP)
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "erpnext://https://other:word@elsewhere.example:444")
    found = vault.read("shop")
    assert (found.host, found.port, found.login) == ("https://elsewhere.example", 444, "other")
    with pytest.raises(ConfigError, match=r"AIRFLOW_CONN_SHOP is set.*never be seen"):
        vault.write(SHOP)


def test_a_connection_may_be_written_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_SHOP",
        json.dumps(
            {
                "conn_type": "erpnext",
                "host": "https://erp.example.com",
                "port": "8443",
                "login": "key",
                "password": CANARY,
                "extra": {"verify": False},
            }
        ),
    )
    assert Vault(None).read("shop") == replace(SHOP)


@pytest.mark.parametrize(
    "text", [f'{{"password": "{CANARY}"', f"no-uri-{CANARY}", f"a://b://{CANARY}://d", f"erpnext://u:{CANARY}@h:port"]
)
def test_a_malformed_variable_is_named_and_not_quoted(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", text)
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_SHOP is neither") as raised:
        Vault(None).read("shop")
    assert CANARY not in repr(raised.value)


def test_an_unknown_connection_is_answered_with_the_nearest(metadata: Database, key: str) -> None:
    vault = Vault(metadata, fernet_keys=key)
    vault.write(SHOP)
    with pytest.raises(ConfigError, match=r'no Airflow connection "shpo" \(did you mean "shop"'):
        vault.read("shpo")


def test_without_airflow_the_message_names_both_ways() -> None:
    with pytest.raises(ConfigError, match=r"AIRFLOW_CONN_SHOP is not set.*AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        Vault(None).read("shop")


def test_a_database_that_is_not_airflows_is_said_to_be_none(empty_database: Database, key: str) -> None:
    with pytest.raises(ConfigError, match="airflow db migrate"):
        Vault(empty_database, fernet_keys=key).read("shop")


def test_an_absent_metadata_database_is_a_reason_to_retry(key: str) -> None:
    away = Database("postgresql://u:p@127.0.0.1:1/airflow")
    with pytest.raises(DatabaseUnavailable, match=r"airflow on 127.0.0.1:1 does not answer"):
        Vault(away, fernet_keys=key).read("shop")


@pytest.mark.parametrize("keys", ["short", "a" * 44, "ключ"])
def test_a_bad_key_is_named_and_not_quoted(keys: str) -> None:
    with pytest.raises(ConfigError, match="no Fernet key") as raised:
        Vault(None, fernet_keys=keys)
    assert keys not in str(raised.value)


def test_the_state_folder_says_what_the_environment_does_not(
    metadata: Database, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW__CORE__FERNET_KEY"):
        monkeypatch.delenv(name, raising=False)
    url = metadata.url.replace("postgresql://", "postgresql+psycopg2://")
    (tmp_path / "env").write_text(f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN={url}\nAIRFLOW__CORE__FERNET_KEY={key}\n")
    Vault.from_environment(tmp_path).write(SHOP)
    assert Vault.from_environment(tmp_path).read("shop") == SHOP


def test_another_kind_of_metadata_database_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "sqlite:////tmp/airflow.db")
    with pytest.raises(ConfigError, match="reads connections from Postgres only"):
        Vault.from_environment(tmp_path)


def test_a_secret_cannot_be_read_by_accident(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("connected %s %r", SHOP, SHOP)
    seen = f"{SHOP} {SHOP!r} {SHOP.password} {SHOP.password!r} {[SHOP.password]} {caplog.text}"
    assert CANARY not in seen
    assert "'key'" not in seen
    with pytest.raises(TypeError):
        json.dumps(SHOP.password)
    assert pickle.loads(pickle.dumps(SHOP.password)) == SHOP.password  # noqa: S301  (tasks hand it to a child process)


@pytest.mark.parametrize(
    ("options", "secret_id"),
    [
        ("", "airflow/connections/shop"),
        ('{"connections_prefix": "prod/erp/", "region_name": "eu-central-1"}', "prod/erp/shop"),
        ('{"connections_prefix": "erp", "sep": "-"}', "erp-shop"),
        ('{"connections_prefix": ""}', "shop"),
        ("no JSON", "airflow/connections/shop"),
    ],
)
def test_a_secret_that_only_airflow_can_see_is_handed_over_by_the_command_in_the_message(
    metadata: Database, options: str, secret_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = "airflow.providers.amazon.aws.secrets.secrets_manager.SecretsManagerBackend"
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", backend)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", options)
    command = f"--secret-id {secret_id} --query SecretString --output text"
    with pytest.raises(ConfigError, match="SecretsManagerBackend is asked by Airflow alone") as nowhere:
        Vault.from_environment(tmp_path).read("shop")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", metadata.url)
    with pytest.raises(ConfigError) as not_in_the_table:
        Vault.from_environment(tmp_path).read("shop")
    for error in (nowhere, not_in_the_table):
        assert f'AIRFLOW_CONN_SHOP="$(aws secretsmanager get-secret-value {command})" erpflow' in str(error.value)


def test_of_another_backend_only_the_variable_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "airflow.providers.hashicorp.secrets.vault.VaultBackend")
    with pytest.raises(ConfigError, match=r"VaultBackend is asked by Airflow alone.*into AIRFLOW_CONN_SHOP"):
        Vault.from_environment(tmp_path).read("shop")


def test_what_is_in_airflows_own_table_is_found_beside_a_backend(
    metadata: Database, key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Vault(metadata, fernet_keys=key).write(SHOP)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "any.Backend")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", metadata.url)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
    assert Vault.from_environment(tmp_path).read("shop") == SHOP


def test_several_are_read_at_once_and_each_that_cannot_be_says_why(
    metadata: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(metadata, fernet_keys=key)
    vault.write(SHOP)
    Vault(metadata, fernet_keys=Fernet.generate_key().decode()).write(replace(SHOP, conn_id="locked"))
    monkeypatch.setenv("AIRFLOW_CONN_GIVEN", '{"conn_type": "erpnext", "host": "https://given.example"}')
    found = vault.read_many(["shop", "given", "locked", "nowhere"])
    assert found["shop"] == SHOP
    assert isinstance(found["given"], Credentials)
    assert found["given"].host == "https://given.example"
    for conn_id, said in (("locked", "another key"), ("nowhere", 'no Airflow connection "nowhere"')):
        error = found[conn_id]
        assert isinstance(error, ConfigError)
        assert said in str(error)


def test_a_deleted_one_is_gone_and_may_be_deleted_again(
    metadata: Database, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(metadata, fernet_keys=key)
    vault.write(SHOP)
    assert vault.knows("shop")
    vault.delete("shop")
    vault.delete("shop")
    assert not vault.knows("shop")
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "erpnext://")
    assert vault.knows("shop")


def test_a_missing_one_is_not_told_the_names_of_other_tenants(metadata: Database, key: str) -> None:
    vault = Vault(metadata, fernet_keys=key)
    for conn_id in ("acme__shop", "shopp"):
        vault.write(replace(SHOP, conn_id=conn_id))
    with pytest.raises(ConfigError) as raised:
        vault.read("other__shop")
    assert "acme" not in str(raised.value)
    with pytest.raises(ConfigError, match='did you mean "shopp"'):
        vault.read("shop")
