"""No write is made twice and none is lost, whatever becomes of the answer, the worker or the database (invariant 5)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Timer

import pytest

from erpflow.connectors.base import Change, Outcome
from erpflow.errors import AlreadyRunning, ConfigError, VendorUnavailable
from erpflow.store import attempts, locks
from erpflow.store.database import Database
from erpflow.sync import push_settle
from erpflow.sync.echo import is_echo
from erpflow.sync.pull import finish
from erpflow.vocabulary import Counts, RemoteId, SyncStatus, VendorRecord
from tests.two_way import TwoWayConnector, TwoWayShop

MANY = "INSERT INTO app.customers (name, email) SELECT 'Customer ' || n, n || '@x.y' FROM generate_series(1, {}) n"


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoWayShop:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)
    return TwoWayShop(fresh_database, tmp_path)


def once(shop: TwoWayShop, do: Callable[[Change], None]) -> Callable[[Change], None]:
    """Do it at the next write, and at no later one."""

    def hook(change: Change) -> None:
        shop.vendor.before_write = shop.vendor.after_write = lambda change: None
        do(change)

    return hook


def leave_open(shop: TwoWayShop, *, when: str = "before") -> None:
    """A push that is killed before its first write, or after it."""

    class Killed(BaseException):
        pass

    def kill(_change: Change) -> None:
        raise Killed

    setattr(shop.vendor, f"{when}_write", once(shop, kill))
    with pytest.raises(Killed):
        shop.push()


def by_email(shop: TwoWayShop) -> Counter[str]:
    return Counter(str(record["email"]) for record in shop.vendor.records.values())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_vendor_who_often_loses_the_answer_gets_every_record_once(shop: TwoWayShop, when: str) -> None:
    dice = random.Random(5)

    def lose(_change: Change) -> None:
        if dice.random() < 0.05:
            raise VendorUnavailable("504 Gateway Time-out")

    setattr(shop.vendor, f"{when}_write", lose)
    shop.do(MANY.format(1_000))

    summary = shop.push()

    assert summary.counts == Counts(read=1_000, created=1_000)
    assert set(by_email(shop).values()) == {1}
    assert len(shop.vendor.records) == 1_000
    states = dict(shop.rows("SELECT state, count(*) FROM erpflow.erp_push_attempts GROUP BY state"))
    assert states["succeeded"] == 1_000
    assert set(states) <= {"succeeded", "superseded"}
    shop.vendor.before_write = shop.vendor.after_write = lambda change: None
    assert shop.pull().counts == Counts(read=1_000, unchanged=1_000)
    assert shop.push().counts == Counts()


def test_a_request_that_arrives_when_its_sender_is_gone_is_waited_for(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long after the attempt was recorded: what counts is since when nobody sends any more."""
    monkeypatch.setattr(push_settle, "GRACE", timedelta(seconds=0.5))
    shop.do(MANY.format(1))
    late: list[Timer] = []

    def break_off(change: Change) -> None:
        shop.vendor.before_write = lambda change: None
        shop.do("UPDATE erpflow.erp_push_attempts SET sent_at = sent_at - interval '1 hour'")
        late.append(Timer(0.1, shop.vendor.put, kwargs=dict(change.values)))
        late[0].start()
        raise VendorUnavailable("the connection broke")

    shop.vendor.before_write = break_off
    shop.push()
    late[0].join()
    assert by_email(shop) == {"1@x.y": 1}


