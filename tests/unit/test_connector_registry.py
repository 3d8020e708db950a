"""Finding a connector, and giving it a session without Airflow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import requests

from erpflow.connectors import registry
from erpflow.connectors.account import Account
from erpflow.connectors.erpnext import ErpNext
from erpflow.connectors.session import base_url, build_session
from erpflow.connectors.signing import TokenAuth
from erpflow.errors import ConfigError

THIRD_PARTY = """
from erpflow.connectors.base import ConnectorSpec
from erpflow.connectors.erpnext import ErpNext

class ThirdParty(ErpNext):
    spec = ConnectorSpec("third_party", "Third Party", ("token",), {})
"""


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Entry points as if packages had been installed: name to `module:attribute`."""
    points: dict[str, str] = {}

    def entry_points(*, group: str) -> list[EntryPoint]:
        return [EntryPoint(name, value, group) for name, value in points.items()]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    registry.connector_class.cache_clear()
    yield points
    registry.connector_class.cache_clear()


def test_a_built_in_system_is_found() -> None:
    assert registry.connector_class("erpnext") is ErpNext
    assert "erpnext" in registry.systems()


def test_an_unknown_system_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "erpnext"'):
        registry.connector_class("erp_next")


def test_an_installed_package_adds_a_system(
    added: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "third_party_connector.py").write_text(THIRD_PARTY)
    monkeypatch.syspath_prepend(tmp_path)
    added["third_party"] = "third_party_connector:ThirdParty"
    assert registry.connector_class("third_party").spec.title == "Third Party"
    assert {"erpnext", "third_party"} <= set(registry.systems())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_module:X", "cannot be imported"),
        ("json:no_such_name", "cannot be imported"),
        ("json:dumps", "not a Connector class"),
        ("erpflow.connectors.erpnext:ErpNext", "says it is for 'erpnext'"),
    ],
)
def test_a_broken_addition_is_named(added: dict[str, str], value: str, said: str) -> None:
    added["broken"] = value
    with pytest.raises(ConfigError, match=said):
        registry.connector_class("broken")


def test_a_broken_addition_does_not_stop_the_others(added: dict[str, str]) -> None:
    added["broken"] = "no_such_module:X"
    assert registry.connector_class("erpnext") is ErpNext


def test_the_registry_imports_no_connector_before_it_is_asked_for() -> None:
    code = "import sys, erpflow.connectors.registry; sys.exit('erpflow.connectors.erpnext' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_build_puts_a_connector_on_a_session() -> None:
    with requests.Session() as session:
        connector = registry.build("erpnext", session, base_url="https://erp.example.com/", page_size=7)
    assert isinstance(connector, ErpNext)


def test_a_bad_address_is_a_config_error() -> None:
    with requests.Session() as session, pytest.raises(ConfigError, match="not an address"):
        registry.build("erpnext", session, base_url="erp.example.com")


def account(login: str | None = None, password: str | None = None, **fields: Any) -> Account:
    return Account("https://erp.example.com", login, password, **fields)


# -- sessions -----------------------------------------------------------------------------------------------------


def test_a_session_signs_with_the_token_scheme() -> None:
    with build_session(ErpNext, account("key1", "secret1")) as session:
        request = session.prepare_request(requests.Request("GET", "https://erp.example.com"))
    assert request.headers["Authorization"] == "token key1:secret1"


def test_a_session_without_a_key_sends_no_credentials() -> None:
    with build_session(ErpNext, account()) as session:
        session.trust_env = False
        request = session.prepare_request(requests.Request("GET", "https://erp.example.com"))
    assert "Authorization" not in request.headers


def test_what_pasting_adds_to_a_credential_is_taken_off() -> None:
    assert TokenAuth(" key1\n", "\tsecret1 ") == TokenAuth("key1", "secret1")


@pytest.mark.parametrize("secret", ["two words", "sécret", "a\r\nX-Evil: 1", "nul\0"])
def test_a_credential_no_header_can_carry_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(ConfigError, match="no header can carry") as raised:
        build_session(ErpNext, account("key1", secret))
    assert secret not in str(raised.value)


def test_credentials_do_not_show_in_a_repr() -> None:
    assert repr(TokenAuth("key1", "secret1")) == "TokenAuth(***)"


def test_extra_options_reach_the_session() -> None:
    proxies = {"https": "http://proxy"}
    extra: dict[str, Any] = {"verify": False, "proxies": proxies, "X-Frappe-Site-Name": "a", "timeout": 5}
    with build_session(ErpNext, account(extra=extra)) as session:
        assert session.verify is False
        assert session.proxies == proxies
        assert session.headers["X-Frappe-Site-Name"] == "a"


def test_what_a_form_left_empty_is_not_an_option() -> None:
    with build_session(ErpNext, account(extra={"X-Frappe-Site-Name": None, "verify": ""})) as session:
        assert "X-Frappe-Site-Name" not in session.headers and session.verify is True


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"verfy": False}, 'did you mean "verify"'),
        ({"verify": 3}, "must be bool or str"),
        ({"proxies": "x"}, "must be dict"),
    ],
)
def test_an_extra_option_that_is_wrong_is_named(extra: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_session(ErpNext, account(extra=extra))


@pytest.mark.parametrize(
    ("host", "schema", "port", "url"),
    [
        ("erp.example.com", None, None, "https://erp.example.com"),
        ("erp.example.com", "http", 8000, "http://erp.example.com:8000"),
        ("https://erp.example.com/", "http", None, "https://erp.example.com"),
        ("http://127.0.0.1/erpnext", None, 8000, "http://127.0.0.1:8000/erpnext"),
        ("http://127.0.0.1:9000/erpnext/", None, 8000, "http://127.0.0.1:9000/erpnext"),
    ],
)
def test_an_address_is_put_together_from_a_connections_fields(
    host: str, schema: str | None, port: int | None, url: str
) -> None:
    assert base_url(host, schema=schema, port=port) == url
