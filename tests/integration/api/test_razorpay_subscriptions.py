"""Subscriptions at Razorpay: made once for a key, whatever becomes of the answer, and never sent again unseen."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from erpflow.api.rights import Right
from erpflow.connectors.razorpay import Razorpay
from erpflow.services.payments import subscriptions
from tests.calling import ALL, Api, serve
from tests.integration.conftest import Installation, Sandbox

PATH = "/razorpay/subscriptions"
KEY_ID, SECRET = "rzp_test_SandboxKey0001", "sandbox-razorpay-test-secret"
LIVE = {"login": "rzp_live_SandboxKey0001", "password": "sandbox-razorpay-live-secret"}
CREATES = {"path": "^/razorpay/v1/subscriptions", "method": "POST"}
AGES = "UPDATE erpflow.erp_payment_requests SET sent_at = sent_at - interval '2 minutes'"

CHILD = """
import json, os, signal, sys
from erpflow.services import installation
from erpflow.services.payments.subscriptions import Desk
from erpflow.store import connections, payment_requests
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import DEFAULT_TENANT

setattr(payment_requests, sys.argv[1], lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
database = TenantDatabase(installation.database)
with database.owner() as store:
    [row] = connections.list_connections(store)
with installation.connector_for(row, database.database) as vendor:
    Desk(database, vendor, DEFAULT_TENANT, row.id, "child").subscribe(json.loads(sys.argv[2]), key="inv-17")
"""


@pytest.fixture
def shop(installation: Installation, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The API of an installation with a connection to the sandbox's Razorpay account."""
    requests.post(f"{sandbox.url}/_sandbox/reset", json={"vendor": "razorpay"}, timeout=10).raise_for_status()
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(installation.home)
    for api in serve(installation.database):
        connect(api, sandbox)
        yield api


def connect(api: Api, sandbox: Sandbox, *, client: Any = None, name: str = "payments", **changed: Any) -> str:
    account = {
        "name": name, "system": "razorpay", "url": f"{sandbox.url}/razorpay", "login": KEY_ID, "password": SECRET,
        "settings": {"allow_private_networks": "true"},
    }  # fmt: skip
    made = (client or api.client).post("/api/erp/connections", json=account | changed)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def rows(sandbox: Sandbox, mode: str = "test") -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = requests.get(
        f"{sandbox.url}/_sandbox/razorpay/rows", params={"mode": mode}, timeout=10
    ).json()
    return found


def wanted(sandbox: Sandbox, mode: str = "test", **more: Any) -> dict[str, Any]:
    return {"plan_id": rows(sandbox, mode)["plans"][0]["id"], "total_count": 12, **more}


def made(sandbox: Sandbox, mode: str = "test") -> list[dict[str, Any]]:
    """The subscriptions that were not there from the beginning."""
    return rows(sandbox, mode)["subscriptions"][3:]


def test_a_subscription_is_made_with_everything_that_was_asked_for(shop: Api, sandbox: Sandbox) -> None:
    body = wanted(
        sandbox,
        quantity=2,
        startAt="2099-01-01T00:00:00+05:30",
        expireBy="2098-12-01T00:00:00Z",
        customerNotify=False,
        addons=[{"item": {"name": "Set-up", "amount": "99.50", "currency": "INR"}}],
        notes={"invoice": "17"},
        notifyInfo={"notifyEmail": "asha@example.com"},
        key="inv-17",
    )
    answer = shop.client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["key"], said["mode"], said["repeated"]) == ("inv-17", "test", False)
    [there] = made(sandbox)
    found = said["subscription"]
    assert (found["id"], found["status"], found["quantity"]) == (there["id"], "created", 2)
    assert found["customer_notify"] is False
    assert datetime.fromisoformat(found["start_at"]) == datetime(2098, 12, 31, 18, 30, tzinfo=UTC)
    assert there["start_at"] == int(datetime(2098, 12, 31, 18, 30, tzinfo=UTC).timestamp())
    assert there["notes"].keys() == {"invoice", subscriptions.NOTE}
    assert found["notes"] == there["notes"]


def test_the_same_again_gets_the_first_answer_and_another_body_a_conflict(shop: Api, sandbox: Sandbox) -> None:
    body = wanted(sandbox, key="inv-17")
    first, again = shop.client.post(PATH, json=body).json(), shop.client.post(PATH, json=body).json()
    assert again == {**first, "repeated": True}
    other = shop.client.post(PATH, json=body | {"total_count": 6})
    assert (other.status_code, other.json()["code"], other.json()["field"]) == (409, "key_reused", "key")
    assert len(made(sandbox)) == 1


