"""Fails when requirements.txt is not a lock of requirements.in, or not what is installed; needs no network."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
NEXT = "Run: make lock"


def requirements(text: str) -> list[Requirement]:
    """The requirements of a file, without its comments."""
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


def complaints(wanted: list[Requirement], locked: list[Requirement]) -> Iterator[str]:
    """One sentence for each requirement without a fitting pin, and for each pin nothing asks for any more."""
    pins = {canonicalize_name(pin.name): pin for pin in locked if pin.marker is None or pin.marker.evaluate()}
    needed: set[str] = set()
    for requirement in wanted:
        yield from _fits(requirement, pins=pins, asked_by="requirements.in")
    queue = [(str(canonicalize_name(need.name)), need.extras) for need in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while queue:
        name, extras = queue.pop()
        key = (name, frozenset(extras))
        if key in seen or name not in pins:
            continue
        seen.add(key)
        needed.add(name)
        try:
            dependencies = distribution(name).requires or []
        except PackageNotFoundError:
            yield f"requirements.txt pins {name}, which is not installed. Run: make install"
            continue
        for dependency in _active(dependencies, extras=extras):
            yield from _fits(dependency, pins=pins, asked_by=name)
            queue.append((str(canonicalize_name(dependency.name)), dependency.extras))
    for name in sorted(set(pins) - needed):
        yield f"requirements.txt pins {name}, but nothing asks for it. {NEXT}"


def _fits(requirement: Requirement, *, pins: dict[str, Requirement], asked_by: str) -> Iterator[str]:
    if requirement.marker is not None and "extra" not in str(requirement.marker) and not requirement.marker.evaluate():
        return
    pin = pins.get(canonicalize_name(requirement.name))
    if pin is None:
        yield f"{asked_by} asks for {requirement.name}, which requirements.txt does not pin. {NEXT}"
        return
    version = next(iter(pin.specifier)).version
    if not requirement.specifier.contains(version, prereleases=True):
        yield f"{asked_by} asks for {requirement}, but requirements.txt pins {version}. {NEXT}"


def _active(dependencies: list[str], *, extras: set[str]) -> Iterator[Requirement]:
    environment = dict(default_environment())
    for text in dependencies:
        requirement = Requirement(text)
        wanted = [requirement.marker is None or requirement.marker.evaluate({**environment, "extra": ""})]
        wanted += [
            requirement.marker is not None and requirement.marker.evaluate({**environment, "extra": extra})
            for extra in extras
        ]
        if any(wanted):
            yield requirement


def main() -> int:
    """Print the complaints; a status for the shell."""
    wanted = requirements((ROOT / "requirements.in").read_text(encoding="utf-8"))
    locked = requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    found = sorted(set(complaints(wanted, locked)))
    for line in found:
        sys.stderr.write(line + "\n")
    if not found:
        sys.stdout.write(f"The lock is current: {len(locked)} pins.\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
