"""The secrets of an installation: made once, long enough, for their owner's eyes only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from erpflow.errors import ConfigError
from stack.keys import load_or_make, roles_of


def test_keys_are_made_once(tmp_path: Path) -> None:
    assert load_or_make(tmp_path / "keys") == load_or_make(tmp_path / "keys")


def test_two_installations_share_no_key(tmp_path: Path) -> None:
    one, other = load_or_make(tmp_path / "one"), load_or_make(tmp_path / "other")

    assert not set(one.values()) & set(other.values())


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    load_or_make(folder)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_permissions_that_were_opened_are_closed_again(tmp_path: Path) -> None:
    load_or_make(tmp_path / "keys")
    (tmp_path / "keys" / "fernet.key").chmod(0o644)
    load_or_make(tmp_path / "keys")

    assert (tmp_path / "keys" / "fernet.key").stat().st_mode & 0o777 == 0o600


def test_they_are_what_airflow_wants(tmp_path: Path) -> None:
    keys = load_or_make(tmp_path)

    assert len(keys.jwt) >= 64
    assert Fernet(keys.fernet).decrypt(Fernet(keys.fernet).encrypt(b"text")) == b"text"
    assert json.loads(keys.passwords_file.read_text()) == {"admin": keys.admin_password}


def test_a_file_left_half_written_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "jwt.new").write_text("half")

    assert len(load_or_make(tmp_path).jwt) >= 64


def test_showing_them_shows_nothing(tmp_path: Path) -> None:
    keys = load_or_make(tmp_path)

    assert not [secret for secret in keys.values() if secret in repr(keys)]


def test_a_user_who_is_new_gets_a_password_and_nobody_elses_changes(tmp_path: Path) -> None:
    before = load_or_make(tmp_path)
    keys = load_or_make(tmp_path, users=["vera"])

    assert keys.admin_password == before.admin_password
    assert json.loads(keys.passwords_file.read_text()) == keys.passwords
    assert keys.passwords["vera"] in keys.values()
    assert keys.passwords_file.stat().st_mode & 0o777 == 0o600
    assert load_or_make(tmp_path, users=["vera"]) == keys


def test_users_are_named_with_their_roles() -> None:
    assert roles_of("") == {"admin": "admin"}
    assert roles_of("vera:viewer,otto:op") == {"admin": "admin", "vera": "viewer", "otto": "op"}


@pytest.mark.parametrize("users", ["vera", "vera:boss", ":op", "vera:op,vera:viewer", "admin:viewer"])
def test_a_user_without_a_name_or_a_role_of_its_own_is_refused(users: str) -> None:
    with pytest.raises(ConfigError, match="viewer, user, op, admin"):
        roles_of(users)
