"""Accounts by the API: what goes in and what is shown of it, what the vendor says, and that tenants stay apart."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from erpflow.api.rights import Right
from erpflow.connectors import registry
from erpflow.connectors.base import ConnectorSpec
from erpflow.connectors.erpnext import ErpNext
from erpflow.services import connecting
from erpflow.services import installation as found
from erpflow.store.vault import Vault
from tests.calling import ALL, Api
from tests.integration.conftest import API_KEY, API_SECRET, Installation, Sandbox

PATH = "/api/erp/connections"
SECRET = "CANARY-of-the-secret"
NOBODY = "00000000-0000-0000-0000-00000000dead"


def shop(url: str = "https://erp.example.com", **changes: Any) -> dict[str, Any]:
    return {"name": "shop", "system": "erpnext", "url": url, "login": "key-1", "password": SECRET, **changes}


def made(api: Api, **changes: Any) -> dict[str, Any]:
    answer = api.client.post(PATH, json=shop(**changes))
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def kept(conn_id: str) -> Any:
    return Vault.from_environment(found.home()).read(conn_id)


class Books(ErpNext):
    """A system with settings, one of them a secret."""

    spec = ConnectorSpec(
        system="books",
        title="Books",
        auth=("key",),
        entities={},
        settings={"company": "Its name.", "pin": "Its PIN."},
        secret_settings=frozenset({"pin"}),
        required_settings=frozenset({"company"}),
        credentials=frozenset({"password"}),
    )


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(registry._BUILT_IN, "books", f"{__name__}:Books")
    registry.connector_class.cache_clear()
    yield
    registry.connector_class.cache_clear()


def test_a_new_connection_keeps_its_secret_in_airflow_and_shows_it_nowhere(
    api: Api, installation: Installation
) -> None:
    created = made(api, options={"branch": "north"})
    assert created["airflow_conn_id"] == "shop"
    assert (created["login"], created["password"]) == ("***", "***")
    assert created["status"] == "unknown"
    assert created["options"] == {"branch": "north"}
    assert kept("shop").password.reveal() == SECRET
    assert (kept("shop").login, kept("shop").host) == ("key-1", "https://erp.example.com")
    shown = api.client.get(PATH).text + api.client.get(f"{PATH}/{created['id']}").text
    assert SECRET not in shown
    assert "key-1" not in shown
    rows = str(installation.rows("SELECT to_jsonb(c)::text FROM erpflow.erp_connections c"))
    assert SECRET not in rows


def test_a_new_connection_syncs_what_its_system_has_mappings_for(api: Api) -> None:
    assert made(api)["entities"] == ["customer", "order", "product"]


def test_a_login_that_is_no_secret_is_shown(api: Api) -> None:
    created = made(api, name="stock", system="metakocka", login="16")
    assert (created["login"], created["password"]) == ("16", "***")


def test_settings_are_shown_unless_they_are_secret(api: Api, books: None) -> None:
    created = made(api, name="b", system="books", settings={"company": "Larkspur", "pin": SECRET})
    assert created["settings"] == {"company": "Larkspur", "pin": "***"}
    without = made(api, name="c", system="books", settings={"company": "Larkspur"})
    assert without["settings"] == {"company": "Larkspur", "pin": None}


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"system": "erpnxt"}, "system", "erpnext"),
        ({"url": "ftp://x"}, "url", "is not an address"),
        ({"url": "https://user:CANARY@x.example"}, "url", "more than an address"),
        ({"password": None}, "password", "wants a password"),
        ({"login": ""}, "login", "wants a login"),
        ({"password": "***"}, "password", "only stands for a secret"),
        ({"settings": {"companny": "x"}}, "settings.companny", "no setting"),
        ({"system": "sap_b1"}, "settings.company_db", "wants the setting company_db"),
        ({"name": "a\nb"}, "name", "pattern"),
        ({"colour": "red"}, "colour", "not permitted"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(
    api: Api, installation: Installation, changes: dict[str, Any], field: str, said: str
) -> None:
    refused = api.client.post(PATH, json=shop(**changes))
    assert refused.status_code == 422
    assert (refused.json()["field"], said in refused.json()["detail"]) == (field, True), refused.text
    assert "CANARY" not in refused.text
    assert installation.rows("SELECT FROM erpflow.erp_connections") == []
    assert not Vault.from_environment(found.home()).knows("shop")


def test_a_name_is_given_once(api: Api) -> None:
    made(api)
    refused = api.client.post(PATH, json=shop(password="another"))
    assert (refused.status_code, refused.json()["field"]) == (422, "name")
    assert kept("shop").password.reveal() == SECRET


def test_what_airflow_has_already_is_not_taken_over(api: Api) -> None:
    vault = Vault.from_environment(found.home())
    vault.write(connecting.credentials("shop", "postgres", "https://db", login="app", password="db", extra={}))
    created = made(api)
    assert created["airflow_conn_id"].startswith("shop_")
    assert kept("shop").password.reveal() == "db"


def test_a_secret_that_cannot_be_kept_leaves_no_connection(
    api: Api, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    refused = api.client.post(PATH, json=shop())
    assert refused.status_code == 422
    assert "AIRFLOW__CORE__FERNET_KEY" in refused.json()["detail"]
    assert installation.rows("SELECT FROM erpflow.erp_connections") == []


def test_two_tenants_may_use_one_name_and_never_see_each_other(api: Api) -> None:
    ours = made(api)
    other = api.as_key(api.key(*ALL, tenant_id=api.tenant("acme")))
    theirs = other.post(PATH, json=shop(password="theirs")).json()
    assert (ours["airflow_conn_id"], theirs["airflow_conn_id"]) == ("shop", "acme__shop")
    assert kept("acme__shop").password.reveal() == "theirs"
    assert [row["id"] for row in other.get(PATH).json()["items"]] == [theirs["id"]]
    at = f"{PATH}/{ours['id']}"
    for answer in (
        other.get(at),
        other.put(at, json={"password": "x"}),
        other.delete(at),
        other.post(f"{at}/test"),
    ):
        assert answer.status_code == 404
        assert answer.json()["detail"] == api.client.get(f"{PATH}/{NOBODY}").json()["detail"].replace(
            NOBODY, ours["id"]
        )
    assert kept("shop").password.reveal() == SECRET


def test_the_list_is_filtered_by_system_and_status(api: Api) -> None:
    made(api)
    stock = made(api, name="stock", system="metakocka", login="16")
    api.client.put(f"{PATH}/{stock['id']}", json={"disabled": True})
    names = [
        [row["name"] for row in api.client.get(PATH, params=query).json()["items"]]
        for query in ({}, {"system": "erpnext"}, {"status": "disabled"}, {"system": "erpnext", "status": "disabled"})
    ]
    assert names == [["stock", "shop"], ["shop"], ["stock"], []]


def test_what_is_left_out_of_a_change_stays(api: Api) -> None:
    created = made(api)
    changed = api.client.put(f"{PATH}/{created['id']}", json={"name": "store", "options": {"a": 1}}).json()
    assert (changed["name"], changed["options"], changed["airflow_conn_id"]) == ("store", {"a": 1}, "shop")
    assert kept("shop").password.reveal() == SECRET


def test_a_secret_is_rotated_and_the_status_is_open_again(api: Api, installation: Installation) -> None:
    created = made(api)
    with installation.database.transaction() as connection:
        connection.execute(
            "UPDATE erpflow.erp_connections SET status = 'error', status_message = 'refused',"
            " secret_rotated_at = now() - interval '1 year'"
        )
    changed = api.client.put(f"{PATH}/{created['id']}", json={"password": "next"}).json()
    assert kept("shop").password.reveal() == "next"
    assert kept("shop").login == "key-1"
    assert (changed["status"], changed["status_message"]) == ("unknown", None)
    young = "SELECT secret_rotated_at > now() - interval '1 minute' FROM erpflow.erp_connections"
    assert installation.rows(young) == [(True,)]


def test_what_was_shown_and_is_sent_back_changes_nothing(api: Api, books: None) -> None:
    created = made(api, name="b", system="books", settings={"company": "Larkspur", "pin": SECRET})
    back = {name: created[name] for name in ("name", "url", "login", "password", "settings", "options")}
    assert api.client.put(f"{PATH}/{created['id']}", json=back).status_code == 200
    assert kept("b").password.reveal() == SECRET
    assert kept("b").extra["pin"] == SECRET


def test_a_setting_that_is_null_goes_unless_it_is_needed(api: Api, books: None) -> None:
    created = made(api, name="b", system="books", settings={"company": "Larkspur", "pin": SECRET})
    at = f"{PATH}/{created['id']}"
    assert api.client.put(at, json={"settings": {"pin": None}}).json()["settings"]["pin"] is None
    refused = api.client.put(at, json={"settings": {"company": None}})
    assert (refused.status_code, refused.json()["field"]) == (422, "settings.company")
    assert kept("b").extra == {"company": "Larkspur"}


def test_a_kept_secret_does_not_follow_to_another_host(api: Api) -> None:
    at = f"{PATH}/{made(api)['id']}"
    refused = api.client.put(at, json={"url": "https://elsewhere.example"})
    assert (refused.status_code, refused.json()["field"]) == (422, "password")
    assert kept("shop").host == "https://erp.example.com"
    assert api.client.put(at, json={"url": "https://erp.example.com/site"}).status_code == 200
    assert api.client.put(at, json={"url": "https://elsewhere.example", "password": "new"}).status_code == 200
    assert kept("shop").host == "https://elsewhere.example"


def test_a_deleted_connection_takes_its_configs_and_its_secret_along(api: Api, installation: Installation) -> None:
    created = made(api)
    assert api.client.delete(f"{PATH}/{created['id']}").status_code == 204
    assert api.client.get(f"{PATH}/{created['id']}").status_code == 404
    assert installation.rows("SELECT FROM erpflow.erp_sync_configs") == []
    assert not Vault.from_environment(found.home()).knows("shop")


def test_what_a_deleted_connection_synced_stays(erpnext_api: Api, connected: Installation) -> None:
    assert connected.run("sync", "run", "demo", "customer").status in (0, 2)
    synced = connected.rows("SELECT id FROM app.customers")
    assert synced
    [row] = erpnext_api.client.get(PATH).json()["items"]
    assert erpnext_api.client.delete(f"{PATH}/{row['id']}").status_code == 204
    assert connected.rows("SELECT FROM erpflow.erp_sync_logs") == []
    assert connected.rows("SELECT id FROM app.customers") == synced


def test_the_vendor_is_asked_and_its_answer_kept(erpnext_api: Api) -> None:
    [row] = erpnext_api.client.get(PATH).json()["items"]
    tested = erpnext_api.client.post(f"{PATH}/{row['id']}/test")
    assert (tested.status_code, tested.json()["success"]) == (200, True), tested.text
    assert 0 < tested.json()["latency"] < 30_000
    after = erpnext_api.client.get(f"{PATH}/{row['id']}").json()
    assert after["status"] == "active"
    assert after["account"] == tested.json()["account"]
    assert after["last_checked_at"] is not None


def test_a_vendors_no_is_an_answer(api: Api, sandbox: Sandbox) -> None:
    created = made(api, url=sandbox.erpnext, login=API_KEY, password="wrong")
    tested = api.client.post(f"{PATH}/{created['id']}/test")
    assert (tested.status_code, tested.json()["success"]) == (200, False)
    assert API_SECRET not in tested.text
    assert api.client.get(f"{PATH}/{created['id']}").json()["status"] == "error"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://127.0.0.1:9"}, "127.0.0.1"),
        ({"system": "zoho_crm", "url": "https://www.zohoapis.eu"}, "has not been connected yet"),
    ],
)
def test_a_vendor_that_cannot_be_asked_is_an_answer_too(api: Api, changes: dict[str, Any], said: str) -> None:
    created = made(api, **changes)
    tested = api.client.post(f"{PATH}/{created['id']}/test")
    assert (tested.status_code, tested.json()["success"]) == (200, False)
    assert said in tested.json()["message"]


def test_nobody_waits_for_a_vendor_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = threading.Event()

    @contextmanager
    def silent() -> Iterator[Any]:
        ends.wait(60)
        yield None

    started = time.monotonic()
    tried = connecting.try_account(silent, patience=0.05)
    ends.set()
    assert time.monotonic() - started < 10
    assert (tried.result.success, tried.status) == (False, "error")
    assert "no answer within 0.05 seconds" in tried.result.message


def test_rights_are_kept(api: Api) -> None:
    created = made(api)
    looking, at = api.as_key(api.key(Right.LOOK)), f"{PATH}/{created['id']}"
    assert looking.get(at).status_code == 200
    for answer in (
        looking.post(PATH, json=shop(name="x")),
        looking.put(at, json={}),
        looking.delete(at),
        looking.post(f"{at}/test"),
    ):
        assert answer.status_code == 403
    assert api.nobody().get(PATH).status_code == 401


def test_a_secret_that_cannot_be_read_is_said_and_the_list_stands(api: Api) -> None:
    created = made(api)
    Vault.from_environment(found.home()).delete("shop")
    [row] = api.client.get(PATH).json()["items"]
    assert (row["id"], row["password"]) == (created["id"], None)
    assert 'no Airflow connection "shop"' in row["secret_problem"]
