"""What tests of the API share: one to call, with an ERPNext connection or without."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from cryptography.fernet import Fernet

from erpflow.store.database import URL_VARIABLE, Database
from tests.calling import Api, serve
from tests.integration.conftest import CONNECTION_TABLE, Installation
from tests.integration.conftest import connected as connected  # fixtures of the folder above, for this one too
from tests.integration.conftest import installation as installation
from tests.integration.conftest import sandbox as sandbox
from tests.integration.conftest import sandbox_process as sandbox_process
from tests.integration.conftest import seeded_vendors as seeded_vendors


def _served(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for name in set(os.environ) - set(installation.environment):
        monkeypatch.delenv(name)
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(installation.home)
    yield from serve(installation.database)


@pytest.fixture
def api(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API of an installation that has nothing yet."""
    yield from _served(installation, monkeypatch)


@pytest.fixture(scope="module")
def shared_api(database: Database) -> Iterator[Api]:
    """The API of a database that the tests of one module share, each with a tenant of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URL_VARIABLE, database.url)
        yield from serve(database)


@pytest.fixture(scope="module")
def shared_installation_api(database: Database, make_database: Callable[[], Database]) -> Iterator[Api]:
    """As `shared_api`, with what keeps secrets beside it: connections can be made."""
    metadata = make_database()
    with metadata.transaction() as connection:
        connection.execute(CONNECTION_TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URL_VARIABLE, database.url)
        patch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", metadata.url)
        patch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
        yield from serve(database)


@pytest.fixture
def erpnext_api(connected: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API of an installation with the connection `demo` to the ERPNext sandbox."""
    yield from _served(connected, monkeypatch)


@pytest.fixture
def config_ids(erpnext_api: Api) -> dict[str, str]:
    """The sync configs of `demo`, by entity."""
    listed = erpnext_api.client.get("/api/erp/sync-configs").json()["items"]
    return {row["entity"]: row["id"] for row in listed}
