"""The installer, which must run on whatever Python a machine has."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def installer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("installer_under_test", PROJECT / "stack" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["install.py", "clean.py"])
def test_an_old_python_can_read_what_make_gives_it(name: str) -> None:
    ast.parse((PROJECT / "stack" / name).read_text(encoding="utf-8"), feature_version=(3, 6))


def old_python(folder: Path, name: str) -> None:
    """A program that answers every question as a Python that is too old."""
    program = folder / name
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)


def test_an_old_python_without_a_newer_one_says_what_to_do(
    installer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old_python(tmp_path, "python3.12")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))

    assert installer.main() == 1
    said = capsys.readouterr().err
    assert "needs Python 3.11 or newer" in said
    assert "3.9.2" in said
    assert "make install PYTHON=" in said


def test_an_old_python_hands_over_to_a_newer_one_and_skips_names_that_do_not_run(
    installer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_python(tmp_path, "python3.11")
    good = tmp_path / "python3.13"
    good.write_text('#!/bin/sh\ncase "$1" in -c) exit 0;; esac\necho "$1" > "$OUT"\nexit 42\n')
    good.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin{os.pathsep}/usr/bin")
    monkeypatch.setenv("OUT", str(tmp_path / "called"))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))

    assert installer.main() == 42
    assert (tmp_path / "called").read_text().strip().endswith("stack/install.py")


def test_the_environment_is_made_again_when_a_pin_changes(installer: ModuleType, tmp_path: Path) -> None:
    for name in installer.INPUTS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    before = installer.fingerprint(tmp_path)
    assert before == installer.fingerprint(tmp_path)

    with (tmp_path / "requirements.txt").open("a") as pins:
        pins.write("another==1.0\n")

    assert installer.fingerprint(tmp_path) != before


def test_uv_asks_the_index_that_pip_asks(installer: ModuleType) -> None:
    by_variable = installer.mirror_settings({"PIP_INDEX_URL": "https://mirror.example/simple"}, {})
    by_file = installer.mirror_settings({}, {"index-url": "https://mirror.example/simple", "timeout": "60"})
    own = {"PIP_INDEX_URL": "https://mirror.example/simple", "UV_DEFAULT_INDEX": "https://other.example/simple"}

    assert by_variable == by_file == {"UV_DEFAULT_INDEX": "https://mirror.example/simple"}
    assert installer.mirror_settings(own, {}) == {}
    assert installer.mirror_settings({}, {}) == {}


def test_make_without_any_python_says_what_to_do(tmp_path: Path) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        [make, "-C", str(PROJECT), "install", "PYTHON=no-python-found"], capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "Install Python 3.11 or newer" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
