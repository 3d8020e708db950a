"""A client that is made from the OpenAPI alone, without a word of ours, is enough to work with."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from erpflow.api.app import API, VENDOR_ROUTERS
from tests.calling import Api
from tests.streams import listening

LINES = {"application/x-ndjson": "application/json"}
"""A stream of lines is not among the kinds that the generator knows."""


def client_of(api: Api, prefix: str, folder: Path, *, package: str) -> list[str]:
    """Make a client of an app; what the generator has to say of its OpenAPI."""
    source = folder / "openapi.json"
    source.write_bytes(api.client.get(f"{prefix}/openapi.json").content)
    wanted = ConfigFile(package_name_override=package, post_hooks=[], content_type_overrides=LINES)
    config = Config.from_sources(
        wanted, MetaType.NONE, source, file_encoding="utf-8", overwrite=True, output_path=folder / package
    )
    return [f"{each.header}: {each.detail}" for each in generate(config=config)]


@pytest.mark.parametrize("prefix", [API, *VENDOR_ROUTERS])
def test_a_client_can_be_made_of_every_openapi(shared_api: Api, prefix: str, tmp_path: Path) -> None:
    assert client_of(shared_api, prefix, tmp_path, package="made") == []


@pytest.fixture
def made(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The generated package and a client of it, with a key, of an API on a port."""
    assert client_of(api, API, tmp_path, package="erpflow_made") == []
    monkeypatch.syspath_prepend(str(tmp_path))
    key = api.client.headers["Authorization"].removeprefix("Bearer ")
    with listening(api.client.app) as port:
        package = importlib.import_module("erpflow_made")
        with package.AuthenticatedClient(base_url=f"http://127.0.0.1:{port}{API}", token=key) as client:
            yield client
    for name in [name for name in sys.modules if name.partition(".")[0] == "erpflow_made"]:
        del sys.modules[name]


def part(name: str) -> Any:
    return importlib.import_module(f"erpflow_made.{name}")


def test_the_client_adds_a_connection_finds_its_configs_and_is_told_what_is_wrong(made: Any) -> None:
    models, connections = part("models"), "api.connections"
    wanted = models.NewConnection.from_dict(
        {"name": "books", "system": "erpnext", "url": "http://127.0.0.1:9", "login": "key", "password": "secret"}
    )
    added = part(f"{connections}.create_connection").sync(client=made, body=wanted)
    assert (added.name, added.system, added.status.value) == ("books", "erpnext", "unknown")
    listed = part(f"{connections}.list_connections").sync(client=made)
    assert [row.id for row in listed.items] == [added.id]

    configs = part("api.sync_configs.list_sync_configs").sync(client=made)
    assert {row.entity for row in configs.items} == {"customer", "order", "product"}
    change = models.SyncConfigChange(conflict=models.ConflictStrategy.MANUAL)
    changed = part("api.sync_configs.change_sync_config").sync(configs.items[0].id, client=made, body=change)
    assert changed.conflict is models.ConflictStrategy.MANUAL

    again = part(f"{connections}.create_connection").sync_detailed(client=made, body=wanted)
    assert again.status_code == 422
    assert msgspec.json.decode(again.content)["field"] == "name"
    assert isinstance(again.parsed, models.Problem)
