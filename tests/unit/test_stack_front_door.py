"""The files at the front door: Makefile, compose file, sample settings, hooks, and the checks of the lint."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

PROJECT = Path(__file__).parents[2]
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
    return loaded


def check_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ci_{name}", PROJECT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_make_help_lists_every_target_with_its_line() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, flags=re.MULTILINE))
    said = subprocess.run(["make", "-C", str(PROJECT), "help"], capture_output=True, text=True, check=True).stdout
    listed = dict(re.findall(r"^  make ([a-z-]+)\s+(\S.*)$", said, flags=re.MULTILINE))

    assert set(listed) == targets


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, flags=re.MULTILINE)
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, flags=re.MULTILINE))

    assert phony is not None
    assert set(phony[1].split()) == targets


def test_compose_runs_the_four_processes_of_airflow_on_a_migrated_database(compose: dict[str, Any]) -> None:
    services = compose["services"]

    assert set(services) == {"postgres", "migrate", "api-server", "scheduler", "dag-processor", "triggerer"}
    for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert services[name]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_compose_gives_every_process_the_same_secrets(compose: dict[str, Any]) -> None:
    for secret in ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY"):
        values = {service["environment"][secret] for name, service in compose["services"].items() if name != "postgres"}
        assert len(values) == 1


def test_compose_publishes_ports_on_the_loopback_address_only(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_compose_mounts_only_volumes_and_configs_it_declares(compose: dict[str, Any]) -> None:
    used = {volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])}
    configs = {config["source"] for service in compose["services"].values() for config in service.get("configs", [])}

    assert used == set(compose["volumes"])
    assert configs == set(compose["configs"])


def test_every_variable_of_compose_is_in_the_sample_settings() -> None:
    text = (PROJECT / "docker-compose.yaml").read_text(encoding="utf-8")
    sample = (PROJECT / ".env.example").read_text(encoding="utf-8")

    for name in set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text)):
        assert re.search(rf"^#?{name}=", sample, flags=re.MULTILINE), f"{name} is not in .env.example"


def test_every_hook_runs_something_of_the_project() -> None:
    hooks = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))

    for repository in hooks["repos"]:
        assert repository["repo"] == "local"  # nothing is downloaded
        for hook in repository["hooks"]:
            assert hook["entry"].startswith(".venv/bin/")


def test_a_module_that_does_not_fit_in_a_head_is_told(tmp_path: Path) -> None:
    check = check_script("check_modules")
    folder = tmp_path / "stack"
    folder.mkdir()
    (folder / "long.py").write_text("x = 1\n" * 601)
    (folder / "fits.py").write_text("x = 1\n" * 600)
    (folder / "utils.py").write_text("")

    told = list(check.complaints(tmp_path))

    assert len(told) == 2
    assert "stack/long.py has 601 lines" in told[0]
    assert "stack/utils.py has a name that says nothing" in told[1]


@pytest.mark.parametrize(
    ("wanted", "locked", "complaint"),
    [
        (["ruff"], ["ruff==1.0"], None),
        (["ruff>=2"], ["ruff==1.0"], "asks for ruff>=2, but requirements.txt pins 1.0"),
        (["ruff", "mypy"], ["ruff==1.0"], "asks for mypy, which requirements.txt does not pin"),
        (["ruff"], ["ruff==1.0", "left-over==1.0"], "left-over, but nothing asks for it"),
        (["no-such-thing"], ["no-such-thing==1.0"], "which is not installed"),
        (["pytest"], ["pytest==1.0"], "pytest asks for iniconfig, which requirements.txt does not pin"),
    ],
)
def test_a_stale_lock_is_told(wanted: list[str], locked: list[str], complaint: str | None) -> None:
    check = check_script("check_lock")

    told = "\n".join(check.complaints([Requirement(line) for line in wanted], [Requirement(line) for line in locked]))

    assert (complaint in told) if complaint else not told


def test_the_licence_is_the_whole_apache_text() -> None:
    text = (PROJECT / "LICENSE").read_text(encoding="utf-8")

    assert "Version 2.0, January 2004" in text
    assert "APPENDIX: How to apply the Apache License to your work." in text
    assert len(text.splitlines()) == 202
