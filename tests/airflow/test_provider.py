"""What Airflow sees of the package: connection types with their forms, hooks that sign requests, the plugin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from erpflow.airflow.hooks import ErpNextHook, MetakockaHook, SapB1Hook, all_hooks, hook_class
from erpflow.airflow.provider import get_provider_info
from erpflow.connectors.registry import connector_class, systems
from erpflow.errors import ConfigError


def test_every_system_with_a_connector_has_a_connection_type() -> None:
    assert set(all_hooks()) == set(systems())
    declared = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
    assert set(declared) == set(systems())
    assert declared["erpnext"]["ui-field-behaviour"]["relabeling"]["login"] == "API key"


def test_airflow_finds_the_provider_and_its_connection_types() -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    hooks = ProvidersManagerTaskRuntime().hooks
    assert hooks["erpnext"] is not None
    assert hooks["erpnext"].hook_class_name.endswith("ErpNextHook")


def test_the_hook_signs_with_the_connectors_own_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_A_SITE",
        '{"conn_type": "erpnext", "host": "https://erp.example.com", "login": "key", "password": "secret",'
        ' "extra": {"X-Frappe-Site-Name": "one.example.com"}}',
    )
    with ErpNextHook(http_conn_id="a_site").session(connector_class("erpnext")) as (session, account):
        sent = session.prepare_request(requests.Request("GET", f"{account.address}/api/method/ping"))
    assert sent.headers["Authorization"] == "token key:secret"
    assert sent.headers["X-Frappe-Site-Name"] == "one.example.com"


def test_a_key_that_goes_into_the_body_is_put_there_by_the_hooks_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_A_COMPANY",
        '{"conn_type": "metakocka", "host": "https://main.metakocka.si", "login": "16", "password": "a-secret-key"}',
    )
    with MetakockaHook(http_conn_id="a_company").session(connector_class("metakocka")) as (session, account):
        request = requests.Request(
            "POST", f"{account.address}/rest/eshop/v1/search", data=b'{"doc_type":"sales_order"}'
        )
        sent = session.prepare_request(request)
    assert json.loads(sent.body or b"") == {
        "secret_key": "a-secret-key",
        "company_id": "16",
        "doc_type": "sales_order",
    }
    assert int(sent.headers["Content-Length"]) == len(sent.body or b"")


def test_a_connectors_settings_reach_it_and_are_sent_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_BOOKS",
        '{"conn_type": "sap_b1", "host": "https://b1.example.com:50000/b1s/v1", "login": "manager",'
        ' "password": "secret", "extra": {"company_db": "SBODEMOUS", "time_zone": "Europe/Berlin",'
        ' "fields": "customer: U_Tier"}}',
    )
    connector = connector_class("sap_b1")
    with SapB1Hook(http_conn_id="books").session(connector) as (session, account):
        sent = session.prepare_request(requests.Request("GET", f"{account.address}/Items"))
    assert connector.address(account) == "https://b1.example.com:50000"
    assert dict(account.extra) == {
        "company_db": "SBODEMOUS", "time_zone": "Europe/Berlin", "fields": "customer: U_Tier",
    }  # fmt: skip
    assert not {"company_db", "time_zone", "fields"} & set(sent.headers)


def test_a_declared_connector_has_a_connection_type_with_the_fields_it_asks_for() -> None:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    declared = {entry["connection-type"]: entry for entry in get_provider_info()["connection-types"]}
    assert declared["kontor"]["ui-field-behaviour"]["hidden-fields"] == ["schema", "extra", "login"]
    assert declared["kontor"]["ui-field-behaviour"]["relabeling"] == {"host": "Address", "password": "API key"}
    assert set(declared["odoo_demo"]["conn-fields"]) == {"database", "allow_private_networks"}
    hook = ProvidersManagerTaskRuntime().hooks["kontor"]
    assert hook is not None and hook.hook_class_name == "erpflow.airflow.declared_hooks.kontor"


def test_a_declared_connector_signs_and_sends_its_settings_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_OFFICE",
        '{"conn_type": "kontor", "host": "https://kontor.example.com", "password": "secret-key",'
        ' "extra": {"allow_private_networks": true}}',
    )
    connector = connector_class("kontor")
    with hook_class("kontor")(http_conn_id="office").session(connector) as (session, account):
        sent = session.prepare_request(requests.Request("GET", f"{account.address}/api/v1/company"))
    assert sent.headers["Authorization"] == "ApiKey secret-key"
    assert "allow_private_networks" not in sent.headers
    assert connector.may_reach_private(account)


def test_a_broken_declaration_takes_no_other_connection_type_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken.yaml").write_text("system: broken\n")
    monkeypatch.setenv("ERPFLOW_CONNECTORS", str(tmp_path))
    assert {"erpnext", "sap_b1"} <= set(all_hooks()) and "broken" not in all_hooks()
    with pytest.raises(ConfigError, match=r"broken\.yaml:1: title: found nothing"):
        hook_class("broken")


def test_an_unknown_system_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "erpnext"'):
        hook_class("erpnex")
