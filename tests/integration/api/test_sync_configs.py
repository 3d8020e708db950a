"""Sync configs: made of mapping files, changed for one connection, gone with everything they had."""

from __future__ import annotations

from erpflow.api.rights import Right
from erpflow.mapping.load import load_mapping
from erpflow.store import connections
from erpflow.sync.configure import configure
from erpflow.vocabulary import ConnectionId
from tests.calling import ALL, Api
from tests.integration.conftest import Installation

BASE = "/api/erp/sync-configs"


def test_a_config_says_what_is_synced_with_what(erpnext_api: Api, config_ids: dict[str, str]) -> None:
    shown = erpnext_api.client.get(f"{BASE}/{config_ids['customer']}").json()
    assert (shown["connection"], shown["system"], shown["entity"]) == ("demo", "erpnext", "customer")
    assert (shown["local_table"], shown["remote_object"]) == ("app.customers", "Customer")
    assert (shown["direction"], shown["conflict"], shown["every"]) == ("bidirectional", "newest_wins", "PT30M")
    assert (shown["enabled"], shown["cursor_at"], shown["last_runs"], shown["overridden"]) == (True, None, [], [])


def test_the_last_run_is_shown_with_how_far_it_came(
    erpnext_api: Api, connected: Installation, config_ids: dict[str, str]
) -> None:
    assert connected.run("sync", "run", "demo", "product").status in (0, 2)
    shown = erpnext_api.client.get(f"{BASE}/{config_ids['product']}").json()
    assert [run["direction"] for run in shown["last_runs"]] == ["pull"]
    assert all(run["finished_at"] for run in shown["last_runs"])
    assert shown["cursor_at"] is not None


def test_configs_are_found_by_entity_and_paged(erpnext_api: Api) -> None:
    found = erpnext_api.client.get(BASE, params={"entity": "order"}).json()["items"]
    assert [row["entity"] for row in found] == ["order"]
    first = erpnext_api.client.get(BASE, params={"limit": 2}).json()
    rest = erpnext_api.client.get(BASE, params={"limit": 2, "after": first["next"]}).json()
    entities = [row["entity"] for row in first["items"] + rest["items"]]
    assert (sorted(entities), rest["next"]) == (["customer", "order", "product"], None)


def test_a_deleted_config_is_made_again_from_its_file(erpnext_api: Api, config_ids: dict[str, str]) -> None:
    connection_id = erpnext_api.client.get(f"{BASE}/{config_ids['product']}").json()["connection_id"]
    body = {"connectionId": connection_id, "entity": "product", "every": "2h"}
    refused = erpnext_api.client.post(BASE, json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "exists")
    assert erpnext_api.client.delete(f"{BASE}/{config_ids['product']}").status_code == 204
    assert erpnext_api.client.get(f"{BASE}/{config_ids['product']}").status_code == 404
    made = erpnext_api.client.post(BASE, json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["every"], made.json()["local_table"]) == ("PT2H", "app.products")
    assert made.json()["id"] != config_ids["product"]


def test_a_frequency_is_written_either_way(erpnext_api: Api, config_ids: dict[str, str]) -> None:
    for written, read in (("45m", "PT45M"), ("PT1H30M", "PT1H30M"), ("P1D", "P1D")):
        changed = erpnext_api.client.put(f"{BASE}/{config_ids['customer']}", json={"frequency": written})
        assert (changed.status_code, changed.json()["every"]) == (200, read)


def test_what_is_changed_here_outlives_another_look_at_the_file(
    erpnext_api: Api, connected: Installation, config_ids: dict[str, str]
) -> None:
    change = {"direction": "pull", "conflictStrategy": "remote_wins", "enabled": False}
    changed = erpnext_api.client.put(f"{BASE}/{config_ids['customer']}", json=change)
    assert changed.status_code == 200, changed.text
    mapping = load_mapping(connected.mappings / "erpnext" / "customer.yaml")
    with connected.database.transaction() as connection:
        configure(connection, ConnectionId(changed.json()["connection_id"]), mapping, path="erpnext/customer.yaml")
    shown = erpnext_api.client.get(f"{BASE}/{config_ids['customer']}").json()
    assert (shown["direction"], shown["conflict"], shown["enabled"]) == ("pull", "remote_wins", False)
    assert shown["overridden"] == ["conflict", "direction"]


def test_a_direction_that_the_mapping_cannot_go_is_refused(
    erpnext_api: Api, connected: Installation, config_ids: dict[str, str]
) -> None:
    path = connected.mappings / "erpnext" / "product.yaml"
    text = path.read_text().replace("direction: bidirectional", "direction: pull")
    path.write_text(text)
    refused = erpnext_api.client.put(f"{BASE}/{config_ids['product']}", json={"direction": "bidirectional"})
    assert (refused.status_code, refused.json()["field"]) == (422, "direction")


def test_a_wrong_change_names_the_field(erpnext_api: Api, config_ids: dict[str, str]) -> None:
    for name, value in (("direction", "sideways"), ("every", "soon"), ("every", "PT0S"), ("cursor", "now")):
        refused = erpnext_api.client.put(f"{BASE}/{config_ids['customer']}", json={name: value})
        assert (refused.status_code, refused.json()["field"]) == (422, name)


def test_an_entity_without_a_mapping_names_the_nearest(erpnext_api: Api, config_ids: dict[str, str]) -> None:
    connection_id = erpnext_api.client.get(f"{BASE}/{config_ids['order']}").json()["connection_id"]
    refused = erpnext_api.client.post(BASE, json={"connection_id": connection_id, "entity": "costumer"})
    assert (refused.status_code, refused.json()["field"]) == (422, "entity")
    assert 'did you mean "customer"?' in refused.json()["detail"]


def test_another_companys_config_is_not_there(erpnext_api: Api, config_ids: dict[str, str]) -> None:
    other = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    one = f"{BASE}/{config_ids['customer']}"
    assert other.get(BASE).json()["items"] == []
    statuses = [other.get(one), other.put(one, json={"enabled": False}), other.delete(one)]
    assert [answer.status_code for answer in statuses] == [404, 404, 404]
    connection_id = erpnext_api.client.get(one).json()["connection_id"]
    stolen = other.post(BASE, json={"connection_id": connection_id, "entity": "customer"})
    assert stolen.status_code == 404
    assert erpnext_api.client.get(one).json()["enabled"] is True


def test_who_only_looks_changes_nothing(erpnext_api: Api, config_ids: dict[str, str]) -> None:
    looking = erpnext_api.as_key(erpnext_api.key(Right.LOOK, Right.RUN, Right.RESOLVE))
    one = f"{BASE}/{config_ids['customer']}"
    assert looking.get(one).status_code == 200
    answers = [looking.put(one, json={"enabled": False}), looking.delete(one), looking.post(BASE, json={})]
    assert [answer.status_code for answer in answers] == [403, 403, 403]


def test_a_connection_of_a_system_without_mappings_is_told(erpnext_api: Api, connected: Installation) -> None:
    with connected.database.transaction() as connection:
        made = connections.add_connection(connection, "empty", system="nothing")
    refused = erpnext_api.client.post(BASE, json={"connection_id": made.id, "entity": "customer"})
    assert (refused.status_code, refused.json()["field"]) == (422, "entity")
