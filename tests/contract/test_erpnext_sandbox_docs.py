"""docs/sandbox.md names every option, route, fault and user of the sandbox, and no other."""

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from sandbox.control import create_control
from sandbox.erpnext import control_routes
from sandbox.erpnext.control import SWITCHES
from sandbox.erpnext.masters import fresh_site
from sandbox.erpnext.users import default_users
from sandbox.faults import KINDS, Fault
from sandbox.host import VENDORS, Host
from sandbox.server import read_arguments
from sandbox.vendor import SeedPlan

PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")


def test_every_route_of_the_side_door_is_described() -> None:
    common = create_control(Host(SeedPlan(sizes={"customers": 0, "items": 0, "orders": 0}))).routes
    routes = {f"/_sandbox{route.path}" for route in common if isinstance(route, Route)}
    routes |= {f"/_sandbox/erpnext{route.path}" for route in control_routes(fresh_site())}
    described = set(re.findall(r"`(?:GET|POST|DELETE) (/_sandbox/[a-z/]+)`", PAGE))
    others = tuple(f"/_sandbox/{name}/" for name in VENDORS if name != "erpnext")  # each has a test of its own
    assert {path for path in described if not path.startswith(others)} == routes


def test_every_option_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_arguments(["--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    described = set(re.findall(r"`(--[a-z-]+)`", PAGE))
    assert described == options


def test_every_fault_and_its_fields_are_described() -> None:
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    assert set(KINDS) <= rows
    assert all(f"`{name}`" in PAGE for name in Fault.FIELDS if name != "kind")


def test_every_switch_and_user_is_described() -> None:
    assert all(f"`{name}`" in PAGE for name in SWITCHES)
    for user in default_users():
        assert f"`token {user.api_key}:{user.api_secret}`" in PAGE
