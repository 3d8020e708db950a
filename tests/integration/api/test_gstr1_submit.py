"""A GSTR-1 on its way through the portal: saved, compared, filed once by a person's word, whatever happens between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import requests
from starlette.testclient import TestClient

from erpflow.api.rights import Right
from erpflow.connectors.gst_portal import GstPortal
from erpflow.services.gst import submitting
from sandbox.gst_portal.portal import EVC_OTP, OTP
from tests.calling import ALL, Api
from tests.gst_bodies import sample_body
from tests.gstr1 import MAHARASHTRA, OWN
from tests.integration.conftest import Sandbox

SECRET = "sandbox-gsp-secret"
PAN = "AABCV1234M"


@dataclass
class Filer:
    """A company with its return at the API, and the portal's side door."""

    api: Api
    client: TestClient
    sandbox: Sandbox
    account: str
    return_id: str = ""

    def generate(self, **more: Any) -> dict[str, Any]:
        answer = self.client.post("/gst/gstr1/generate", json=sample_body() | more)
        assert answer.status_code == 201, answer.text
        self.return_id = answer.json()["id"]
        return dict(answer.json())

    def submit(self, **more: Any) -> Any:
        return self.client.post("/gst/gstr1/submit", json={"return_id": self.return_id, **more})

    def went_on(self, **more: Any) -> dict[str, Any]:
        answer = self.submit(**more)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def sign_in(self) -> None:
        assert self.submit().json()["code"] == "otp_needed"

    def made_ready(self) -> None:
        self.sign_in()
        assert self.went_on(otp=OTP)["state"] == "ready_to_file"

    def file(self, otp: str = EVC_OTP) -> Any:
        asked = self.submit(file={"pan": PAN})
        assert (asked.status_code, asked.json()["code"]) == (409, "evc_otp_needed"), asked.text
        return self.submit(file={"pan": PAN, "evc_otp": otp})

    def door(self, door: str, /, **body: Any) -> None:
        url = f"{self.sandbox.url}/_sandbox/{door}"
        requests.post(url, json=body, timeout=10).raise_for_status()

    def portal(self) -> dict[str, Any]:
        return dict(requests.get(f"{self.sandbox.url}/_sandbox/gst_portal/returns", timeout=10).json())

    def asked(self, action: str) -> int:
        return int(self.portal()["asked"].get(action, 0))

    def row(self) -> tuple[Any, ...]:
        statement = "SELECT state, filing_by, arn, claimed_until FROM erpflow.erp_gst_returns WHERE id = %s"
        with self.api.database.transaction() as connection:
            row = connection.execute(statement, (self.return_id,)).fetchone()
        assert row is not None
        return row