def test_the_header_counts_as_a_key_and_without_one_each_request_makes_another(shop: Api, sandbox: Sandbox) -> None:
    body = wanted(sandbox)
    key = {"Idempotency-Key": "from-the-header"}
    first = shop.client.post(PATH, json=body, headers=key)
    again = shop.client.post(PATH, json=body | {"key": "from-the-header"})
    assert first.json()["subscription"] == again.json()["subscription"]
    one, two = (shop.client.post(PATH, json=body).json()["subscription"]["id"] for _ in range(2))
    assert one != two
    assert len(made(sandbox)) == 3


def test_an_answer_that_is_lost_is_found_at_razorpay_at_once(shop: Api, sandbox: Sandbox) -> None:
    for kind in ("after_commit", "reset_after_commit", "truncate"):
        sandbox.fault(**CREATES, kind=kind, times=1)
        answer = shop.client.post(PATH, json=wanted(sandbox, key=kind))
        assert answer.status_code == 200, answer.text
        assert answer.json()["subscription"]["id"] == made(sandbox)[-1]["id"]
    assert len(made(sandbox)) == 3


def test_while_razorpay_is_away_the_outcome_is_unknown_and_later_it_is_looked_up_first(
    shop: Api, sandbox: Sandbox
) -> None:
    body = wanted(sandbox, key="inv-17")
    sandbox.fault(**CREATES, kind="reset_after_commit", times=1)
    sandbox.fault(path="^/razorpay/v1/subscriptions", method="GET", kind="status", status=400)
    answer = shop.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (502, "vendor_unavailable")
    assert '"inv-17"' in answer.json()["detail"] and "is not known" in answer.json()["detail"]
    [known] = shop.client.get(PATH, params={"state": "unknown"}).json()["items"]
    assert (known["key"], known["attempts"], known["remote_id"]) == ("inv-17", 1, None)
    assert known["error"] == answer.json()["detail"]
    # It still cannot be asked: nothing is sent, and it stays unknown.
    assert shop.client.post(PATH, json=body).status_code == 502
    assert shop.client.get(PATH).json()["items"][0]["state"] == "unknown"
    sandbox.heal()
    found = shop.client.post(PATH, json=body).json()
    assert found["repeated"] is True
    assert [found["subscription"]["id"]] == [row["id"] for row in made(sandbox)]
    assert shop.client.get(PATH).json()["items"][0]["attempts"] == 1


def test_what_razorpay_surely_has_not_is_sent_again_only_when_asked_and_after_a_while(
    shop: Api, sandbox: Sandbox, installation: Installation
) -> None:
    body = wanted(sandbox, key="inv-17")
    sandbox.fault(**CREATES, kind="status", status=500, times=1)
    assert shop.client.post(PATH, json=body).status_code == 502
    early = shop.client.post(PATH, json=body)
    assert (early.status_code, made(sandbox)) == (502, [])
    assert "no such subscription yet" in early.json()["detail"]
    with installation.database.transaction() as connection:
        connection.execute(AGES)
    late = shop.client.post(PATH, json=body)
    assert (late.status_code, late.json()["repeated"]) == (200, False)
    assert len(made(sandbox)) == 1
    assert shop.client.get(PATH).json()["items"][0]["attempts"] == 2


