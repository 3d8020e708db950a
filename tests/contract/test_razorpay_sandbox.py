"""The sandbox's Razorpay account, held against the vendor's documentation, and driven by Razorpay's own client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import razorpay
import requests
from razorpay.errors import BadRequestError, ServerError
from starlette.testclient import TestClient

from sandbox.host import Host, wrap
from tests.contract.sandboxes import sandbox

TEST = ("rzp_test_SandboxKey0001", "sandbox-razorpay-test-secret")
LIVE = ("rzp_live_SandboxKey0001", "sandbox-razorpay-live-secret")
WITHOUT = ("rzp_test_SandboxNoSubs1", "sandbox-razorpay-plain-secret")
PLAN = {"period": "monthly", "interval": 1, "item": {"name": "Basic", "amount": 50_000, "currency": "INR"}}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("razorpay", folder=tmp_path_factory.mktemp("razorpay")) as found:
        yield found


@pytest.fixture
def sdk(url: str) -> Iterator[Any]:
    """Razorpay's client for Python, with a key of test data and an account as it was seeded."""
    requests.post(f"{url}/_sandbox/reset", json={"vendor": "razorpay"}, timeout=10).raise_for_status()
    requests.delete(f"{url}/_sandbox/faults", timeout=10).raise_for_status()
    with requests.Session() as session:
        session.trust_env = False
        yield client(url, TEST, session)


def client(url: str, key: tuple[str, str], session: requests.Session) -> Any:
    return razorpay.Client(session=session, auth=key, base_url=f"{url}/razorpay")


@pytest.fixture
def raw() -> Iterator[TestClient]:
    """The account without any client in between."""
    with TestClient(wrap(Host(vendors=["razorpay"])), base_url="http://sandbox") as found:
        yield found


def test_the_client_makes_a_plan_and_a_subscription_and_finds_both(sdk: Any) -> None:
    plan = sdk.plan.create(PLAN)
    made = sdk.subscription.create(
        {"plan_id": plan["id"], "total_count": 6, "customer_notify": 1, "notes": {"ours": "17"}, "quantity": 2}
    )
    assert (made["status"], made["quantity"], made["remaining_count"], made["customer_id"]) == ("created", 2, 6, None)
    assert (made["notes"], plan["notes"], made["customer_notify"]) == ({"ours": "17"}, [], True)
    assert re.fullmatch("sub_[A-Za-z0-9]{14}", made["id"]) and re.fullmatch("plan_[A-Za-z0-9]{14}", plan["id"])
    assert sdk.subscription.fetch(made["id"]) == made
    assert sdk.plan.fetch(plan["id"])["item"]["amount"] == 50_000


def test_lists_come_by_ten_the_newest_first_and_stop_at_a_short_page(sdk: Any) -> None:
    plan = sdk.plan.all()["items"][0]
    made = [sdk.subscription.create({"plan_id": plan["id"], "total_count": 1})["id"] for _ in range(11)]
    first = sdk.subscription.all({"plan_id": plan["id"]})
    assert (first["entity"], first["count"], [row["id"] for row in first["items"]]) == ("collection", 10, made[:0:-1])
    rest = sdk.subscription.all({"plan_id": plan["id"], "skip": 10, "count": 100})
    assert rest["items"][0]["id"] == made[0] and rest["count"] == 2
    assert sdk.subscription.all({"to": 1_000_000_000})["items"] == []


def test_a_count_over_a_hundred_is_refused(sdk: Any) -> None:
    with pytest.raises(BadRequestError, match="The count may not be greater than 100"):
        sdk.subscription.all({"count": 101})


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"plan_id": "plan_00000000000000"}, "The id provided does not exist"),
        ({"customer_id": "cust_1"}, "customer_id is/are not required and should not be sent"),
        ({"total_count": None}, "The total count field is required"),
        ({"start_at": 1_000_000_000}, "The start at must be a valid timestamp in the future"),
        ({"addons": [{"item": {"name": "Set-up", "amount": 99, "currency": "INR"}}]}, "must be at least INR 1.00"),
    ],
)
def test_what_is_wrong_is_a_400_in_razorpays_words(sdk: Any, changed: dict[str, Any], text: str) -> None:
    plan = sdk.plan.all()["items"][0]
    with pytest.raises(BadRequestError, match=text):
        sdk.subscription.create({"plan_id": plan["id"], "total_count": 6, **changed})


