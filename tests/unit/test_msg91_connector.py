"""MSG91 on the wire: two forms of answers, refusals that come with success, and what may have been taken."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors.account import Account
from erpflow.connectors.messaging import MessageRejected, Taken
from erpflow.connectors.msg91 import Msg91
from erpflow.connectors.msg91_messages import Component, Sms, SmsRecipient, WhatsApp, WhatsAppRecipient
from erpflow.errors import AuthFailed, ConfigError, ErpflowError, PermissionDenied, ProtocolError, VendorUnavailable
from erpflow.testing.server import Reply, reset
from tests.wire import Bench, serving

SAMPLES = json.loads((Path(__file__).parents[1] / "fixtures" / "msg91" / "api_samples.json").read_text("utf-8"))
KEY = "270001Authkey3f9c"
NUMBER = "919900000001"
SMS = Sms(template_id="665f1c0ad6fc053a1b2c3d4e", recipients=(SmsRecipient(NUMBER, {"VAR1": "Asha"}),))
WHATSAPP = WhatsApp(
    template="invoice_ready",
    language="en",
    recipients=(WhatsAppRecipient(NUMBER, {"body_1": Component("Asha"), "body_2": Component("INV-104")}),),
)
SENDS: dict[str, Callable[[Msg91], Taken]] = {
    "sms": lambda client: client.send_sms(SMS, reference="m-1"),
    "whatsapp": lambda client: client.send_whatsapp(WHATSAPP),
}


@contextmanager
def account(*replies: Reply, **settings: str) -> Iterator[tuple[Msg91, Bench]]:
    extra = {"integrated_number": "919811111111"} | settings
    with serving(*replies) as bench:
        bench.session.auth = Msg91.auth(Account(bench.server.url, password=KEY, extra=extra))
        yield Msg91(bench.transport()), bench


def raised(reply: Reply, channel: str = "sms") -> ErpflowError:
    with account(reply) as (client, bench), pytest.raises(ErpflowError) as caught:
        SENDS[channel](client)
    assert len(bench.server.asked) == 1
    return caught.value


def sample(name: str, *, status: int = 200, **changes: Any) -> Reply:
    return Reply.json(SAMPLES[name] | changes, status=status)


def test_the_id_of_an_sms_is_its_message_or_its_request_id() -> None:
    with account(sample("flow_success"), sample("flow_success", request_id="r-1")) as (client, bench):
        assert client.send_sms(SMS, reference="m-1") == Taken("3763646c3058373530393938")
        assert client.send_sms(SMS, reference="m-1") == Taken("r-1")
    asked = bench.server.asked[0]
    assert (asked.method, asked.path, asked.headers["authkey"]) == ("POST", "/api/v5/flow", KEY)
    assert json.loads(asked.body)["recipients"] == [{"mobiles": NUMBER, "VAR1": "Asha", "CRQID": "m-1"}]


def test_the_id_of_a_whatsapp_message_is_that_of_its_request() -> None:
    with account(sample("whatsapp_success")) as (client, bench):
        assert client.send_whatsapp(WHATSAPP) == Taken(SAMPLES["whatsapp_success"]["request_id"])
    assert json.loads(bench.server.asked[0].body)["integrated_number"] == "919811111111"


@pytest.mark.parametrize("status", [200, 400])
def test_a_refusal_is_one_whatever_its_status(status: int) -> None:
    error = raised(sample("flow_error_http200", status=status))
    assert isinstance(error, MessageRejected)
    assert (error.field, str(error)) == ("template_id", "Template ID Missing or Invalid Template")
    error = raised(sample("whatsapp_fail", status=status), "whatsapp")
    assert isinstance(error, MessageRejected)
    assert (error.field, str(error)) == (None, "Something went wrong")


def test_errors_are_a_text_or_an_object() -> None:
    error = raised(sample("whatsapp_fail", errors={"message": "Integrated number not found"}), "whatsapp")
    assert str(error) == "Integrated number not found"


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("418", AuthFailed, "public IP address"),
        ("201", AuthFailed, "auth key"),
        ("207", AuthFailed, "auth key"),
        ("301", PermissionDenied, "look at MSG91"),
        ("306", PermissionDenied, "look at MSG91"),
        ("202", MessageRejected, "No"),
        ("311", MessageRejected, "No"),
    ],
)
def test_codes_say_whose_fault_it_is(code: str, kind: type[ErpflowError], words: str) -> None:
    for body in ({"code": code}, {"code": int(code)}):
        error = raised(Reply.json({"type": "error", "message": "No", **body}))
        assert type(error) is kind
        assert words in str(error)
    assert type(raised(Reply.json({"hasError": True, "errors": "No", "apiError": code}, status=401), "whatsapp")) in (
        kind, AuthFailed,
    )  # fmt: skip


def test_an_address_that_is_not_on_the_list_is_told_from_a_key_that_is_no_good() -> None:
    assert "public IP address" in str(raised(sample("whatsapp_unauthorized_401", status=401), "whatsapp"))
    bad = raised(sample("whatsapp_unauthorized_401", status=401, apiError="201"), "whatsapp")
    assert isinstance(bad, AuthFailed) and "code 201" in str(bad)
    assert "public IP address" in str(raised(Reply(418, b"")))
    assert isinstance(raised(Reply.json({"message": "AuthenticationFailure", "type": "error"})), AuthFailed)


@pytest.mark.parametrize("channel", SENDS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<html>"), Reply(200, b""), Reply(200, b"[]"), Reply(200, b'{"type": "maybe"}'),
        Reply(200, b"[" * 100_000), Reply(500, b'{"type":"error","message":"x"}'), Reply(504, b"<html>"),
        Reply(wire=reset),
    ],
    ids=["a page", "nothing", "a list", "neither", "deep", "500", "504", "reset"],
)  # fmt: skip
def test_what_may_have_been_taken_is_sent_once_and_said_to_be_maybe_done(channel: str, reply: Reply) -> None:
    error = raised(reply, channel)
    assert isinstance(error, ProtocolError | VendorUnavailable)
    assert error.maybe_done


@pytest.mark.parametrize("channel", SENDS)
def test_too_many_requests_are_slept_through_when_it_is_short(channel: str) -> None:
    good = sample("flow_success" if channel == "sms" else "whatsapp_success")
    with account(Reply(429, b"", {"Retry-After": "2"}), good) as (client, bench):
        assert SENDS[channel](client).message_id
    assert (len(bench.server.asked), bench.time.slept) == (2, [2.0])


def test_without_a_number_that_sends_there_is_no_whatsapp() -> None:
    with (
        account(sample("whatsapp_success"), integrated_number="") as (client, bench),
        pytest.raises(ConfigError, match="Set integrated_number"),
    ):
        client.send_whatsapp(WHATSAPP)
    assert bench.server.asked == []


def test_a_check_lists_the_templates_of_the_number() -> None:
    with account(Reply.json({"status": "success", "hasError": False, "data": []})) as (client, bench):
        result = client.check()
    assert (result.success, "919811111111" in result.message) == (True, True)
    assert bench.server.asked[0].path == "/api/v5/whatsapp/get-template-client/919811111111"


@pytest.mark.parametrize(
    ("reply", "success", "words"),
    [
        (Reply(200, b"1234.5"), True, "the balance is 1234.5"),
        (Reply(200, b" 0 "), True, "the balance is 0"),
        (Reply.json({"message": "AuthenticationFailure", "type": "error", "code": "201"}), False, "code 201"),
        (Reply(200, b"<html>"), False, "does not say"),
    ],
)
def test_a_check_without_a_number_asks_for_the_balance(reply: Reply, success: bool, words: str) -> None:
    with account(reply, integrated_number="") as (client, bench):
        result = client.check()
    assert (result.success, words in result.message) == (success, True), result.message
    assert (bench.server.asked[0].path, bench.server.asked[0].query["authkey"]) == ("/api/balance.php", KEY)


def test_the_key_shows_nowhere_not_even_where_a_library_logs_addresses(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with account(Reply(200, KEY.encode()), integrated_number="") as (client, _):
        result = client.check()
    assert "balance.php" in caplog.text
    assert KEY not in caplog.text + result.message + repr(Msg91.auth(Account("https://x.example", password=KEY)))
    assert KEY not in str(raised(Reply.json({"type": "error", "message": f"bad {KEY}", "code": "201"})))