def killed_at(step: str, values: dict[str, Any], installation: Installation) -> None:
    """Another process makes the subscription `inv-17` and is killed when it comes to that step of the store."""
    ended = subprocess.run(
        [sys.executable, "-c", CHILD, step, json.dumps(values)],
        env=installation.environment, cwd=installation.home, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def test_a_worker_that_is_killed_after_sending_leaves_it_to_be_looked_up(
    shop: Api, sandbox: Sandbox, installation: Installation
) -> None:
    body = wanted(sandbox)
    killed_at("settle", body, installation)
    [known] = shop.client.get(PATH).json()["items"]
    assert (known["state"], known["attempts"], len(made(sandbox))) == ("submitting", 1, 1)
    answer = shop.client.post(PATH, json=body | {"key": "inv-17"})
    assert (answer.status_code, answer.json()["repeated"]) == (200, True)
    assert len(made(sandbox)) == 1


def test_a_worker_that_is_killed_before_sending_is_followed_without_a_look(
    shop: Api, sandbox: Sandbox, installation: Installation
) -> None:
    body = wanted(sandbox)
    killed_at("note_sending", body, installation)
    assert made(sandbox) == []
    sandbox.fault(path="^/razorpay/v1/subscriptions", method="GET", kind="status", status=400)
    assert shop.client.post(PATH, json=body | {"key": "inv-17"}).json()["repeated"] is False
    assert len(made(sandbox)) == 1


def test_it_is_found_behind_a_hundred_others_and_by_a_clock_that_is_wrong(
    shop: Api, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def door(skew: int) -> None:
        requests.post(f"{sandbox.url}/_sandbox/razorpay/clock", json={"skew": skew}, timeout=10).raise_for_status()

    body = wanted(sandbox, key="inv-17")
    door(-600)
    sandbox.fault(**CREATES, kind="after_commit", times=1)
    sandbox.fault(path="^/razorpay/v1/subscriptions", method="GET", kind="status", status=400, times=1)
    assert shop.client.post(PATH, json=body).status_code == 502
    door(0)
    plan = {"plan_id": body["plan_id"], "total_count": 1}
    with requests.Session() as session:
        session.auth = (KEY_ID, SECRET)
        for _ in range(101):
            session.post(f"{sandbox.url}/razorpay/v1/subscriptions", json=plan, timeout=10).raise_for_status()
    found = shop.client.post(PATH, json=body).json()
    assert (found["repeated"], found["subscription"]["id"]) == (True, made(sandbox)[0]["id"])


def test_a_result_of_a_worker_that_was_overtaken_is_refused(
    shop: Api, sandbox: Sandbox, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Razorpay.create_subscription

    def overtaken(self: Razorpay, values: Any) -> Any:
        answer = create(self, values)
        with installation.database.transaction() as connection:
            connection.execute("UPDATE erpflow.erp_payment_requests SET fencing_token = fencing_token + 1")
        return answer

    body = wanted(sandbox, key="inv-17")
    with monkeypatch.context() as patch:
        patch.setattr(Razorpay, "create_subscription", overtaken)
        answer = shop.client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_running")
    assert shop.client.post(PATH, json=body).json()["repeated"] is True
    assert len(made(sandbox)) == 1


def test_the_same_key_at_the_same_time_makes_one(shop: Api, sandbox: Sandbox) -> None:
    body = wanted(sandbox, key="inv-17")
    sandbox.fault(**CREATES, kind="latency", seconds=0.3)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: shop.client.post(PATH, json=body), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert 200 in {answer.status_code for answer in answers}
    assert len(made(sandbox)) == 1


def test_what_razorpay_refuses_is_told_in_its_words_and_may_be_sent_again(shop: Api, sandbox: Sandbox) -> None:
    body = wanted(sandbox, key="inv-17") | {"plan_id": "plan_00000000000000"}
    for attempts in (1, 2):
        answer = shop.client.post(PATH, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "record_rejected")
        assert answer.json()["detail"] == "The id provided does not exist"
        [known] = shop.client.get(PATH).json()["items"]
        assert (known["state"], known["attempts"]) == ("rejected", attempts)
    early = wanted(sandbox, key="inv-18", start_at="2001-01-01T00:00:00Z")
    [problem] = shop.client.post(PATH, json=early).json()["errors"]
    assert (problem["field"], "future" in problem["detail"]) == ("start_at", True)
    assert made(sandbox) == []


def test_a_429_is_waited_for_and_a_wrong_key_is_said_to_be_wrong(shop: Api, sandbox: Sandbox) -> None:
    sandbox.fault(**CREATES, kind="status", status=429, times=1)
    assert shop.client.post(PATH, json=wanted(sandbox, key="inv-17")).status_code == 200
    sandbox.fault(**CREATES, kind="unauthorized", times=1)
    refused = shop.client.post(PATH, json=wanted(sandbox, key="inv-18"))
    assert (refused.status_code, refused.json()["code"]) == (502, "auth_failed")
    assert SECRET not in refused.text
    assert shop.client.post(PATH, json=wanted(sandbox, key="inv-18")).status_code == 200
    assert len(made(sandbox)) == 2


def test_an_answer_that_is_no_subscription_leaves_it_unknown(shop: Api, sandbox: Sandbox) -> None:
    sandbox.fault(**CREATES, kind="html", times=1)
    answer = shop.client.post(PATH, json=wanted(sandbox, key="inv-17"))
    assert (answer.status_code, answer.json()["code"]) == (502, "vendor_unavailable")
    assert made(sandbox) == []


def test_live_data_and_test_data_have_keys_of_their_own(shop: Api, sandbox: Sandbox) -> None:
    first = shop.client.post(PATH, json=wanted(sandbox, key="inv-17")).json()
    [connection] = shop.client.get("/api/erp/connections").json()["items"]
    shop.client.put(f"/api/erp/connections/{connection['id']}", json=LIVE).raise_for_status()
    second = shop.client.post(PATH, json=wanted(sandbox, "live", key="inv-17")).json()
    assert (first["mode"], second["mode"], second["repeated"]) == ("test", "live", False)
    assert len(made(sandbox, "live")) == 1


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"plan_id": "plan_1"}, "plan_id"),
    ({"plan_id": None}, "plan_id"),
    ({"total_count": 0}, "total_count"),
    ({"quantity": 0}, "quantity"),
    ({"start_at": "2099-01-01T00:00:00"}, "start_at"),
    ({"expire_by": "1999-01-01T00:00:00Z"}, "expire_by"),
    ({"offer_id": "offer_1"}, "offer_id"),
    ({"notes": {f"n{number}": "x" for number in range(15)}}, "notes"),
    ({"notes": {"a": "x" * 257}}, "notes.a"),
    ({"notes": {subscriptions.NOTE: "mine"}}, "notes"),
    ({"addons": [{"item": {"name": "x", "amount": "0.50", "currency": "INR"}}]}, "addons.0.item.amount"),
    ({"addons": [{"item": {"name": "x", "amount": "1.001", "currency": "INR"}}]}, "addons.0.item.amount"),
    ({"addons": [{"item": {"name": "x", "amount": "1", "currency": "rupees"}}]}, "addons.0.item.currency"),
    ({"notify_info": {"notify_email": "nobody"}}, "notifyInfo.notifyEmail"),
    ({"customer_id": "cust_1"}, "customer_id"),
    ({"key": "x" * 256}, "key"),
    ({"key": "a\u0000b"}, "key"),
)


