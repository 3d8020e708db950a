"""Workers that die while they send, and workers that come late: a message is sent again only if it was not taken."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from erpflow.connectors.messaging import MessageRejected, Taken
from erpflow.errors import AuthFailed, DatabaseUnavailable, ErpflowError, FieldProblem, VendorUnavailable
from erpflow.services.messaging import outbox
from erpflow.store import connections, messages
from erpflow.store.messages import Settlement
from erpflow.vocabulary import DEFAULT_TENANT, Channel, MessageId, MessageState
from tests.messaging import KEPT, Office
from tests.messaging import office as office  # fixtures, for this module too
from tests.messaging import shared as shared


def wanted(office: Office, key: str) -> outbox.Wanted:
    with office.api.database.transaction() as store:
        (row,) = connections.list_connections(store, system="sendgrid")
    return outbox.Wanted(
        connection=row, channel=Channel.EMAIL, key=key, content={"subject": "A"}, recipients=("a@b.example",),
        template=None, by="test",
    )  # fmt: skip


DIES_SENDING = """
import os, signal
from erpflow.services import installation
from erpflow.services.messaging import outbox
from erpflow.store import connections
from erpflow.store.tenancy import TenantDatabase
from erpflow.vocabulary import DEFAULT_TENANT, Channel

database = TenantDatabase(installation.database)
with database.session(DEFAULT_TENANT) as store:
    (row,) = connections.list_connections(store, system="sendgrid")
wanted = outbox.Wanted(connection=row, channel=Channel.EMAIL, key="killed", content={"subject": "A"},
                       recipients=("a@b.example",), template=None, by="test")
outbox.send(database, DEFAULT_TENANT, wanted, lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""


class Killed(BaseException):
    """The process ended there: nothing is written after it."""


def grow_old(office: Office) -> None:
    with office.api.database.transaction() as store:
        store.execute("UPDATE erpflow.erp_messages SET submitted_at = now() - %s - interval '1 s'", (messages.LEASE,))


def test_a_message_whose_worker_died_becomes_unknown_and_is_not_sent_again(office: Office) -> None:
    database, asked = office.api.surroundings.database, []

    def dies(message_id: MessageId) -> Taken:
        asked.append(message_id)
        raise Killed

    with pytest.raises(Killed):
        outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), dies)
    under_way = outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), dies)
    assert under_way.state is MessageState.SUBMITTING
    grow_old(office)
    assert outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), dies).state is MessageState.UNKNOWN
    assert len(asked) == 1
    assert office.kept(state="unknown")[0]["error"] == messages.LOST


def test_a_process_that_is_killed_while_it_sends_leaves_the_message_to_be_looked_at(office: Office) -> None:
    ended = subprocess.run([sys.executable, "-c", DIES_SENDING], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (-signal.SIGKILL, "")
    [kept] = office.kept()
    assert (kept["status"], kept["key"]) == ("submitting", "killed")
    grow_old(office)
    [kept] = office.kept(state="unknown")
    assert kept["error"] == messages.LOST
    asked: list[MessageId] = []
    again = outbox.send(office.api.surroundings.database, DEFAULT_TENANT, wanted(office, "killed"), asking(asked, None))
    assert (again.state, asked) == (MessageState.UNKNOWN, [])


Ends = ErpflowError | None
ENDS: dict[str, Ends] = {
    "taken": None,
    "refused": MessageRejected([FieldProblem("to", "refused", "No.")]),
    "not now": AuthFailed("No."),
    "lost": VendorUnavailable("Gone.", maybe_done=True),
}


def asking(asked: list[MessageId], end: Ends) -> Callable[[MessageId], Taken]:
    def deliver(message_id: MessageId) -> Taken:
        asked.append(message_id)
        if end is not None:
            raise end
        return Taken("x")

    return deliver


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from([*ENDS, "arrived", "did not arrive"]), min_size=1, max_size=8))
def test_whatever_happens_a_message_is_sent_only_when_it_was_certainly_not_taken(
    office: Office, steps: list[str]
) -> None:
    database, key, asked, may_ask = office.api.surroundings.database, str(uuid4()), [], True
    is_unknown = False
    for step in steps:
        if step in ENDS:
            before = len(asked)
            with suppress(AuthFailed):
                outbox.send(database, DEFAULT_TENANT, wanted(office, key), asking(asked, ENDS[step]))
            assert len(asked) - before == may_ask
            if may_ask:
                may_ask, is_unknown = step == "not now", step == "lost"
        elif asked:
            decided = office.post(f"{KEPT}/{asked[0]}/settle", {"arrived": step == "arrived"})
            assert decided.status_code == (200 if is_unknown else 409)
            if is_unknown:
                may_ask, is_unknown = step != "arrived", False
    assert len(set(asked)) <= 1


def test_what_a_worker_says_late_is_taken_unless_somebody_decided_meanwhile(office: Office) -> None:
    database = office.api.surroundings.database

    def late(message_id: MessageId) -> Taken:
        grow_old(office)
        assert office.kept()[0]["status"] == "unknown"
        return Taken("late")

    message = outbox.send(database, DEFAULT_TENANT, wanted(office, "first"), late)
    assert (message.state, message.remote_id) == (MessageState.ACCEPTED, "late")

    def too_late(message_id: MessageId) -> Taken:
        grow_old(office)
        office.post(f"{KEPT}/{message_id}/settle", {"arrived": False}).raise_for_status()
        again = outbox.send(database, DEFAULT_TENANT, wanted(office, "second"), lambda _: Taken("again"))
        assert again.attempts == 2
        return Taken("stale")

    message = outbox.send(database, DEFAULT_TENANT, wanted(office, "second"), too_late)
    assert (message.state, message.remote_id, message.attempts) == (MessageState.ACCEPTED, "again", 2)


def test_an_outcome_that_cannot_be_kept_is_logged_and_the_message_is_not_sent_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise DatabaseUnavailable("The database went away.")

    asked: list[MessageId] = []
    database = office.api.surroundings.database
    with monkeypatch.context() as patch, capture_logs() as logged, pytest.raises(DatabaseUnavailable):
        patch.setattr(messages, "settle", away)
        outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), asking(asked, None))
    [event] = [each for each in logged if each["event"] == "outcome_not_kept"]
    assert (event["message"], event["remote_id"]) == (asked[0], "x")
    grow_old(office)
    again = outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), asking(asked, None))
    assert (again.state, len(asked)) == (MessageState.UNKNOWN, 1)


def test_only_the_newest_attempt_is_settled_and_only_once(office: Office) -> None:
    new = outbox._claimed(office.api.surroundings.database, DEFAULT_TENANT, wanted(office, "k"))[0]
    taken = Settlement(state=MessageState.ACCEPTED, remote_id="x")
    with office.api.surroundings.database.session(DEFAULT_TENANT) as store:
        assert messages.settle(store, replace(new, attempts=2), taken) is None
        assert messages.settle(store, new, taken) is not None
        assert messages.settle(store, new, Settlement(state=MessageState.REJECTED)) is None


def test_an_error_of_our_own_leaves_the_message_unknown(office: Office) -> None:
    def breaks(_: MessageId) -> Taken:
        raise ZeroDivisionError

    database = office.api.surroundings.database
    with pytest.raises(ZeroDivisionError):
        outbox.send(database, DEFAULT_TENANT, wanted(office, "k"), breaks)
    assert office.kept()[0]["status"] == "unknown"