def connect(client: TestClient, sandbox: Sandbox, **settings: str) -> str:
    given = {"gstin": OWN, "username": "sandbox.karnataka", "mode": "plain"} | settings
    body = {
        "name": "portal", "system": "gst_portal", "url": f"{sandbox.url}/gst_portal", "login": "sandbox-gsp-client",
        "password": SECRET, "settings": given,
    }  # fmt: skip
    answer = client.post("/api/erp/connections", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def a_filer(api: Api, sandbox: Sandbox, **settings: str) -> Filer:
    """A company of its own, with a generated return and a portal that works without delay."""
    requests.post(f"{sandbox.url}/_sandbox/reset", json={"vendor": "gst_portal"}, timeout=10).raise_for_status()
    client = api.as_key(api.key(*ALL, tenant_id=api.tenant(f"filer-{uuid4().hex[:8]}")))
    found = Filer(api, client, sandbox, connect(client, sandbox, **settings))
    found.door("gst_portal/switches", polls=0)
    found.generate()
    return found


@pytest.fixture
def filer(shared_installation_api: Api, sandbox: Sandbox) -> Filer:
    """With a connection in plain mode."""
    return a_filer(shared_installation_api, sandbox)


def test_the_connection_is_tried_without_sending_anybody_a_message(filer: Filer) -> None:
    tried = filer.client.post(f"/api/erp/connections/{filer.account}/test").json()
    assert (tried["success"], filer.asked("OTPREQUEST")) == (True, 0)
    changed = filer.client.put(f"/api/erp/connections/{filer.account}", json={"password": "wrong"})
    assert changed.status_code == 200
    tried = filer.client.post(f"/api/erp/connections/{filer.account}/test").json()
    assert tried["success"] is False and "AUTH113" in tried["message"]


def test_without_a_session_the_portal_sends_an_otp_and_nothing_else_happens(filer: Filer) -> None:
    answer = filer.submit()
    assert (answer.status_code, answer.json()["code"]) == (409, "otp_needed")
    assert '"otp"' in answer.json()["detail"] and OWN in answer.json()["detail"]
    assert filer.submit().json()["code"] == "otp_needed"
    assert filer.asked("OTPREQUEST") == 1  # the first one is on its way: a second would make it worthless
    assert filer.row()[0] == "generated"


def test_a_wrong_otp_is_told_and_the_right_one_still_counts(filer: Filer) -> None:
    filer.sign_in()
    answer = filer.submit(otp="000000")
    assert (answer.status_code, answer.json()["code"]) == (422, "otp_refused")
    assert "AUTH4034" in answer.json()["detail"]
    assert filer.went_on(otp=OTP)["state"] == "ready_to_file"


@pytest.mark.parametrize("mode", ["plain", "encrypted"])
def test_a_return_is_saved_made_ready_and_filed(shared_installation_api: Api, sandbox: Sandbox, mode: str) -> None:
    key = requests.get(f"{sandbox.url}/_sandbox/gst_portal/public-key", timeout=10).json()["public_key"]
    filer = a_filer(shared_installation_api, sandbox, mode=mode, public_key=key)
    filer.sign_in()
    ready = filer.went_on(otp=OTP)
    assert (ready["state"], ready["differences"], ready["row_errors"], ready["arn"]) == ("ready_to_file", [], [], None)
    assert len(ready["reference_ids"]) == 2
    (at_portal,) = filer.portal()["returns"]
    assert at_portal["rows"] == {
        "b2b": 2, "b2cl": 1, "b2cs": 2, "cdnr": 1, "cdnur": 1, "exp": 1, "nil": 1, "hsn": 1, "doc_issue": 1,
    }  # fmt: skip
    filed = filer.file().json()
    (at_portal,) = filer.portal()["returns"]
    assert (filed["state"], filed["arn"]) == ("filed", at_portal["arn"])
    assert filed["arn"].startswith("AA29") and filed["filing_by"].startswith("key:erp_") and filed["filed_at"]
    assert filer.went_on() == filed and filer.went_on(reset=True) == filed
    assert filer.asked("RETFILE") == 1


def test_saving_alone_files_nothing(filer: Filer) -> None:
    filer.made_ready()
    assert filer.went_on()["state"] == "ready_to_file"
    assert (filer.asked("RETFILE"), filer.asked("RETSAVE"), filer.row()[1]) == (0, 1, None)


def test_a_portal_that_takes_its_time_is_asked_again_by_the_next_request(
    filer: Filer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitting, "PATIENCE_S", 0.0)
    filer.door("gst_portal/switches", polls=1)
    filer.sign_in()
    first = filer.went_on(otp=OTP)
    assert first["state"] == "saving" and "Ask again" in first["message"]
    second = filer.went_on()
    assert second["state"] == "saved" and "making it ready" in second["message"]
    assert filer.went_on()["state"] == "ready_to_file"
    assert filer.asked("RETSAVE") == 1 and filer.asked("RETNEWPTF") == 1


def test_the_portal_is_asked_again_at_longer_and_longer_spans_and_not_for_ever(
    filer: Filer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(GstPortal, "wait", lambda _, seconds: waits.append(seconds))
    filer.door("gst_portal/switches", polls=3)
    filer.sign_in()
    assert filer.went_on(otp=OTP)["state"] == "saved"  # another 8 seconds would be more than 25
    assert waits == [2, 4, 8, 2, 4]
    assert filer.went_on()["state"] == "ready_to_file" and waits[5:] == []


def test_rows_that_the_portal_refuses_are_kept_by_document_and_the_others_are_saved(
    filer: Filer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("erpflow.services.gst.gstr1.check.gstin.why_not", lambda _: None)  # the portal knows more
    body = sample_body()
    body["documents"][0]["buyer_gstin"] = "27AAECE5678K1Z4"
    filer.generate(documents=body["documents"])
    filer.sign_in()
    saved = filer.went_on(otp=OTP)
    assert saved["state"] == "saved_with_errors"
    assert saved["row_errors"] == [
        {
            "section": "b2b", "code": "RET191113", "message": "The GSTIN of the counterparty is invalid",
            "documents": ["INV/2026/0104"],
        }
    ]  # fmt: skip
    assert filer.portal()["returns"][0]["rows"]["b2b"] == 1
    again = filer.submit(file={"pan": PAN, "evc_otp": EVC_OTP}).json()
    assert (again["state"], filer.asked("RETSAVE"), filer.asked("RETFILE")) == ("saved_with_errors", 1, 0)
    monkeypatch.undo()


def test_a_session_that_ends_on_the_way_asks_for_an_otp_and_goes_on(filer: Filer, sandbox: Sandbox) -> None:
    filer.sign_in()
    filer.door("faults", kind="status", path="action=RETSTATUS", status=503)
    answer = filer.submit(otp=OTP)
    assert answer.status_code == 502 and filer.row()[0] == "saving"
    sandbox.heal()
    filer.door("gst_portal/end-sessions")
    answer = filer.submit()
    assert (answer.status_code, answer.json()["code"]) == (409, "otp_needed")
    assert filer.went_on(otp=OTP)["state"] == "ready_to_file"
    assert filer.asked("RETSAVE") == 1


@pytest.mark.parametrize("mode", ["plain", "encrypted"])
def test_a_session_that_is_about_to_end_is_renewed_without_a_person(
    shared_installation_api: Api, sandbox: Sandbox, mode: str
) -> None:
    key = requests.get(f"{sandbox.url}/_sandbox/gst_portal/public-key", timeout=10).json()["public_key"]
    filer = a_filer(shared_installation_api, sandbox, mode=mode, public_key=key)
    filer.door("gst_portal/switches", session_minutes=5)
    filer.made_ready()
    assert filer.asked("REFRESHTOKEN") == 0
    assert filer.file().json()["state"] == "filed"
    assert (filer.asked("REFRESHTOKEN"), filer.asked("OTPREQUEST")) == (2, 1)


def test_a_lost_answer_to_a_save_is_sent_again(filer: Filer) -> None:
    filer.sign_in()
    filer.door("faults", kind="reset_after_commit", path="/gstr1", method="PUT", times=1)
    assert filer.went_on(otp=OTP)["state"] == "ready_to_file"
    assert filer.asked("RETSAVE") == 2 and filer.portal()["returns"][0]["rows"]["b2b"] == 2


def test_a_lost_answer_to_a_filing_is_looked_up_at_once(filer: Filer) -> None:
    filer.made_ready()
    filer.door("gst_portal/switches", lose_filing=True)
    filed = filer.file().json()
    assert filed["state"] == "filed" and filed["arn"] == filer.portal()["returns"][0]["arn"]
    assert (filer.asked("RETFILE"), filer.asked("RETTRACK")) == (1, 1)


def test_a_filing_of_which_nothing_is_known_is_looked_up_before_anything_is_sent(
    filer: Filer, sandbox: Sandbox
) -> None:
    filer.made_ready()
    filer.door("gst_portal/switches", lose_filing=True)
    filer.door("faults", kind="status", status=503, path="action=RETTRACK")
    lost = filer.file().json()
    assert lost["state"] == "unknown" and "answer was lost" in lost["message"] and lost["arn"] is None
    assert filer.submit(file={"pan": PAN, "evc_otp": EVC_OTP}).status_code == 502
    refused = filer.submit(reset=True)
    assert (refused.status_code, refused.json()["code"]) == (409, "may_be_filed")
    sandbox.heal()
    found = filer.went_on(file={"pan": PAN, "evc_otp": EVC_OTP})
    assert (found["state"], found["arn"]) == ("filed", filer.portal()["returns"][0]["arn"])
    assert filer.asked("RETFILE") == 1


def test_a_filing_that_never_arrived_can_be_made_again_after_a_while(filer: Filer, sandbox: Sandbox) -> None:
    filer.made_ready()
    filer.door("faults", kind="status", status=504, path="/gstr1", method="POST", body="RETFILE", times=1)
    assert filer.file().json()["state"] == "unknown"
    assert filer.went_on(file={"pan": PAN, "evc_otp": EVC_OTP})["state"] == "unknown"  # it may still be on its way
    with filer.api.database.transaction() as connection:
        statement = "UPDATE erpflow.erp_gst_returns SET filing_at = filing_at - interval '3 minutes' WHERE id = %s"
        connection.execute(statement, (filer.return_id,))
    back = filer.went_on(file={"pan": PAN, "evc_otp": EVC_OTP})
    assert (back["state"], back["filing_by"]) == ("ready_to_file", None) and "did not arrive" in back["message"]
    assert filer.asked("RETFILE") == 0
    assert filer.file().json()["state"] == "filed"
    sandbox.heal()


def test_a_worker_that_was_killed_while_filing_leaves_it_to_be_looked_up(filer: Filer) -> None:
    filer.made_ready()
    with filer.api.database.transaction() as connection:
        connection.execute(
            "UPDATE erpflow.erp_gst_returns SET state = 'unknown', filing_by = 'me', filing_at = now(), "
            "claimed_until = now() + interval '1 minute', fence = fence + 1 WHERE id = %s",
            (filer.return_id,),
        )
    assert filer.submit().json()["code"] == "already_running"
    with filer.api.database.transaction() as connection:
        statement = "UPDATE erpflow.erp_gst_returns SET claimed_until = now() - interval '1 second' WHERE id = %s"
        connection.execute(statement, (filer.return_id,))
    assert filer.went_on(file={"pan": PAN, "evc_otp": EVC_OTP})["state"] == "unknown"
    assert (filer.asked("RETTRACK"), filer.asked("RETFILE")) == (1, 0)


def test_a_wrong_evc_otp_files_nothing_and_may_be_corrected(filer: Filer) -> None:
    filer.made_ready()
    answer = filer.file(otp="000000")
    assert (answer.status_code, answer.json()["code"]) == (422, "otp_refused") and "OTP0003" in answer.json()["detail"]
    assert filer.row() == ("ready_to_file", None, None, None)
    assert filer.went_on(file={"pan": PAN, "evc_otp": EVC_OTP})["state"] == "filed"


def test_a_summary_that_changed_since_it_was_compared_is_not_filed(filer: Filer) -> None:
    filer.made_ready()
    assert filer.submit(file={"pan": PAN}).status_code == 409
    filer.door("gst_portal/switches", extra=1)
    changed = filer.went_on(file={"pan": PAN, "evc_otp": EVC_OTP})
    assert changed["state"] == "saved" and "has changed" in changed["message"]
    differing = filer.went_on(file={"pan": PAN, "evc_otp": EVC_OTP})
    assert (differing["state"], filer.asked("RETFILE")) == ("saved", 0)
    assert differing["differences"] == [
        {"section": "b2b", "field": "taxable", "ours": "26550.00", "portals": "26551.0"}
    ]


def test_what_somebody_else_saved_for_the_period_is_noticed_and_wiped_when_that_is_asked_for(filer: Filer) -> None:
    body = sample_body()
    more = body["documents"][0] | {"number": "OTHER/1"}
    filer.generate(documents=[*body["documents"], more])
    filer.made_ready()
    filer.generate()
    stopped = filer.went_on()
    assert stopped["state"] == "saved" and "reset" in stopped["message"]
    assert {(each["section"], each["field"]) for each in stopped["differences"]} >= {("b2b", "rows"), ("b2b", "igst")}
    assert filer.went_on(reset=True)["state"] == "ready_to_file"
    assert filer.portal()["returns"][0]["rows"]["b2b"] == 2


def test_a_return_with_problems_is_not_sent(filer: Filer) -> None:
    body = sample_body()
    body["documents"][0]["lines"][0]["rate"] = 17
    filer.generate(documents=body["documents"])
    answer = filer.submit()
    assert (answer.status_code, answer.json()["code"]) == (409, "has_problems")
    assert filer.portal()["asked"] == {}


def test_a_return_of_nothing_is_filed_as_one(filer: Filer) -> None:
    filer.generate(documents=[])
    filer.made_ready()
    assert filer.asked("RETSAVE") == 0 and filer.file().json()["state"] == "filed"


def test_a_period_is_filed_once(filer: Filer) -> None:
    filer.made_ready()
    assert filer.file().json()["state"] == "filed"
    filer.generate()
    answer = filer.submit()
    assert (answer.status_code, answer.json()["code"]) == (409, "already_filed")


def test_a_return_goes_out_with_the_connection_of_its_gstin(filer: Filer) -> None:
    filer.generate(gstin=MAHARASHTRA, documents=[])
    assert filer.submit().json()["code"] == "other_gstin"


def test_returns_and_connections_of_others_are_not_there(filer: Filer) -> None:
    stranger = filer.api.as_key(filer.api.key(*ALL))
    answer = stranger.post("/gst/gstr1/submit", json={"return_id": filer.return_id})
    missing = stranger.post("/gst/gstr1/submit", json={"return_id": str(uuid4())})
    assert (answer.status_code, missing.status_code) == (404, 404)
    body = sample_body(connection_id=filer.account)
    assert stranger.post("/gst/gstr1/generate", json=body).status_code == 404
    assert filer.submit(connection_id=str(uuid4())).status_code == 404


def test_looking_is_not_enough_to_submit(filer: Filer) -> None:
    looking = filer.api.as_key(filer.api.key(Right.LOOK))
    assert looking.post("/gst/gstr1/submit", json={"return_id": filer.return_id}).status_code == 403


def test_no_secret_is_in_an_answer_or_a_table(filer: Filer) -> None:
    filer.sign_in()
    wrong = [filer.submit(otp="secret-otp-99").text, filer.submit(file={"pan": PAN, "evc_otp": "x" * 11}).text]
    ready = [str(filer.went_on(otp=OTP)), filer.file().text]
    with filer.api.database.transaction() as connection:
        (kept,) = connection.execute("SELECT s::text FROM erpflow.erp_gst_sessions s").fetchone() or ("",)
        rows = str(connection.execute("SELECT r::text FROM erpflow.erp_gst_returns r").fetchall())
    for text in (*wrong, *ready, kept, rows):
        assert not any(secret in text for secret in (SECRET, "auth_token", f'"{OTP}"', "secret-otp", "|121212"))


def test_a_page_in_place_of_an_answer_is_a_protocol_error(filer: Filer) -> None:
    filer.sign_in()
    filer.door("faults", kind="html", path="action=RETSUM")
    answer = filer.submit(otp=OTP)
    assert (answer.status_code, answer.json()["code"]) == (502, "protocol_error")
    assert filer.row()[0] == "saved"
