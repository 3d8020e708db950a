"""What FAB's Viewer and User are granted: once, and only to roles that are there."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import pytest

from erpflow.airflow import fab


@dataclass
class Role:
    permissions: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Security:
    """As much of FAB's security manager as is asked."""

    roles: dict[str, Role]

    def create_permission(self, action: str, resource: str) -> tuple[str, str]:
        return action, resource

    def find_role(self, name: str) -> Role | None:
        return self.roles.get(name)

    def add_permission_to_role(self, role: Role, permission: tuple[str, str]) -> None:
        role.permissions.append(permission)


def test_roles_may_read_plugins_afterwards_and_a_second_time_changes_nothing() -> None:
    security = Security({"Viewer": Role()})
    assert fab.grant(security) == {"Viewer": "may now", "User": "is not there"}
    assert fab.grant(security) == {"Viewer": "could already", "User": "is not there"}
    assert security.roles["Viewer"].permissions == [("can_read", "Plugins")]


def test_without_fab_it_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.fab", None)
    assert fab.main() == 1
    assert "apache-airflow-providers-fab is not installed" in capsys.readouterr().err
