"""Preview and plan: what a mapping makes of records and what a sync would do, without doing it."""

from __future__ import annotations

import pytest

from erpflow.api.rights import Right
from erpflow.api.routers import trials
from tests.calling import ALL, Api
from tests.integration.conftest import Installation

ROWS = "SELECT count(*) FROM app.customers"


@pytest.fixture
def where(config_ids: dict[str, str]) -> str:
    return f"/api/erp/sync-configs/{config_ids['customer']}"


def test_records_are_shown_side_by_side_with_rejects_and_nothing_is_written(
    erpnext_api: Api, connected: Installation, where: str
) -> None:
    shown = erpnext_api.client.post(f"{where}/preview", json={"limit": 100})
    assert shown.status_code == 200, shown.text
    preview = shown.json()
    assert len(preview["records"]) == 60
    assert preview["mapped_count"] + preview["rejected_count"] == 60
    assert preview["rejected_count"] > 0
    mapped = next(record for record in preview["records"] if record["outcome"] == "mapped")
    name = next(field for field in mapped["fields"] if field["local"] == "name")
    assert name["remote_value"].strip() == name["local_value"] != ""
    assert all(record["problems"] for record in preview["records"] if record["outcome"] == "rejected")
    assert connected.rows(ROWS) == [(0,)]
    assert connected.rows("SELECT count(*) FROM erpflow.erp_rejects") == [(0,)]
    assert connected.rows("SELECT count(*) FROM erpflow.erp_sync_logs") == [(0,)]


def test_a_mapping_is_tried_before_it_is_in_force(erpnext_api: Api, where: str) -> None:
    fields = [
        {"local": "name", "remote": "customer_name", "transform": "upper"},
        {"local": "email", "remote": "email_id"},
    ]
    draft = {"fields": [*fields[:1], {**fields[1], "only": "pull"}]}
    before = erpnext_api.client.get(f"{where}/field-mappings").json()
    preview = erpnext_api.client.post(f"{where}/preview", json={"limit": 3, "mapping": draft}).json()
    assert [len(record["fields"]) for record in preview["records"]] == [2, 2, 2]
    assert all(record["fields"][0]["local_value"].isupper() for record in preview["records"])
    assert preview["mapping_version"] != before["version"]
    assert erpnext_api.client.get(f"{where}/field-mappings").json() == before


def test_a_plan_lists_every_change_field_by_field_and_writes_nothing(
    erpnext_api: Api, connected: Installation, where: str
) -> None:
    first = erpnext_api.client.post(f"{where}/plan")
    assert first.status_code == 200, first.text
    pull = next(counts for counts in first.json()["counts"] if counts["direction"] == "pull")
    assert (pull["read"], pull["created"]) == (60, len(first.json()["creates"]))
    assert connected.rows(ROWS) == [(0,)]

    assert connected.run("sync", "run", "demo", "customer").status in (0, 2)
    connected.rows(
        "UPDATE app.customers SET name = 'Renamed', updated_at = now()"
        " WHERE id = (SELECT min(id) FROM app.customers) RETURNING 1"
    )
    plan = erpnext_api.client.post(f"{where}/plan").json()
    [update] = plan["updates"]
    assert (update["direction"], update["after"]) == ("push", {"name": "Renamed"})
    assert update["before"]["name"] != "Renamed"
    assert (plan["creates"], plan["deletes"], plan["conflicts"], plan["truncated"]) == ([], [], [], False)


def test_a_plan_that_takes_too_long_is_ended_and_says_what_to_do(
    erpnext_api: Api, connected: Installation, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "PLAN_S", -1.0)
    slow = erpnext_api.client.post(f"{where}/plan")
    assert (slow.status_code, slow.json()["code"]) == (504, "too_slow")
    assert "dry_run" in slow.json()["detail"]
    assert connected.rows("SELECT status FROM erpflow.erp_sync_logs") == [("failed",)]
    assert connected.rows(ROWS) == [(0,)]


def test_what_cannot_be_tried_is_refused(erpnext_api: Api, where: str) -> None:
    other = erpnext_api.as_key(erpnext_api.key(*ALL, tenant_id=erpnext_api.tenant("acme")))
    looking = erpnext_api.as_key(erpnext_api.key(Right.LOOK))
    for path in ("preview", "plan"):
        assert other.post(f"{where}/{path}").status_code == 404
        assert looking.post(f"{where}/{path}").status_code == 403
    for path, body, field in (
        ("preview", {"limit": 101}, "limit"),
        ("preview", {"mapping": {"fields": [{"local": "nmae", "remote": "x"}], "match_on": []}}, "fields[0].local"),
        ("plan", {"ful": True}, "ful"),
    ):
        refused = erpnext_api.client.post(f"{where}/{path}", json=body)
        assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
