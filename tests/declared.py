"""Declared systems for tests: a file, what it declares, and a server that answers as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from erpflow.connectors.account import Account, Tokens
from erpflow.connectors.registry import build
from erpflow.connectors.rest.connector import RestConnector, connector_of
from erpflow.connectors.rest.load import load_declaration
from erpflow.connectors.session import build_session
from erpflow.testing.server import Asked, Reply, ScriptedServer

ENTITY: dict[str, Any] = {
    "object": "things",
    "key": "id",
    "modified": "changed",
    "page_size": 3,
    "list": {"path": "/things", "query": {"since": "{since}", "limit": "{limit}"}, "records": "data"},
    "get": {"path": "/things/{id}"},
}


def declaration(**parts: Any) -> dict[str, Any]:
    """A declaration that is correct, with other parts; `entity` changes those of its only entity."""
    entity = {**ENTITY, **parts.pop("entity", {})}
    whole = {
        "system": "acme",
        "title": "Acme",
        "auth": {"kind": "none"},
        "check": {"path": "/me"},
        "entities": {"thing": {name: part for name, part in entity.items() if part is not None}},
    }
    return {**whole, **parts}


def written(folder: Path, content: dict[str, Any] | str) -> Path:
    """The declaration as a file."""
    path = folder / "acme.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return path


@dataclass(frozen=True)
class Running:
    """A connector made of a file, and what its server was asked."""

    connector: RestConnector
    server: ScriptedServer

    @property
    def asked(self) -> list[Asked]:
        return self.server.asked


@contextmanager
def running(
    folder: Path,
    content: dict[str, Any],
    answer: Callable[[Asked], Reply],
    *,
    login: str | None = "me",
    password: str | None = "secret-word",  # noqa: S107
    extra: dict[str, Any] | None = None,
    tokens: Tokens | None = None,
    **options: Any,
) -> Iterator[Running]:
    """The connector that a file declares, on a server that answers as told."""
    system = connector_of(load_declaration(written(folder, content)))
    with ScriptedServer(answer) as server:
        account = Account(server.url, login, password, extra or {}, tokens)
        with build_session(system, account) as session:
            session.trust_env = False
            defaults = {"private_networks": True, "sleep": lambda _: None}
            made = build(system, session, base_url=system.address(account), **{**defaults, **options})
            assert isinstance(made, RestConnector)
            yield Running(made, server)


def thing(number: int, changed: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    return {"id": number, "changed": changed, **more}
