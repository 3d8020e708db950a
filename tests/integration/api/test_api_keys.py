"""Keys of programs: shown once, kept as a digest, ended at once or after a grace."""

from __future__ import annotations

import pytest

from erpflow.api.rights import Right
from tests.calling import Api
from tests.integration.conftest import Installation


def test_a_key_is_shown_once_and_lets_its_holder_in(api: Api, installation: Installation) -> None:
    made = api.client.post("/api/erp/api-keys", json={"name": "shop", "scopes": ["look"]})
    assert made.status_code == 201
    key = made.json()["key"]
    assert key.startswith(made.json()["prefix"])
    listed = api.as_key(key).get("/api/erp/sync-logs")
    assert listed.status_code == 200
    assert key not in api.client.get("/api/erp/api-keys").text
    kept = str(installation.rows("SELECT to_jsonb(k)::text FROM erpflow.erp_api_keys k"))
    assert key not in kept
    assert key[12:] not in kept


def test_the_last_use_is_known(api: Api) -> None:
    made = api.client.post("/api/erp/api-keys", json={"name": "shop", "scopes": ["look"]}).json()
    assert made["last_used_at"] is None
    api.as_key(made["key"]).get("/api/erp/sync-logs")
    [row] = [row for row in api.client.get("/api/erp/api-keys").json()["items"] if row["id"] == made["id"]]
    assert row["last_used_at"] is not None


def test_a_key_does_no_more_than_its_scopes(api: Api) -> None:
    looking = api.as_key(api.key(Right.LOOK))
    refused = looking.post("/api/erp/api-keys", json={"name": "more"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert refused.headers["content-type"] == "application/problem+json"


def test_nobody_gives_a_right_they_do_not_have(api: Api) -> None:
    configuring = api.as_key(api.key(Right.CONFIGURE))
    refused = configuring.post("/api/erp/api-keys", json={"name": "more", "scopes": ["configure", "run"]})
    assert (refused.status_code, refused.json()["field"]) == (403, "scopes")


def test_a_revoked_key_opens_nothing(api: Api) -> None:
    made = api.client.post("/api/erp/api-keys", json={"name": "shop", "scopes": ["look"]}).json()
    assert api.client.delete(f"/api/erp/api-keys/{made['id']}").status_code == 204
    refused = api.as_key(made["key"]).get("/api/erp/sync-logs")
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(("grace", "status"), [(0, 401), (3600, 200)])
def test_regenerating_ends_the_old_keys_now_or_after_a_grace(api: Api, grace: int, status: int) -> None:
    company = "00000000-0000-0000-0000-000000000001"
    old = api.key(Right.LOOK)
    made = api.client.post(f"/api/erp/companies/{company}/regenerate-api-key", json={"graceSeconds": grace})
    assert made.status_code == 201
    assert api.as_key(old).get("/api/erp/sync-logs").status_code == status
    assert api.as_key(made.json()["key"]).get("/api/erp/sync-logs").status_code == 200


def test_another_companys_keys_are_not_there(api: Api) -> None:
    other = api.tenant("acme")
    assert api.client.post(f"/api/erp/companies/{other}/regenerate-api-key").status_code == 404


def test_a_repeated_post_with_an_idempotency_key_makes_one_key(api: Api) -> None:
    headers = {"Idempotency-Key": "only-once"}
    first = api.client.post("/api/erp/api-keys", json={"name": "shop"}, headers=headers)
    again = api.client.post("/api/erp/api-keys", json={"name": "shop"}, headers=headers)
    other = api.client.post("/api/erp/api-keys", json={"name": "else"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert sum(row["name"] == "shop" for row in api.client.get("/api/erp/api-keys").json()["items"]) == 1
