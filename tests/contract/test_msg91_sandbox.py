"""The sandbox's MSG91 account against the forms that were published or seen: each request as its sample has it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.contract.sandboxes import sandbox

KEY = "sandbox-msg91-authkey"
SAMPLES = json.loads((Path(__file__).parents[1] / "fixtures" / "msg91" / "api_samples.json").read_text("utf-8"))
FLOW = "/api/v5/flow"
BULK = "/api/v5/whatsapp/whatsapp-outbound-message/bulk/"


class Client:
    """What anybody could write after reading the samples."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.door("reset", vendor="msg91")

    def post(self, path: str, body: Any, *, key: str | None = KEY) -> requests.Response:
        headers = {"authkey": key} if key else {}
        return self.session.post(f"{self.url}/msg91{path}", json=body, headers=headers, timeout=10)

    def get(self, path: str, **query: str) -> requests.Response:
        return self.session.get(f"{self.url}/msg91{path}", params=query, headers={"authkey": KEY}, timeout=10)

    def door(self, path: str, **body: Any) -> requests.Response:
        return self.session.post(f"{self.url}/_sandbox/{path}", json=body, timeout=10)

    def sent(self) -> list[dict[str, Any]]:
        return list(self.session.get(f"{self.url}/_sandbox/msg91/sent", timeout=10).json()["sent"])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("msg91", folder=tmp_path_factory.mktemp("msg91")) as found:
        yield found


@pytest.fixture
def client(url: str) -> Client:
    return Client(url)


def sms(number: str = "919900000001", **values: str) -> dict[str, Any]:
    return SAMPLES["flow_request"] | {
        "recipients": [{"mobiles": number, **({"VAR1": "Asha", "VAR2": "INV-104"} | values)}]
    }


