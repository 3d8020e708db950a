"""Who is let in: people with Airflow's login, programs with keys; each for one tenant."""

from __future__ import annotations

import pytest

from erpflow.api.rights import Right
from erpflow.store import connections, tenants
from tests.calling import Api

KEYS = "/api/erp/api-keys"
LOGS = "/api/erp/sync-logs"
NEW = {"name": "shop"}


def member(api: Api, slug: str, user_name: str) -> None:
    with api.database.transaction() as connection:
        tenants.add_member(connection, tenants.get_tenant(connection, slug).id, user_name)


def test_without_a_login_or_a_key_nothing_is_shown(api: Api) -> None:
    refused = api.nobody().get(LOGS)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert api.nobody().get("/api/erp/health").json()["status"] == "ok"


@pytest.mark.parametrize("key", ["erp_", "erp_nothing", "erp_\u00fc", "Bearer", "erp_" + "x" * 10_000])
def test_a_key_that_is_none_opens_nothing(api: Api, key: str) -> None:
    assert api.nobody().get(LOGS, headers={"Authorization": f"Bearer {key}".encode()}).status_code == 401


@pytest.mark.parametrize(
    ("role", "reads", "configures"),
    [("viewer", 200, 403), ("user", 200, 403), ("op", 200, 201), ("admin", 200, 201), ("stranger", 401, 401)],
)
def test_people_do_what_their_role_in_airflow_lets_them(api: Api, role: str, reads: int, configures: int) -> None:
    person = api.as_person(role)
    assert person.get(LOGS).status_code == reads
    assert person.post(KEYS, json=NEW).status_code == configures


def test_a_write_on_a_cookie_needs_a_header_that_no_other_site_can_send(api: Api) -> None:
    browser = api.as_person("admin", cookie=True)
    assert browser.get(LOGS).status_code == 200
    refused = browser.post(KEYS, json=NEW)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    assert browser.post(KEYS, json=NEW, headers={"X-ERP-CSRF": "1"}).status_code == 201
    assert browser.post(KEYS, json=NEW, headers={"HX-Request": "true"}).status_code == 201
    assert api.as_person("admin").post(KEYS, json=NEW).status_code == 201


def test_people_act_for_the_tenants_they_belong_to(api: Api) -> None:
    api.tenant("acme")
    acme = {"X-ERP-Tenant": "acme"}
    assert api.as_person("viewer", **acme).get(LOGS).status_code == 403
    member(api, "acme", "viewer")
    assert api.as_person("viewer", **acme).get(LOGS).status_code == 200
    assert api.as_person("user", **acme).get(LOGS).status_code == 403
    assert api.as_person("admin", **acme).get(LOGS).status_code == 200


def test_a_tenant_that_is_not_there_and_one_that_is_not_yours_look_alike(api: Api) -> None:
    api.tenant("acme")
    not_there, not_mine = (api.as_person("viewer", **{"X-ERP-Tenant": slug}).get(LOGS) for slug in ("nobody", "acme"))
    assert not_there.json()["detail"].replace("nobody", "acme") == not_mine.json()["detail"]


def test_the_default_tenant_is_everybodys_until_it_has_members(api: Api) -> None:
    assert api.as_person("viewer").get(LOGS).status_code == 200
    member(api, "default", "somebody")
    assert api.as_person("viewer").get(LOGS).status_code == 403


def test_the_only_tenant_of_a_person_need_not_be_named(api: Api) -> None:
    tenant_id = api.tenant("acme")
    member(api, "acme", "op")
    made = api.as_person("op").post(KEYS, json={"name": "of acme"})
    with api.database.transaction() as connection:
        found = connection.execute(
            "SELECT tenant_id::text FROM erpflow.erp_api_keys WHERE id = %s", (made.json()["id"],)
        )
        assert found.fetchone() == (tenant_id,)


def test_a_program_sees_its_own_company_only(api: Api) -> None:
    tenant_id = api.tenant("acme")
    with api.database.transaction() as connection:
        connections.add_connection(connection, "theirs", system="erpnext")
    theirs = api.as_key(api.key(*Right, tenant_id=tenant_id))
    made = api.client.post(KEYS, json=NEW).json()
    assert made["id"] not in theirs.get(KEYS).text
    assert theirs.delete(f"{KEYS}/{made['id']}").status_code == 404
    # A key names its tenant; a header does not change it.
    assert made["id"] not in theirs.get(KEYS, headers={"X-ERP-Tenant": "default"}).text