def test_daily_plans_are_for_a_week_at_least(sdk: Any) -> None:
    with pytest.raises(BadRequestError, match="at least 7"):
        sdk.plan.create({**PLAN, "period": "daily"})
    assert sdk.plan.create({**PLAN, "period": "daily", "interval": 7})["interval"] == 7


def test_a_subscription_is_paused_resumed_and_cancelled_once(sdk: Any, url: str) -> None:
    made = sdk.subscription.create({"plan_id": sdk.plan.all()["items"][0]["id"], "total_count": 6})
    status = {"id": made["id"], "status": "active"}
    requests.post(f"{url}/_sandbox/razorpay/status", json=status, timeout=10).raise_for_status()
    assert sdk.subscription.pause(made["id"], {"pause_at": "now"})["pause_initiated_by"] == "self"
    assert sdk.subscription.resume(made["id"], {"resume_at": "now"})["status"] == "active"
    assert sdk.subscription.cancel(made["id"], {"cancel_at_cycle_end": False})["status"] == "cancelled"
    with pytest.raises(BadRequestError, match="Subscription is not cancellable in cancelled status"):
        sdk.subscription.cancel(made["id"])


def test_test_data_and_live_data_never_meet(sdk: Any, url: str) -> None:
    live = client(url, LIVE, sdk.session)
    mine, theirs = ({row["id"] for row in each.subscription.all({"count": 100})["items"]} for each in (sdk, live))
    assert mine and theirs and not mine & theirs
    with pytest.raises(BadRequestError, match="The id provided does not exist"):
        live.subscription.fetch(mine.pop())


def test_an_account_without_the_feature_has_no_such_url(sdk: Any, url: str) -> None:
    with pytest.raises(BadRequestError, match="The requested URL was not found on the server"):
        client(url, WITHOUT, sdk.session).subscription.all()


def test_an_outage_is_the_clients_server_error(sdk: Any, url: str) -> None:
    fault = {"kind": "after_commit", "path": "/razorpay/v1/subscriptions", "times": 1}
    requests.post(f"{url}/_sandbox/faults", json=fault, timeout=10).raise_for_status()
    with pytest.raises((ServerError, requests.JSONDecodeError)):
        sdk.subscription.create({"plan_id": sdk.plan.all()["items"][0]["id"], "total_count": 6})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="},
        {"Authorization": "basic cnpwX3Rlc3RfU2FuZGJveEtleTAwMDE6c2FuZGJveC1yYXpvcnBheS10ZXN0LXNlY3JldA=="},
        {"Authorization": "Basic not-base64"},
        {"Authorization": "Bearer sandbox-razorpay-test-secret"},
    ],
)
def test_whoever_does_not_authenticate_hears_the_documented_401(raw: TestClient, headers: dict[str, str]) -> None:
    answer = raw.get("/razorpay/v1/payments?count=1", headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {
        "error": {
            "code": "BAD_REQUEST_ERROR", "description": "Authentication failed", "source": "NA", "step": "NA",
            "reason": "NA", "metadata": {},
        }
    }  # fmt: skip


def test_a_body_that_is_no_object_is_refused(raw: TestClient) -> None:
    for body in (b"[1]", b"{", b"[" * 100_000, b"\xff"):
        answer = raw.post("/razorpay/v1/subscriptions", content=body, auth=TEST)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_REQUEST_ERROR")


def test_the_side_door_names_what_it_does_not_know(raw: TestClient) -> None:
    for path, body in (("status", {"id": "sub_1", "status": "active"}), ("clock", {"skew": "1"})):
        assert "error" in raw.post(f"/_sandbox/razorpay/{path}", json=body).json()
    assert raw.get("/_sandbox/razorpay/rows?mode=other").status_code == 400
    assert len(raw.get("/_sandbox/razorpay/rows?mode=live").json()["subscriptions"]) == 3