@pytest.mark.parametrize("arrives", ["before", "after"])
def test_a_request_that_arrives_when_it_was_looked_for_in_vain_makes_no_second_record(
    shop: TwoWayShop, arrives: str
) -> None:
    """However long a vendor is busy with it: what is sent again carries the same external id, and that is unique."""
    shop.do(MANY.format(1))
    first: list[Change] = []

    def arrive(_change: Change) -> None:
        late = TwoWayConnector(shop.vendor).write_one(first[0])
        assert late.outcome is (Outcome.DONE if arrives == "before" else Outcome.REJECTED)

    def break_off(change: Change) -> None:
        first.append(change)
        shop.do("UPDATE app.customers SET city = 'Pune'")
        shop.vendor.before_write = lambda change: None
        setattr(shop.vendor, f"{arrives}_write", once(shop, arrive))
        raise VendorUnavailable("the connection broke")

    shop.vendor.before_write = break_off
    assert shop.push().counts == Counts(read=1, created=1)
    assert by_email(shop) == {"1@x.y": 1}
    assert shop.rows("SELECT operation, state FROM erpflow.erp_push_attempts") == [("create", "succeeded")]
    assert shop.pull().counts == Counts(read=1, unchanged=1)
    assert shop.push().counts == Counts(read=1, updated=1)  # the row changed since the first request
    assert [record["address"] for record in shop.vendor.records.values()] == [{"city": "Pune"}]
    assert shop.push().counts == Counts()


def test_what_is_sent_again_and_refused_for_another_reason_is_the_rows_reject(shop: TwoWayShop) -> None:
    shop.do("INSERT INTO app.customers (name, email, credit_limit) VALUES ('A', '1@x.y', -1)")

    def break_off(_change: Change) -> None:
        raise VendorUnavailable("the connection broke")

    shop.vendor.before_write = once(shop, break_off)
    assert shop.push().counts == Counts(read=1, rejected=1)
    assert shop.vendor.records == {}
    assert shop.rows("SELECT stage, problems->0->>'field' FROM erpflow.erp_rejects") == [("vendor", "limit")]


def test_while_the_vendor_does_not_take_what_is_sent_again_it_stays_open(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))

    def lose(_change: Change) -> None:
        raise VendorUnavailable("504 Gateway Time-out")

    shop.vendor.before_write = lose
    with pytest.raises(VendorUnavailable, match="it is still not known whether 1 writes arrived"):
        shop.push()
    assert shop.rows("SELECT state FROM erpflow.erp_push_attempts") == [("unknown",)]
    shop.vendor.before_write = lambda change: None
    shop.push()
    assert by_email(shop) == {"1@x.y": 1}


def test_nothing_is_sent_again_that_the_mapping_does_not_create_any_more(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))
    leave_open(shop)
    shop.use(shop.mappings["customer"].replace("every: 1h", "every: 1h\nwrites: [update]"))
    shop.push()
    assert shop.vendor.records == {}
    assert shop.rows("SELECT state FROM erpflow.erp_push_attempts") == [("superseded",)]


def test_what_was_sent_before_the_mapping_named_an_external_id_is_found_by_its_natural_key(shop: TwoWayShop) -> None:
    """It carries no external id, so sent again it would be made again."""
    text = shop.mappings["customer"]
    shop.use(text.replace(", external_id: origin", ""))
    shop.do(MANY.format(2))
    leave_open(shop, when="after")
    assert by_email(shop) == {"1@x.y": 1}
    shop.use(text)
    shop.push()
    assert by_email(shop) == {"1@x.y": 1, "2@x.y": 1}
    made = {str(record["email"]): "origin" in record for record in shop.vendor.records.values()}
    assert made == {"1@x.y": False, "2@x.y": True}


def test_a_dry_run_sends_nothing_again(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))
    leave_open(shop)
    for direction in ("push", "pull"):
        log_id = shop.logs("customer", direction=direction, dry_run=True)[direction]
        assert shop.push_job(log_id).settle_open()
    assert shop.pull(dry_run=True).counts == Counts()
    assert shop.vendor.records == {}
    assert shop.rows("SELECT state FROM erpflow.erp_push_attempts") == [("sent",)]


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
def test_an_attempt_whose_outcome_is_unknown_is_looked_up_before_it_is_sent_again(
    shop: TwoWayShop, operation: str
) -> None:
    if operation != "create":
        shop.vendor.put(name="Acme", email="1@x.y", phone="1")
        shop.cycle()
    shop.do(
        {
            "create": MANY.format(1),
            "update": "UPDATE app.customers SET phone = '2'",
            "delete": "DELETE FROM app.customers",
        }[operation]
    )

    def lost(_change: Change) -> None:
        raise VendorUnavailable("connection reset")

    shop.vendor.after_write = lost
    summary = shop.push()

    assert [kind for kind, _ in shop.vendor.writes] == [operation]
    assert (summary.counts.read, summary.status) == (1, SyncStatus.COMPLETED)
    assert shop.rows("SELECT operation, state FROM erpflow.erp_push_attempts") == [(operation, "succeeded")]


