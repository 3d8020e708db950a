"""The secrets of an installation: made once, long enough, for their owner's eyes only."""

from __future__ import annotations

import json
from pathlib import Path

from cryptography.fernet import Fernet

from stack.keys import load_or_make


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
