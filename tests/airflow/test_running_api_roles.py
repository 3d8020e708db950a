"""What Airflow's roles may do over the API, asked of Airflow's own auth manager; and writes that ride on a cookie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from erpflow.api.rights import Right
from tests.airflow.running_api import Erp, ask, token_of
from tests.airflow.test_running import CUSTOMER, Airflow, airflow
from tests.calling import LOGINS

__all__ = ["airflow"]  # a fixture: pytest finds it here

pytestmark = pytest.mark.timeout(600)

NOWHERE = "00000000-0000-0000-0000-000000000000"
DRY = "2031-01-01T00:00:00Z"


@dataclass(frozen=True)
class Asked:
    """A request that needs one right, and what it answers whoever has it."""

    method: str
    path: str
    body: Any
    status: int


@pytest.fixture(scope="module")
def needing(airflow: Airflow) -> dict[Right, Asked]:
    ((config_id,),) = airflow.rows("SELECT id::text FROM erpflow.erp_sync_configs WHERE entity = 'customer'")
    sync = {"sync_config_id": config_id, "since": DRY, "sync_direction": "pull"}
    return {
        Right.LOOK: Asked("GET", "/dashboard", None, 200),
        Right.RUN: Asked("POST", "/sync", sync, 202),
        # Nothing is there to be decided, and whoever may decide is told so.
        Right.RESOLVE: Asked("POST", f"/conflicts/{NOWHERE}/resolve", {"keep": "local"}, 404),
        Right.CONFIGURE: Asked("GET", "/api-keys", None, 200),
    }


@pytest.mark.parametrize("right", list(Right))
@pytest.mark.parametrize("role", list(LOGINS))
def test_a_role_may_do_what_the_tests_of_the_api_take_it_for(
    airflow: Airflow, needing: dict[Right, Asked], role: str, right: Right
) -> None:
    one = needing[right]
    answer = Erp(airflow.demo, token_of(airflow.demo, role)).ask(one.method, one.path, one.body)
    expected = one.status if right in LOGINS[role] else 403
    assert answer.status_code == expected, answer.text
    if expected == 403:
        assert answer.json()["detail"] == f'This needs the right "{right}".'
    if answer.status_code == 202:
        assert airflow.ended(answer.json()["dag_run_id"]) == "success"
        ((by,),) = airflow.rows("SELECT triggered_by FROM erpflow.erp_sync_logs WHERE id = %s", answer.json()["log_id"])
        assert by == role


def test_a_cookie_reads_and_writes_only_with_a_header_that_no_other_site_can_send(
    airflow: Airflow, needing: dict[Right, Asked]
) -> None:
    cookie = {"Cookie": f"_token={token_of(airflow.demo, 'op')}"}
    assert ask(airflow.demo, "GET", "/api/erp/dashboard", headers=cookie).status_code == 200
    one = needing[Right.RESOLVE]
    refused = ask(airflow.demo, one.method, f"/api/erp{one.path}", one.body, headers=cookie)
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    let_in = ask(airflow.demo, one.method, f"/api/erp{one.path}", one.body, headers=cookie | {"X-ERP-CSRF": "1"})
    assert let_in.status_code == one.status


def test_nobody_and_a_token_that_is_none_are_sent_away(airflow: Airflow) -> None:
    for headers, status in (
        ({}, 401),
        ({"Authorization": "Bearer nonsense"}, 403),
        ({"Authorization": "Bearer erp_nonsense"}, 401),
    ):
        answer = ask(airflow.demo, "GET", "/api/erp/dashboard", headers=headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_who_started_a_run_is_seen_in_airflow(airflow: Airflow, needing: dict[Right, Asked]) -> None:
    one = needing[Right.RUN]
    begun = Erp(airflow.demo, token_of(airflow.demo, "user")).call(one.method, one.path, one.body)
    run = airflow.api("GET", f"/dags/{CUSTOMER}/dagRuns/{begun['dag_run_id']}")
    assert (run["triggered_by"], run["triggering_user_name"]) == ("rest_api", "user")
    assert airflow.ended(begun["dag_run_id"]) == "success"
