"""The settings of Airflow on one machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stack import airflow
from stack.keys import Keys, load_or_make

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return load_or_make(tmp_path / "keys")


@pytest.fixture
def machine(tmp_path: Path) -> airflow.Machine:
    return airflow.Machine(
        project=PROJECT,
        home=tmp_path,
        port=18080,
        metadata_url="postgresql://u:se%23c$ret@127.0.0.1:5433/airflow",
        application_url="postgresql://u:secret@127.0.0.1:5433/erpflow",
    )


def test_everything_listens_on_the_loopback_address(machine: airflow.Machine, keys: Keys) -> None:
    variables = airflow.environment(machine, keys, inherited={})

    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"


def test_everybody_logs_in_with_a_role_of_their_own(machine: airflow.Machine, keys: Keys) -> None:
    users = {"admin": "admin", "vera": "viewer"}
    variables = airflow.environment(replace(machine, users=users), keys, inherited={})

    assert variables["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin,vera:viewer"
    assert airflow.environment(machine, keys, inherited={})["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin"


def test_no_process_opens_a_port_for_logs(machine: airflow.Machine) -> None:
    commands = airflow.commands(machine, {})

    for name in (airflow.SCHEDULER, airflow.TRIGGERER):
        assert "--skip-serve-logs" in commands[name].arguments


def test_another_airflow_of_the_caller_does_not_mix_in(machine: airflow.Machine, keys: Keys) -> None:
    other = {
        "AIRFLOW__CORE__AUTH_MANAGER": "somebody.else",
        "AIRFLOW_HOME": "/elsewhere",
        "AIRFLOW_CONFIG": "/elsewhere/airflow.cfg",
        "PATH": "/bin",
    }
    variables = airflow.environment(machine, keys, inherited=other)

    assert "AIRFLOW__CORE__AUTH_MANAGER" not in variables
    assert "AIRFLOW_CONFIG" not in variables
    assert variables["AIRFLOW_HOME"] == str(machine.airflow_home)
    assert variables["PATH"] == "/bin"


def test_the_metadata_url_survives_the_expansion_of_shell_variables(machine: airflow.Machine) -> None:
    url = airflow.sqlalchemy_url(machine.metadata_url)

    assert url == "postgresql+psycopg2://u:se%23c%24ret@127.0.0.1:5433/airflow"


def test_showing_a_machine_or_a_command_shows_no_password(machine: airflow.Machine, keys: Keys) -> None:
    variables = airflow.environment(machine, keys, inherited={})
    shown = repr(machine) + repr(airflow.commands(machine, variables))

    assert "secret@" not in shown
    assert keys.fernet not in shown


def test_the_home_is_prepared_before_four_processes_write_it_at_once(machine: airflow.Machine) -> None:
    airflow.prepare_folders(machine)
    airflow.prepare_folders(machine)

    assert (machine.airflow_home / "airflow.cfg").is_file()
    assert (machine.airflow_home / "config" / "airflow_local_settings.py").is_file()


def test_a_database_that_nobody_migrated_needs_it(machine: airflow.Machine) -> None:
    assert airflow.needs_migration(machine)


# Airflow's own use of a library that has moved on.
@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")
def test_airflow_takes_no_module_of_the_package_for_a_plugin() -> None:
    from airflow._shared.module_loading import find_path_from_directory

    ignored = (PROJECT / "plugins" / ".airflowignore").read_text(encoding="utf-8")
    found = list(find_path_from_directory(str(PROJECT / "plugins"), ".airflowignore", "glob"))

    assert "erpflow/" in ignored.splitlines()
    assert not [path for path in found if "/erpflow/" in str(path) and str(path).endswith(".py")]