def test_an_update_that_never_arrived_is_sent_again(shop: TwoWayShop) -> None:
    remote_id = shop.vendor.put(name="Acme", email="1@x.y", phone="1")
    shop.cycle()
    shop.do("UPDATE app.customers SET phone = '2'")
    failures = iter(range(2))

    def refuse(_change: Change) -> None:
        if next(failures, None) is not None:
            raise VendorUnavailable("read timed out")

    shop.vendor.before_write = refuse
    log_id = shop.logs("customer", direction="push")["push"]
    shop.push_job(log_id).run_whole()
    assert shop.vendor.records[remote_id]["phone"] == "2"
    assert finish(shop.database, log_id).counts == Counts(read=1, updated=1)


def test_a_vendor_who_is_down_fails_the_push_and_the_next_try_goes_on(shop: TwoWayShop) -> None:
    shop.do(MANY.format(120))

    def down(_change: Change) -> None:
        raise VendorUnavailable("read timed out")

    shop.vendor.before_write = down
    log_id = shop.logs("customer", direction="push")["push"]
    with pytest.raises(VendorUnavailable, match="it is still not known whether 3 writes arrived"):
        shop.push_job(log_id).run_whole()
    assert shop.rows("SELECT state, count(*) FROM erpflow.erp_push_attempts GROUP BY state ORDER BY state") == [
        ("superseded", 117),
        ("unknown", 3),
    ]
    shop.vendor.before_write = lambda change: None
    shop.push_job(log_id).load()
    assert finish(shop.database, log_id).counts == Counts(read=120, created=120)
    assert len(shop.vendor.records) == 120


def test_what_a_killed_push_had_created_is_no_stranger_to_the_next_pull(shop: TwoWayShop) -> None:
    """The worker died between the vendor's commit and our own: the next run settles that before it reads."""
    shop.do(MANY.format(3))
    leave_open(shop, when="after")
    assert len(shop.vendor.records) == 1
    assert shop.rows("SELECT state, count(*) FROM erpflow.erp_push_attempts GROUP BY state") == [("sent", 3)]

    shop.push_job(shop.logs("customer", direction="push")["push"]).settle_open()
    assert shop.pull().counts == Counts(read=3, unchanged=3)
    shop.push()
    assert set(by_email(shop).values()) == {1}
    assert len(shop.vendor.records) == 3
    assert shop.rows("SELECT count(*) FROM app.customers") == [(3,)]


def test_what_a_killed_push_may_have_created_is_looked_for_all_at_once(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.do(MANY.format(50))
    leave_open(shop, when="after")
    asked: list[int] = []
    find = TwoWayConnector.find

    def counted(self: TwoWayConnector, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        asked.append(len(keys))
        return find(self, entity, keys)

    monkeypatch.setattr(TwoWayConnector, "find", counted)
    shop.push_job(shop.logs("customer", direction="push")["push"]).settle_open()
    assert asked == [50]
    assert shop.rows("SELECT state, count(*) FROM erpflow.erp_push_attempts GROUP BY state") == [("succeeded", 50)]
    assert [set(by_email(shop).values()), len(shop.vendor.records)] == [{1}, 50]


def test_a_late_result_of_a_push_that_was_overtaken_is_refused(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))
    log_id = shop.logs("customer", direction="push")["push"]
    config_id = shop.run_of(log_id).config_id

    def overtake(_change: Change) -> None:
        with shop.database.session() as connection:
            attempts.next_token(connection, config_id)

    shop.vendor.after_write = overtake
    with pytest.raises(AlreadyRunning, match="has begun since this one did"):
        shop.push_job(log_id).run_whole()
    assert shop.rows("SELECT count(*) FROM erpflow.erp_entity_sync_records") == [(0,)]

    shop.vendor.after_write = lambda change: None
    shop.push_job(log_id).load()
    assert by_email(shop) == {"1@x.y": 1}
    assert finish(shop.database, log_id).counts == Counts(read=1, created=1)


def test_a_second_push_of_a_config_waits_for_the_first(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))
    log_id = shop.logs("customer", direction="push")["push"]
    with shop.database.session() as first:
        locks.hold_push(first, shop.run_of(log_id).config_id)
        with pytest.raises(AlreadyRunning, match="Another run is pushing"):
            shop.push_job(log_id).run_whole()
    assert shop.vendor.records == {}
    shop.push_job(log_id).load()
    assert len(shop.vendor.records) == 1


