"""Reconciliations over REST: started, with its id at once; its findings page by page; a repair when it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from erpflow.api.rights import Right
from tests.calling import ALL, Api
from tests.integration.conftest import Installation
from tests.integration.test_cli_reconcile import PRODUCT

LOST = "DELETE FROM app.products WHERE id IN (SELECT id FROM app.products ORDER BY id LIMIT 3) RETURNING 1"
BENT = "UPDATE app.products SET name = 'Bent' WHERE id = (SELECT max(id) FROM app.products) RETURNING 1"


@pytest.fixture
def where(erpnext_api: Api, connected: Installation, config_ids: dict[str, str]) -> str:
    """The config of products, all synced; then three rows are lost here, and one is bent."""
    (connected.mappings / "erpnext" / "product.yaml").write_text(PRODUCT)
    body = {"sync_config_id": config_ids["product"]}
    assert erpnext_api.client.post("/api/erp/sync", json=body).json()["status"] == "completed"
    connected.rows(LOST)
    connected.rows(BENT)
    return f"/api/erp/sync-configs/{config_ids['product']}/reconcile"


def read(api: Api, reconciliation_id: str, **params: Any) -> dict[str, Any]:
    answer = api.client.get(f"/api/erp/reconciliations/{reconciliation_id}", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_findings_name_each_record_and_are_read_page_by_page(erpnext_api: Api, where: str) -> None:
    started = erpnext_api.client.post(where)
    assert started.status_code == 202, started.text
    dag_id, conf, run_id = erpnext_api.runs.asked[-1]
    assert (dag_id, conf.keys()) == ("erpnext__product__reconcile", {"config"})
    assert (started.json()["dag_run_id"], started.json()["status"]) == (run_id, "findings")
    assert started.json()["found"] == {"missing_here": 3, "different": 1}
    first = read(erpnext_api, started.json()["id"], limit=3)
    rest = read(erpnext_api, started.json()["id"], limit=3, after=first["findings"]["next"])
    found = first["findings"]["items"] + rest["findings"]["items"]
    assert [one["number"] for one in found] == [1, 2, 3, 4]
    assert rest["findings"]["next"] is None
    [different] = read(erpnext_api, started.json()["id"], kind="different")["findings"]["items"]
    assert different["fields"]["name"]["here"] == "Bent"
    listed = erpnext_api.client.get("/api/erp/reconciliations", params={"status": "findings"}).json()["items"]
    assert [one["id"] for one in listed] == [started.json()["id"]]
    assert erpnext_api.client.get("/api/erp/reconciliations", params={"status": "clean"}).json()["items"] == []


def test_a_repair_mends_the_kinds_that_are_asked_for(erpnext_api: Api, connected: Installation, where: str) -> None:
    body = {"repair": True, "kinds": ["missing_here"], "allowDeletes": True}
    started = erpnext_api.client.post(where, json=body).json()
    assert erpnext_api.runs.asked[-1][1] == {
        "config": started["sync_config_id"], "repair": True, "kinds": ["missing_here"], "allow_deletes": True,
    }  # fmt: skip
    assert (started["status"], started["repairs"]) == ("findings", ["missing_here"])
    assert started["repaired"] == {"missing_here": 3}
    assert connected.rows("SELECT count(*) FROM app.products WHERE name = 'Bent'") == [(1,)]
    again = erpnext_api.client.post(where, json={"repair": True}).json()
    assert (again["status"], again["repaired"]) == ("clean", {"different": 1})


def test_api_and_dag_plan_one_comparison_whoever_is_first(
    erpnext_api: Api, connected: Installation, where: str
) -> None:
    erpnext_api.runs.carries_out = False
    started = erpnext_api.client.post(where).json()
    assert (started["status"], started["finished_at"]) == ("running", None)
    dag_id, conf, run_id = erpnext_api.runs.asked[-1]
    erpnext_api.runs.carry_out(dag_id, conf, run_id, "somebody")
    ended = read(erpnext_api, started["id"])
    assert (ended["status"], ended["log_id"]) == ("findings", started["log_id"])
    assert connected.rows("SELECT count(*) FROM erpflow.erp_reconciliations") == [(1,)]


def test_what_is_wrong_or_somebody_elses_is_refused(erpnext_api: Api, where: str) -> None:
    started = erpnext_api.client.post(where).json()
    asked = len(erpnext_api.runs.asked)
    for body, field in (
        ({"kinds": ["missing_here"]}, "kinds"),
        ({"repair": True, "kinds": ["frozen"]}, "kinds"),
        ({"repair": True, "kinds": ["lost"]}, "kinds.0"),
        ({"mend": True}, "mend"),
    ):
        refused = erpnext_api.client.post(where, json=body)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    other = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    assert other.post(where).status_code == 404
    assert other.get(f"/api/erp/reconciliations/{started['id']}").status_code == 404
    assert other.get("/api/erp/reconciliations").json()["items"] == []
    assert erpnext_api.as_key(erpnext_api.key(Right.LOOK)).post(where).status_code == 403
    config = where.removesuffix("/reconcile")
    erpnext_api.client.put(config, json={"enabled": False}).raise_for_status()
    assert erpnext_api.client.post(where).json()["code"] == "disabled"
    assert len(erpnext_api.runs.asked) == asked
