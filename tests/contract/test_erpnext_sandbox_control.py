"""The side door: tests change the site behind the client's back, and put it back."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox.background import serving
from sandbox.host import Host, wrap
from sandbox.vendor import SeedPlan

SIZES = {"customers": 40, "items": 20, "orders": 25}


class Door:
    def __init__(self, url: str, host: Host) -> None:
        self.url, self.host = url, host
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, path: str, body: Any = None) -> requests.Response:
        return self.session.post(f"{self.url}/_sandbox/{path}", json=body, timeout=20)

    def doc(self, doctype: str, name: str) -> Any:
        params = {"doctype": doctype, "name": name}
        return self.session.get(f"{self.url}/_sandbox/erpnext/doc", params=params, timeout=20).json()

    def api(self, path: str, *, user: str = "connector", method: str = "GET", **kwargs: Any) -> requests.Response:
        known = self.host.states["erpnext"].users[f"{user}@example.com"]
        headers = {"Authorization": f"token {known.api_key}:{known.api_secret}"}
        return self.session.request(method, f"{self.url}/erpnext/api/{path}", headers=headers, timeout=20, **kwargs)


@pytest.fixture
def door() -> Iterator[Door]:
    host = Host(SeedPlan(sizes=SIZES))
    with serving(wrap(host)) as url:
        yield Door(url, host)


def some_customer(door: Door) -> str:
    """The name of an ordinary customer."""
    params = {"limit": 1, "filters": '[["name","not like","HOSTILE%"]]'}
    return str(door.api("resource/Customer", params=params).json()["data"][0]["name"])


def test_touching_picks_the_same_records_for_the_same_seed(door: Door) -> None:
    first = door.post("erpnext/touch", {"doctype": "Customer", "count": 5, "seed": 3}).json()["names"]
    door.post("reset", {})
    assert door.post("erpnext/touch", {"doctype": "Customer", "count": 5, "seed": 3}).json()["names"] == first


def test_touching_can_set_columns_and_moves_modified(door: Door) -> None:
    name = some_customer(door)
    before = door.doc("Customer", name)
    door.post("erpnext/touch", {"doctype": "Customer", "names": [name], "set": {"city": "Taif"}})
    after = door.doc("Customer", name)
    assert after["city"] == "Taif"
    assert after["modified"] > before["modified"]


def test_an_update_can_leave_modified_alone_as_background_jobs_do(door: Door) -> None:
    name = some_customer(door)
    before = door.doc("Customer", name)
    door.post("erpnext/update", {"doctype": "Customer", "names": [name], "set": {"city": "Abha"}, "bump": False})
    after = door.doc("Customer", name)
    assert (after["city"], after["modified"]) == ("Abha", before["modified"])


def test_an_update_can_set_modified_to_any_time(door: Door) -> None:
    name = some_customer(door)
    late = "2031-01-01 00:00:00.000000"
    door.post("erpnext/update", {"doctype": "Customer", "names": [name], "set": {"modified": late}})
    found = door.api('resource/Customer?filters=[["modified",">","2030-12-31"]]').json()["data"]
    assert found == [{"name": name}]


def test_inserts_pass_the_vendors_checks_all_or_none(door: Door) -> None:
    docs = [{"customer_name": "First"}, {"customer_name": "Second", "territory": "Atlantis"}]
    refused = door.post("erpnext/insert", {"doctype": "Customer", "docs": docs})
    assert refused.status_code == 400
    assert "Could not find Territory: Atlantis" in refused.json()["error"]
    assert door.api("resource/Customer/First").status_code == 404


def test_a_rename_is_seen_by_links(door: Door) -> None:
    order = door.api("resource/Sales Order?limit=1&order_by=name desc").json()["data"][0]["name"]
    customer = door.doc("Sales Order", order)["customer"]
    assert (
        door.post("erpnext/rename", {"doctype": "Customer", "old": customer, "new": "Renamed Ltd"}).status_code == 200
    )
    assert door.doc("Sales Order", order)["customer"] == "Renamed Ltd"
    assert door.api("resource/Customer/Renamed Ltd").json()["data"]["customer_name"] == "Renamed Ltd"


def test_the_expected_counts_follow_the_data(door: Door) -> None:
    def total() -> int:
        found = door.session.get(f"{door.url}/_sandbox/erpnext/expected", timeout=20).json()
        return int(found["customer"]["total"])

    assert total() == SIZES["customers"]
    door.post("erpnext/delete", {"doctype": "Customer", "count": 3})
    assert total() == SIZES["customers"] - 3


def test_maintenance_read_only_and_a_dead_database_are_switches(door: Door) -> None:
    switches = {"maintenance": 503, "database_down": 500}
    for switch, status in switches.items():
        door.post("erpnext/switches", {switch: True})
        assert door.api("resource/Customer").status_code == status
        door.post("erpnext/switches", {switch: False})
    door.post("erpnext/switches", {"read_only": True})
    assert door.api("resource/Customer").status_code == 200
    refused = door.api("resource/Customer", method="POST", json={"customer_name": "Late"})
    assert (refused.status_code, refused.json()["exc_type"]) == (503, "InReadOnlyMode")
    method = door.api("method/frappe.client.insert", method="POST", json={"doc": {"doctype": "Customer"}})
    assert method.json()["exc_type"] == "InReadOnlyMode"


def test_the_rate_limit_counts_server_time_and_tells_when_to_return(door: Door) -> None:
    door.post("erpnext/switches", {"rate_limit": [0.001, 3600]})
    answers = [door.api('resource/Customer?limit_page_length=0&fields=["*"]') for _ in range(8)]
    assert answers[0].status_code == 200
    assert int(answers[0].headers["X-RateLimit-Limit"]) == 1000
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert refused.json()["exc_type"] == "TooManyRequestsError"
    door.post("erpnext/switches", {"rate_limit": None})
    assert door.api("resource/Customer").status_code == 200


def test_a_locked_row_times_out_a_write_and_not_a_read(door: Door) -> None:
    name = some_customer(door)
    door.post("erpnext/lock", {"doctype": "Customer", "names": [name]})
    blocked = door.api(f"resource/Customer/{name}", method="PUT", json={"website": "x"})
    assert (blocked.status_code, blocked.json()["exc_type"]) == (500, "QueryTimeoutError")
    assert door.api(f"resource/Customer/{name}").status_code == 200
    door.post("erpnext/lock", {"doctype": "Customer", "names": []})
    assert door.api(f"resource/Customer/{name}", method="PUT", json={"website": "x"}).status_code == 200


def test_a_reset_brings_the_seeded_data_back_and_disarms_everything(door: Door) -> None:
    door.post("erpnext/delete", {"doctype": "Customer", "count": 10})
    door.post("faults", {"kind": "reset"})
    assert "erpnext" in door.post("reset", {"sizes": {"customers": 50}}).json()["reset"]
    assert door.api("method/frappe.client.get_count?doctype=Customer").json() == {"message": 50}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("reset", {"vendor": "sap"}, "There is no vendor 'sap' here; there are aws_textract, erpnext"),
        ("reset", {"seed": "x"}, "seed is a whole number"),
        ("reset", {"sizes": {"cats": 5}}, "has no cats"),
        ("erpnext/touch", {"doctype": "Cat"}, "There is no DocType 'Cat' here."),
        ("erpnext/touch", {"doctype": "Customer", "names": ["nobody"]}, "There is no Customer 'nobody'."),
        ("erpnext/touch", {"doctype": "Customer", "count": -1}, "count is a whole number from 0"),
        ("erpnext/switches", {"turbo": True}, "There is no switch turbo"),
        ("erpnext/update", {"doctype": "Customer"}, "set is an object"),
        ("erpnext/insert", {"doctype": "Customer"}, "docs is a list"),
    ],
)
def test_a_senseless_request_is_answered_with_a_sentence(door: Door, path: str, body: Any, said: str) -> None:
    answer = door.post(path, body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_a_sales_user_may_read_customers_and_not_delete_them(door: Door) -> None:
    name = some_customer(door)
    assert door.api(f"resource/Customer/{name}", user="limited").status_code == 200
    assert door.api(f"resource/Customer/{name}", user="limited", method="DELETE").status_code == 403
    assert door.api("resource/Customer", user="noroles").status_code == 403


def test_what_is_no_vendor_says_which_there_are(door: Door) -> None:
    assert "/erpnext" in door.session.get(f"{door.url}/", timeout=20).text
    assert door.session.get(f"{door.url}/_sandbox/nothing", timeout=20).status_code == 404
