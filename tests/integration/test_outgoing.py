"""Messages to other programs, from what happened to a receiver that may be slow, wrong, gone, or ourselves killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from signal import SIGKILL

import pytest
import structlog
from cryptography.fernet import Fernet

from erpflow.errors import ConfigError
from erpflow.services.outgoing import delivering
from erpflow.services.outgoing.delivering import deliver_due
from erpflow.services.outgoing.sending import Reach
from erpflow.services.outgoing.subscribing import rotate
from erpflow.store import deliveries, subscriptions
from erpflow.store.cipher import Cipher
from erpflow.store.database import Database
from erpflow.store.deliveries import LEASE
from erpflow.store.notifications import moment
from erpflow.store.tenants import add_tenant
from erpflow.testing.server import Asked, Reply
from erpflow.vocabulary import DEFAULT_TENANT, DeliveryId, DeliveryState, EventType
from tests.outgoing import LATER, REACH, PostOffice, post_office

DOWN = Reply(500, body=b"out of order")


@pytest.fixture
def office(fresh_database: Database, tmp_path: Path) -> Iterator[PostOffice]:
    with post_office(fresh_database, tmp_path) as office:
        yield office


def test_a_message_is_delivered_once_and_its_signature_holds(office: PostOffice) -> None:
    receiver = office.receiver()
    log = office.end_run()
    assert office.deliver().delivered == 1
    assert office.deliver_later().delivered == 0
    [message] = receiver.messages()
    assert message["type"] == "sync.completed"
    assert message["data"]["log_id"] == log
    found = office.only()
    assert (found.state, found.attempts, found.last_status) == (DeliveryState.DELIVERED, 1, 200)
    assert receiver.ids == [found.event_id]
    assert found.event_id.startswith("msg_")


def test_every_subscription_of_an_event_gets_it_under_one_id_and_no_other_does(office: PostOffice) -> None:
    first, second = office.receiver(), office.receiver(events=(EventType.SYNC_FAILED, EventType.SYNC_COMPLETED))
    other = office.receiver(events=(EventType.CONFLICT_OPENED,))
    office.end_run()
    office.deliver()
    assert len(first.ids) == 1
    assert first.ids == second.ids
    assert other.ids == []


def test_a_receiver_that_is_down_gets_ten_attempts_then_the_message_is_dead_and_can_be_replayed(
    office: PostOffice,
) -> None:
    receiver = office.receiver(*[DOWN] * 10, Reply())
    office.end_run()
    assert (sweep := office.deliver()).failed == 1
    assert sweep.dead == 0
    waiting = office.only()
    assert (waiting.state, waiting.attempts, waiting.last_error) == ("pending", 1, "HTTP 500: out of order")
    for _ in range(8):
        assert office.deliver_later().dead == 0
    assert office.deliver_later().dead == 1
    assert office.deliver_later().failed == 0
    assert len(receiver.ids) == 10
    [dead] = office.all(state=DeliveryState.DEAD)
    with office.database.session() as connection:
        deliveries.replay(connection, dead.id, tenant_id=DEFAULT_TENANT)
    assert office.deliver().delivered == 1
    assert len(receiver.ids) == 11
    assert set(receiver.ids) == {dead.event_id}
    assert len({asked.body for asked in receiver.asked}) == 1
    receiver.messages()
    assert office.only().state is DeliveryState.DELIVERED


def test_a_message_waits_as_the_schedule_says_and_is_not_sent_before(office: PostOffice) -> None:
    receiver = office.receiver(DOWN)
    office.end_run()
    office.deliver()
    for wait in (5, 300, 1800, 7200):
        due = office.only().next_attempt_at
        sent = len(receiver.ids)
        with office.database.session() as connection:
            office.ahead = due - moment(connection) - timedelta(seconds=4)
        office.deliver()
        assert len(receiver.ids) == sent
        office.ahead += timedelta(seconds=4)
        office.deliver()
        assert len(receiver.ids) == sent + 1, wait
    gap = office.only().next_attempt_at - due
    assert timedelta(seconds=18_000) <= gap < timedelta(seconds=18_010)


def test_dead_letters_are_replayed_all_at_once_or_of_one_subscription(office: PostOffice) -> None:
    one, two = (office.receiver(*[DOWN] * 20, Reply()) for _ in range(2))
    office.end_run()
    office.end_run("order")
    with office.database.session() as connection:
        connection.execute("UPDATE erpflow.erp_deliveries SET state = 'dead', settled_at = now()")
        only = deliveries.replay_dead(connection, tenant_id=DEFAULT_TENANT, subscription_id=one.subscription)
        assert only == 2
        office.deliver()
        assert (len(one.ids), len(two.ids)) == (2, 0)
        assert deliveries.replay_dead(connection, tenant_id=DEFAULT_TENANT) == 2
    office.deliver()
    assert (len(one.ids), len(two.ids)) == (2, 2)


def test_a_slow_receiver_holds_up_neither_the_others_nor_the_sweep(office: PostOffice) -> None:
    over = threading.Event()
    slow, quick = office.receiver(Reply(wire=lambda _: over.wait(30) and None)), office.receiver()
    for _ in range(20):
        office.end_run()
    try:
        sweep = office.deliver(reach=Reach(private_networks=True, plain_http=True, timeout_s=0.3))
    finally:
        over.set()
    assert len(quick.ids) == sweep.delivered == 20
    assert len(slow.ids) == sweep.failed <= deliveries.EACH
    errors = {each.last_error for each in office.all(subscription_id=slow.subscription) if each.attempts}
    assert errors == {"No answer within 0.3 seconds."}


def test_a_receiver_that_is_gone_is_disabled_and_what_waits_for_it_is_dead(office: PostOffice) -> None:
    receiver = office.receiver(Reply(410))
    for _ in range(6):
        office.end_run()
    assert office.deliver().disabled == 1
    assert len(receiver.ids) <= deliveries.EACH
    assert {each.state for each in office.all()} == {DeliveryState.DEAD}
    office.end_run()
    assert len(office.all()) == 6
    with office.database.session() as connection:
        row = subscriptions.get_subscription(connection, receiver.subscription, tenant_id=DEFAULT_TENANT)
        assert not row.active
        assert "410 Gone" in (row.disabled_reason or "")
        with pytest.raises(ConfigError, match=r"is disabled: .*410 Gone.*erpflow subscription enable"):
            deliveries.replay(connection, office.all()[0].id, tenant_id=DEFAULT_TENANT)
        assert deliveries.replay_dead(connection, tenant_id=DEFAULT_TENANT) == 0


def test_a_redirect_and_a_private_address_are_failures_like_others(office: PostOffice) -> None:
    receiver = office.receiver(Reply(307, headers={"Location": "http://169.254.169.254/"}))
    office.end_run()
    office.deliver()
    assert "redirects are not followed" in (office.only().last_error or "")
    office.ahead += LATER
    assert office.deliver(reach=Reach(plain_http=True)).failed == 1
    assert "private network" in (office.only().last_error or "")
    assert len(receiver.ids) == 1


def test_a_subscription_to_which_nothing_goes_for_five_days_is_disabled_and_one_success_saves_it(
    office: PostOffice,
) -> None:
    saved, lost = office.receiver(*[DOWN] * 10, Reply()), office.receiver(DOWN)
    disabled = []
    for _ in range(2):  # a message is given up after more than three days
        office.end_run()
        disabled.append(office.deliver_all().disabled)
    assert disabled == [0, 1]
    with office.database.session() as connection:
        rows = {row.id: row for row in subscriptions.list_subscriptions(connection, tenant_id=DEFAULT_TENANT)}
    assert (rows[saved.subscription].active, rows[saved.subscription].failing_since) == (True, None)
    assert "Nothing could be delivered to it for 5 days" in (rows[lost.subscription].disabled_reason or "")


def test_days_on_which_nobody_sent_anything_are_not_held_against_a_receiver(office: PostOffice) -> None:
    receiver = office.receiver(DOWN, DOWN, Reply())
    office.end_run()
    assert office.deliver().failed == 1
    office.ahead = timedelta(days=30)
    assert (sweep := office.deliver()).failed == 1
    assert sweep.disabled == 0
    assert office.deliver_later().delivered == 1
    assert len(receiver.ids) == 3


def test_a_sender_killed_between_send_and_settle_is_followed_by_one_that_sends_the_same_message(
    office: PostOffice,
) -> None:
    receiver = office.receiver()
    office.end_run()
    process = subprocess.run(
        [sys.executable, "-m", "tests.outgoing_crash", office.database.url, office.key], timeout=60, check=False
    )
    assert process.returncode == -SIGKILL
    assert len(receiver.ids) == 1
    assert office.only().state is DeliveryState.PENDING
    assert office.deliver().delivered == 0  # the dead sender's lease
    office.ahead = LEASE + timedelta(seconds=1)
    assert office.deliver().delivered == 1
    assert receiver.ids == [office.only().event_id] * 2
    assert receiver.asked[0].body == receiver.asked[1].body
    receiver.messages()


def test_a_sender_that_comes_back_after_its_lease_settles_nothing(office: PostOffice) -> None:
    office.receiver()
    office.end_run()
    with office.database.session() as connection:
        [late] = deliveries.claim_due(connection, now=office.now(connection), limit=8)
        office.ahead = LEASE + timedelta(seconds=1)
        [claimed] = deliveries.claim_due(connection, now=office.now(connection), limit=8)
        assert (late.id, claimed.attempt) == (claimed.id, 2)
        now = office.now(connection)
        assert deliveries.settle_failed(connection, late, status=500, error="", again_at=None, now=now) is None
        deliveries.settle_delivered(connection, late, status=200, now=now)
        assert office.only().state is DeliveryState.PENDING
        deliveries.settle_delivered(connection, claimed, status=200, now=now)
    assert office.only().state is DeliveryState.DELIVERED


def test_two_senders_at_once_deliver_each_message_once(office: PostOffice) -> None:
    receivers = [office.receiver() for _ in range(3)]
    for _ in range(15):
        office.end_run()
    with ThreadPoolExecutor(4) as pool:
        sweeps = [sweep.result() for sweep in [pool.submit(office.deliver) for _ in range(4)]]
    assert sum(sweep.delivered for sweep in sweeps) == 45
    for receiver in receivers:
        assert len(receiver.ids) == 15
        assert set(Counter(receiver.ids).values()) == {1}


def test_what_one_sender_claims_another_does_not_wait_for(office: PostOffice) -> None:
    office.receiver()
    office.end_run()
    with office.database.transaction() as first, office.database.session() as second:
        second.execute("SET lock_timeout = '2s'")
        assert len(deliveries.claim_due(first, now=office.now(first), limit=8)) == 1
        assert deliveries.claim_due(second, now=office.now(second), limit=8) == []


def test_messages_that_wait_are_sent_in_the_order_in_which_they_became_due(office: PostOffice) -> None:
    receiver = office.receiver()
    logs = [office.end_run() for _ in range(12)]
    office.deliver()
    told = [message["data"]["log_id"] for message in receiver.messages()]
    assert sorted(told) == sorted(logs)
    for start in range(0, 12, deliveries.EACH):
        assert set(told[start : start + deliveries.EACH]) == set(logs[start : start + deliveries.EACH])


def test_while_a_secret_is_rotated_both_verify_and_afterwards_only_the_new_one(office: PostOffice) -> None:
    receiver = office.receiver()
    old = receiver.secret
    with office.database.session() as connection:
        new = rotate(connection, receiver.subscription, cipher=Cipher(office.key), tenant_id=DEFAULT_TENANT)
    office.end_run()
    office.deliver()
    assert len(receiver.messages()) == 1  # by the old one
    receiver.secret = new
    assert len(receiver.messages()) == 1
    office.ahead = timedelta(hours=25)
    office.end_run()
    office.deliver()
    assert len(receiver.messages()) == 2
    assert len(receiver.asked[1].headers["webhook-signature"].split(" ")) == 1
    assert old.reveal() != new.reveal()


def test_a_secret_is_in_no_table_and_in_no_log(office: PostOffice) -> None:
    receiver = office.receiver(DOWN)
    office.end_run()
    told: list[str] = []
    with structlog.testing.capture_logs() as events:
        office.deliver(on_secret=told.append)
    canary = receiver.secret.reveal()
    assert told == [canary]
    assert events
    assert canary not in str(events)
    for table in ("erp_subscriptions", "erp_deliveries"):
        assert canary not in str(office.shop.rows(f"SELECT * FROM erpflow.{table}"))
    with office.database.session() as connection:
        [claimed] = deliveries.claim_due(connection, now=office.now(connection) + LATER, limit=1)
    assert canary not in repr(claimed)
    assert str(receiver.server.url) not in repr(claimed)


def test_a_secret_that_cannot_be_decrypted_fails_its_own_messages_only(office: PostOffice) -> None:
    office.receiver()
    office.key = Fernet.generate_key().decode()
    well = office.receiver()
    office.end_run()
    sweep = office.deliver()
    assert (sweep.delivered, sweep.failed, len(well.ids)) == (1, 1, 1)
    errors = [each.last_error for each in office.all() if each.last_error]
    assert "erpflow subscription rotate" in errors[0]
    with pytest.raises(ConfigError, match="AIRFLOW__CORE__FERNET_KEY is not set"):
        deliver_due(office.database, Cipher(""), reach=REACH)


def test_an_answer_with_a_nul_in_it_is_noted_like_any_other(office: PostOffice) -> None:
    office.receiver(Reply(500, body=b"bad\x00luck"))
    office.end_run()
    assert office.deliver().failed == 1
    assert office.only().last_error == "HTTP 500: bad\ufffdluck"


def test_a_sweep_ends_in_time_however_much_is_due(office: PostOffice) -> None:
    receiver = office.receiver()
    for _ in range(12):
        office.end_run()
    ticks = chain([0.0, 1.0], repeat(delivering.SWEEP_S + 1.0))
    office.deliver(clock=lambda: next(ticks))
    assert len(receiver.ids) == deliveries.EACH
    assert office.deliver().delivered == 12 - deliveries.EACH


def test_a_removed_subscription_takes_its_messages_along_and_a_message_under_way_is_no_trouble(
    office: PostOffice,
) -> None:
    receiver = office.receiver()

    def answer(_: Asked) -> Reply:
        with office.database.session() as connection:
            subscriptions.remove_subscription(connection, receiver.subscription, tenant_id=DEFAULT_TENANT)
        return Reply()

    receiver.replies[:] = [Reply(wire=lambda _: answer(receiver.asked[0]) and None)]
    office.end_run()
    assert office.deliver().failed == 1
    assert office.all() == []


def test_one_tenant_sees_and_touches_nothing_of_another(office: PostOffice) -> None:
    receiver = office.receiver(Reply(410))
    office.end_run()
    office.deliver()
    with office.database.session() as connection:
        other = add_tenant(connection, "other", name="Other").id
        assert subscriptions.list_subscriptions(connection, tenant_id=other) == []
        assert deliveries.find(connection, tenant_id=other, limit=10) == []
        assert deliveries.replay_dead(connection, tenant_id=other) == 0
        for act in (
            subscriptions.get_subscription,
            subscriptions.remove_subscription,
            subscriptions.enable_subscription,
            subscriptions.disable_subscription,
            subscriptions.change_subscription,
        ):
            with pytest.raises(ConfigError, match="There is no subscription"):
                act(connection, receiver.subscription, tenant_id=other)
        with pytest.raises(ConfigError, match="There is no delivery"):
            deliveries.replay(connection, office.only().id, tenant_id=other)


def test_a_message_that_waits_is_not_replayed_and_a_misspelt_id_is_said_to_be_none(office: PostOffice) -> None:
    office.receiver()
    office.end_run()
    with office.database.session() as connection:
        with pytest.raises(ConfigError, match="waits already: its next attempt is at"):
            deliveries.replay(connection, office.only().id, tenant_id=DEFAULT_TENANT)
        with pytest.raises(ConfigError, match="There is no delivery nonsense"):
            deliveries.replay(connection, DeliveryId("nonsense"), tenant_id=DEFAULT_TENANT)


def test_an_address_has_one_subscription_and_its_events_can_be_changed(office: PostOffice) -> None:
    receiver = office.receiver()
    url = f"{receiver.server.url}/hook"
    with office.database.session() as connection:
        with pytest.raises(ConfigError, match=r"There is a subscription for .* already"):
            subscriptions.add_subscription(
                connection,
                url,
                events=[EventType.SYNC_FAILED],
                secret=receiver.secret,
                cipher=Cipher(office.key),
                tenant_id=DEFAULT_TENANT,
            )
        changed = subscriptions.change_subscription(
            connection, receiver.subscription, tenant_id=DEFAULT_TENANT, events=[EventType.SYNC_FAILED]
        )
    assert changed.events == (EventType.SYNC_FAILED,)
    office.end_run()
    assert office.all() == []