def test_of_two_rows_that_meet_one_record_at_the_same_moment_one_takes_it_over(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.configure(direction="push")
    shop.vendor.put(name="There already", email="1@x.y")
    shop.do(MANY.format(100) + "; UPDATE app.customers SET email = '1@x.y' WHERE id = 100")
    both_have_looked = Barrier(2, timeout=30)
    find = TwoWayConnector.find

    def found_by_both(self: TwoWayConnector, entity: str, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
        found = find(self, entity, keys)
        both_have_looked.wait()
        return found

    monkeypatch.setattr(TwoWayConnector, "find", found_by_both)

    assert shop.push().counts == Counts(read=100, created=99, updated=1)

    ties = shop.rows(
        "SELECT r.remote_id, c.name FROM erpflow.erp_entity_sync_records r"
        " JOIN app.customers c ON c.id::text = r.local_id"
    )
    assert {name: record["name"] for name, record in shop.vendor.records.items()} == dict(ties)
    assert len(ties) == 100
    assert shop.push().counts == Counts()


def test_an_error_before_anything_was_sent_leaves_nothing_to_settle(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))

    def refuse(_change: Change) -> None:
        raise VendorUnavailable("no such host", maybe_done=False)

    shop.vendor.before_write = refuse
    log_id = shop.logs("customer", direction="push")["push"]
    with pytest.raises(VendorUnavailable, match="no such host"):
        shop.push_job(log_id).run_whole()
    assert shop.rows("SELECT state FROM erpflow.erp_push_attempts") == [("superseded",)]
    shop.vendor.before_write = lambda change: None
    shop.push_job(log_id).load()
    assert finish(shop.database, log_id).status is SyncStatus.COMPLETED


def test_a_create_that_could_not_be_recognised_again_is_refused_before_it_is_sent(shop: TwoWayShop) -> None:
    shop.use(shop.mappings["customer"].replace(", external_id: origin", "").replace(", match_on: [email]", ""))
    with pytest.raises(ConfigError, match=r"remote\.external_id, or give local\.match_on"):
        shop.push_job(shop.logs("customer", direction="push")["push"])


def test_without_an_external_id_the_natural_key_tells_what_was_created(shop: TwoWayShop) -> None:
    shop.use(shop.mappings["customer"].replace(", external_id: origin", ""))
    dice = random.Random(7)

    def lose(_change: Change) -> None:
        if dice.random() < 0.2:
            raise VendorUnavailable("504")

    shop.vendor.after_write = lose
    shop.do(MANY.format(60))
    assert shop.push().counts == Counts(read=60, created=60)
    assert set(by_email(shop).values()) == {1}


def test_a_row_changed_while_it_is_sent_is_sent_again_as_it_is_then(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))
    shop.vendor.after_write = lambda change: shop.do("UPDATE app.customers SET phone = 'later'")
    shop.push()
    shop.vendor.after_write = lambda change: None
    assert shop.push().counts == Counts(read=1, updated=1)
    (record,) = shop.vendor.records.values()
    assert record["phone"] == "later"


@pytest.mark.parametrize(
    ("sent", "found", "echo"),
    [
        ("Acme", "Acme", True),
        ("  Acme  Ltd ", "ACME LTD", True),
        ("12.49", "12", True),
        ("12.51", "12", False),
        ("12.49", "12.5", True),
        (None, "", True),
        ("Acme", None, False),
        ("Acme", "Apex", False),
    ],
)
def test_what_a_vendor_does_to_values_is_told_from_another_value(
    sent: str | None, found: str | None, echo: bool
) -> None:
    assert is_echo(sent, found) is echo
