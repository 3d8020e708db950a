"""The page about outgoing webhooks says what is: its code verifies what we sign, its tables name what there is."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from erpflow.services.outgoing.schedule import GIVEN_UP_AFTER, WAITS
from erpflow.services.outgoing.sending import TIMEOUT_S
from erpflow.services.outgoing.signing import new_secret, signed_headers
from erpflow.services.outgoing.subscribing import HTTP_VARIABLE, ROTATION
from erpflow.services.retention import DEFAULT_DAYS, Kept
from erpflow.vocabulary import EventType

PAGE = (Path(__file__).parents[2] / "docs" / "how-to-outgoing-webhooks.md").read_text(encoding="utf-8")
BODY = '{"type": "sync.failed", "data": {"connection": "Žiga"}}'.encode()

Verify = Callable[[str, dict[str, str], bytes], bool]


@pytest.fixture
def verify() -> Verify:
    """The function that a reader copies from the page."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Verify] = {}
    exec(code, names)  # noqa: S102  (our own page)
    return names["verify"]


def test_the_code_of_the_page_accepts_what_we_sign_and_either_secret_of_a_rotation(verify: Verify) -> None:
    old, new = new_secret(), new_secret()
    headers = dict(signed_headers("msg_1", BODY, at=datetime.now(UTC), secrets=[new, old]))
    assert verify(old.reveal(), headers, BODY)
    assert verify(new.reveal(), headers, BODY)
    assert not verify(new_secret().reveal(), headers, BODY)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-signature", "body"])
def test_the_code_of_the_page_refuses_what_was_changed(verify: Verify, changed: str) -> None:
    secret = new_secret()
    headers = dict(signed_headers("msg_1", BODY, at=datetime.now(UTC), secrets=[secret]))
    body = BODY + b" " if changed == "body" else BODY
    if changed != "body":
        headers[changed] = headers[changed][:-2] + "x="
    assert not verify(secret.reveal(), headers, body)


def test_the_code_of_the_page_refuses_what_is_repeated_later(verify: Verify) -> None:
    secret = new_secret()
    headers = dict(signed_headers("msg_1", BODY, at=datetime.now(UTC) - timedelta(minutes=6), secrets=[secret]))
    assert not verify(secret.reveal(), headers, BODY)


def test_the_page_names_every_event_and_no_other() -> None:
    assert set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", PAGE, re.MULTILINE)) == {event.value for event in EventType}


def test_the_page_says_the_numbers_of_the_code() -> None:
    hours = [wait // timedelta(hours=1) for wait in WAITS[3:]]
    assert [wait.total_seconds() for wait in WAITS[:3]] == [5, 5 * 60, 30 * 60]
    assert f"after 5 seconds, 5 and 30 minutes, {', '.join(map(str, hours[:-1]))} and {hours[-1]} hours" in PAGE
    assert (len(WAITS) + 1, "It is sent ten times" in PAGE) == (10, True)
    assert (GIVEN_UP_AFTER, "for five days" in PAGE) == (timedelta(days=5), True)
    assert (TIMEOUT_S, "within ten seconds" in PAGE) == (10, True)
    assert (ROTATION, "For a day" in PAGE) == (timedelta(days=1), True)
    assert f"kept for {DEFAULT_DAYS[Kept.DELIVERIES]} days" in PAGE
    assert f"{HTTP_VARIABLE}=true" in PAGE