def test_what_cannot_be_right_is_refused_before_anything_is_sent(shop: Api, sandbox: Sandbox) -> None:
    right = wanted(sandbox)
    for changed, field in WRONG:
        answer = shop.client.post(PATH, json=right | changed)
        assert (answer.status_code, plain(answer.json()["field"])) == (422, plain(field)), answer.text
    assert shop.client.get(PATH).json()["items"] == []


def plain(field: str) -> str:
    return field.replace("_", "").lower()


def test_a_subscription_is_shown_as_razorpay_has_it_now(shop: Api, sandbox: Sandbox) -> None:
    known = rows(sandbox)["subscriptions"][0]
    found = shop.client.get(f"{PATH}/{known['id']}")
    assert (found.status_code, found.json()["id"], found.json()["notes"]) == (200, known["id"], {})
    assert shop.client.get(f"{PATH}/sub_00000000000000").status_code == 404
    assert shop.client.get(f"{PATH}/..%2Fplans").status_code in (404, 422)


def test_the_connection_is_tried_and_says_whose_data_it_opens(shop: Api) -> None:
    [connection] = shop.client.get("/api/erp/connections").json()["items"]
    tried = shop.client.post(f"/api/erp/connections/{connection['id']}/test").json()
    assert (tried["success"], tried["message"]) == (True, "Signed in to test data")
    shop.client.put(f"/api/erp/connections/{connection['id']}", json={"password": "wrong-7f1c"}).raise_for_status()
    tried = shop.client.post(f"/api/erp/connections/{connection['id']}/test").json()
    assert tried["success"] is False and "Authentication failed" in tried["message"]
    shop.client.put(f"/api/erp/connections/{connection['id']}", json={"login": "somebody"}).raise_for_status()
    tried = shop.client.post(f"/api/erp/connections/{connection['id']}/test").json()
    assert tried["success"] is False and "rzp_test_" in tried["message"]


def test_private_networks_are_out_of_reach_unless_the_connection_says_so(shop: Api, sandbox: Sandbox) -> None:
    [connection] = shop.client.get("/api/erp/connections").json()["items"]
    changed = {"settings": {"allow_private_networks": ""}}
    shop.client.put(f"/api/erp/connections/{connection['id']}", json=changed).raise_for_status()
    answer = shop.client.post(PATH, json=wanted(sandbox, key="inv-17"))
    assert (answer.status_code, answer.json()["code"]) == (422, "config_error")
    assert "private network" in answer.json()["detail"]
    assert shop.client.get(PATH).json()["items"][0]["state"] == "rejected"


def test_another_company_has_its_own_keys_and_no_connection_of_ours(shop: Api, sandbox: Sandbox) -> None:
    [ours] = shop.client.get("/api/erp/connections").json()["items"]
    theirs = shop.as_key(shop.key(*ALL, tenant_id=shop.tenant("acme")))
    body = wanted(sandbox, key="inv-17")
    shop.client.post(PATH, json=body).raise_for_status()
    assert theirs.post(PATH, json=body).status_code == 404
    connect(shop, sandbox, client=theirs)
    assert theirs.post(PATH, json=body, params={"connection_id": ours["id"]}).status_code == 404
    assert theirs.get(PATH).json()["items"] == []
    assert theirs.post(PATH, json=body).json()["repeated"] is False
    assert len(made(sandbox)) == 2


def test_making_one_needs_the_right_to_run_and_reading_the_right_to_look(shop: Api, sandbox: Sandbox) -> None:
    looking = shop.as_key(shop.key(Right.LOOK))
    assert looking.post(PATH, json=wanted(sandbox)).status_code == 403
    assert looking.get(PATH).status_code == 200
    assert shop.nobody().post(PATH, json=wanted(sandbox)).status_code == 401
    assert made(sandbox) == []
