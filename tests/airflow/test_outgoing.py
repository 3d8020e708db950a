"""What the task of the outgoing DAG does, without a running Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.sdk import DAG
from cryptography.fernet import Fernet

from erpflow.airflow import environment, outgoing
from erpflow.connectors import network
from erpflow.errors import ConfigError
from erpflow.services.outgoing.subscribing import HTTP_VARIABLE
from erpflow.store.database import Database
from erpflow.testing.server import Reply
from tests.outgoing import PostOffice, post_office


@pytest.fixture
def office(fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostOffice]:
    key = Fernet.generate_key().decode()
    monkeypatch.setenv(f"AIRFLOW_CONN_{environment.DATABASE_CONNECTION.upper()}", fresh_database.url)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", key)
    monkeypatch.setenv(HTTP_VARIABLE, "true")
    monkeypatch.setenv(network.VARIABLE, "true")
    with post_office(fresh_database, tmp_path) as office:
        office.key = key
        yield office


def deliver() -> dict[str, int]:
    operator = outgoing.DeliverOperator(task_id="deliver")
    return operator.execute({})


def test_the_task_delivers_what_is_due_and_counts_it(office: PostOffice) -> None:
    receiver = office.receiver()
    office.end_run()
    assert deliver() == {"delivered": 1, "failed": 0, "dead": 0, "disabled": 0}
    assert [message["type"] for message in receiver.messages()] == ["sync.completed"]
    assert deliver()["delivered"] == 0


def test_a_receiver_that_is_down_does_not_fail_the_task(office: PostOffice) -> None:
    office.receiver(Reply(500))
    office.end_run()
    assert deliver() == {"delivered": 0, "failed": 1, "dead": 0, "disabled": 0}


def test_the_secret_is_told_to_airflows_masker_and_is_in_no_xcom(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    masked: list[str] = []
    monkeypatch.setattr("airflow.sdk.log.mask_secret", masked.append)
    receiver = office.receiver()
    office.end_run()
    assert receiver.secret.reveal() not in json.dumps(deliver())
    assert masked == [receiver.secret.reveal()]


def test_private_networks_are_refused_unless_who_runs_airflow_allows_them(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(network.VARIABLE)
    receiver = office.receiver()
    office.end_run()
    assert deliver()["failed"] == 1
    assert receiver.server.connections == 0


def test_without_a_key_the_task_fails_for_a_person_is_needed(
    office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    with pytest.raises(ConfigError, match="cannot be decrypted"):
        deliver()


def test_the_dag_sweeps_every_minute_in_one_task() -> None:
    dag = outgoing.outgoing_dag(cron="* * * * *")
    assert isinstance(dag, DAG)
    assert dag.task_ids == ["deliver"]
    assert (dag.max_active_runs, dag.catchup) == (1, False)
    assert dag.dagrun_timeout == outgoing.LONGEST_SWEEP
