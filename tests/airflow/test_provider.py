"""What Airflow sees of the package: connection types with their forms, hooks that sign requests, the plugin."""

from __future__ import annotations

import json

import pytest
import requests

from erpflow.airflow.hooks import HOOKS, ErpNextHook, MetakockaHook, SapB1Hook, hook_class
from erpflow.airflow.provider import get_provider_info
from erpflow.connectors.registry import connector_class, systems
from erpflow.errors import ConfigError


def test_every_system_with_a_connector_has_a_connection_type() -> None:
    assert set(HOOKS) == set(systems())
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


def test_an_unknown_system_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "erpnext"'):
        hook_class("erpnex")