def whatsapp(**template: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(json.dumps(SAMPLES["whatsapp_request"]))
    body["payload"]["template"] |= template
    return body


def test_the_sample_of_an_sms_is_taken_and_its_id_is_the_message(client: Client) -> None:
    for path in (FLOW, f"{FLOW}/"):
        answer = client.post(path, SAMPLES["flow_request"])
        assert (answer.status_code, answer.json()["type"]) == (200, SAMPLES["flow_success"]["type"])
        assert re.fullmatch(r"[0-9a-f]{24}", answer.json()["message"])
    taken = client.sent()[1]
    assert (taken["request_id"], taken["reference"]) == (answer.json()["message"], "n-104")
    assert taken["text"] == "Dear Asha, invoice INV-104 is ready. Firma"


@pytest.mark.parametrize("template", ["", "1107161234567890123", "665f1c0ad6fc053a1b2c3d50", "0" * 24])
def test_an_id_that_is_no_flow_template_is_refused_with_200_or_with_400(client: Client, template: str) -> None:
    for status in (200, 400):
        client.door("msg91/switches", refusal_status=status)
        answer = client.post(FLOW, SAMPLES["flow_request"] | {"template_id": template})
        assert (answer.status_code, answer.json()) == (status, SAMPLES["flow_error_http200"])
    assert client.sent() == []


def test_what_is_wrong_with_a_message_shows_only_in_its_report(client: Client) -> None:
    for number, values in {
        "919900000001": {"VAR1": "x" * 31}, "919900000002": {}, "919900000009": {}, "919900000016": {},
        "919900000017": {}, "9900000001": {},
    }.items():  # fmt: skip
        assert client.post(FLOW, sms(number, **values)).json()["type"] == "success"
    no_value = SAMPLES["flow_request"] | {"recipients": [{"mobiles": "919900000001", "var1": "Asha", "VAR2": "x"}]}
    assert client.post(FLOW, no_value).json()["type"] == "success"
    assert [each["status"] for each in client.sent()] == ["16", "2", "9", "16", "17", "2", "2"]


def test_an_sms_costs_a_credit_and_without_any_it_is_refused(client: Client) -> None:
    client.door("msg91/switches", balance=1)
    assert client.post(FLOW, sms()).json()["type"] == "success"
    assert client.get("/api/balance.php", authkey=KEY, type="4").text == "0"
    assert client.post(FLOW, sms()).json() == {"message": "Insufficient balance", "type": "error", "code": "301"}


def test_numbers_and_senders_are_looked_at(client: Client) -> None:
    assert client.post(FLOW, SAMPLES["flow_request"] | {"recipients": []}).json()["code"] == "101"
    assert client.post(FLOW, sms("+919900000001")).json()["code"] == "202"
    assert client.post(FLOW, sms() | {"sender": "SHORT"}).json()["code"] == "203"
    two = client.post(FLOW, sms("919900000001,919900000003"))
    assert two.json()["type"] == "success"
    assert len(client.sent()) == 2


def test_a_repetition_within_ten_seconds_may_be_refused(client: Client) -> None:
    client.door("msg91/switches", repeats_refused=True)
    first, second = client.post(FLOW, sms()), client.post(FLOW, sms())
    assert (first.json()["type"], second.json()["code"]) == ("success", "311")


def test_the_sample_of_a_whatsapp_message_is_taken(client: Client) -> None:
    answer = client.post(BULK, SAMPLES["whatsapp_request"])
    said, sample = answer.json(), SAMPLES["whatsapp_success"]
    assert (answer.status_code, said | {"request_id": ""}) == (200, sample | {"request_id": ""})
    assert re.fullmatch(r"[0-9a-f]{32}", said["request_id"])
    assert [(each["status"], each["text"]) for each in client.sent()] == [("delivered", "invoice_ready: Asha, INV-104")]


@pytest.mark.parametrize(
    ("template", "status", "reason"),
    [
        ({"name": "nowhere"}, "failed", "132001"),
        ({"language": {"code": "sl"}}, "failed", "132001"),
        ({"name": "spring_sale"}, "failed", "132000"),
        ({"to_and_components": [{"to": ["9900000001"], "components": {}}]}, "failed", "132000"),
    ],
)
def test_a_wrong_template_is_taken_like_a_good_one(
    client: Client, template: dict[str, Any], status: str, reason: str
) -> None:
    assert client.post(BULK, whatsapp(**template)).json()["status"] == "success"
    assert [(each["status"], each["reason"][:6]) for each in client.sent()] == [(status, reason)]


def test_marketing_is_taken_and_never_heard_of(client: Client) -> None:
    one = [{"to": ["919900000001"], "components": {"body_1": {"type": "text", "value": "x"}}}]
    assert client.post(BULK, whatsapp(name="spring_sale", to_and_components=one)).json()["hasError"] is False
    assert client.sent()[0]["status"] is None


def test_a_number_that_is_not_ours_and_a_body_that_is_none_are_refused(client: Client) -> None:
    refused = client.post(BULK, SAMPLES["whatsapp_request"] | {"integrated_number": "1"})
    assert isinstance(refused.json()["errors"], dict)  # an object here, a text there
    broken = client.post(BULK, {"integrated_number": "919811111111", "content_type": "template", "payload": {}})
    assert broken.json() == SAMPLES["whatsapp_fail"]
    assert client.get("/api/v5/whatsapp/get-template-client/1").json()["hasError"] is True


def test_the_templates_of_a_number_are_listed(client: Client) -> None:
    listed = client.get("/api/v5/whatsapp/get-template-client/919811111111").json()["data"]
    assert [(each["name"], each["category"], each["status"]) for each in listed] == [
        ("invoice_ready", "UTILITY", "approved"),
        ("spring_sale", "MARKETING", "approved"),
    ]


@pytest.mark.parametrize("key", [None, "wrong"])
def test_without_its_key_nothing_opens(client: Client, key: str | None) -> None:
    assert client.post(FLOW, sms(), key=key).json()["message"] == "AuthenticationFailure"
    refused = client.post(BULK, SAMPLES["whatsapp_request"], key=key)
    assert (refused.status_code, refused.json()) == (401, SAMPLES["whatsapp_unauthorized_401"] | {"apiError": "201"})
    assert client.sent() == []


def test_a_key_only_works_from_addresses_on_its_list(client: Client) -> None:
    client.door("msg91/switches", on_the_list=False)
    assert client.post(BULK, SAMPLES["whatsapp_request"]).json() == SAMPLES["whatsapp_unauthorized_401"]
    assert client.post(FLOW, sms()).json()["code"] == "418"
    assert client.get("/api/balance.php", authkey=KEY, type="4").json()["type"] == "error"


def test_too_many_requests_are_told_to_wait(client: Client) -> None:
    client.door("msg91/switches", requests_per_minute=1, retry_after=7)
    assert client.post(FLOW, sms()).status_code == 200
    refused = client.post(FLOW, sms())
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert client.door("msg91/switches", no=1).status_code == 400
