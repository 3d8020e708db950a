"""What a push costs does not grow with what was pushed before, and what it keeps is what somebody will need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import xxhash

from erpflow.connectors.base import Change, WriteResult
from erpflow.errors import VendorUnavailable
from erpflow.mapping import compile as compiling
from erpflow.store import acknowledge, attempts, history
from erpflow.store.attempts import Settled
from erpflow.store.database import Database
from erpflow.sync import in_force, push_settle
from erpflow.sync.push_landing import PushLanding
from erpflow.vocabulary import Counts
from tests.two_way import TwoWayConnector, TwoWayShop

MANY = "INSERT INTO app.customers (name, email) SELECT 'Customer ' || n, n || '@x.y' FROM generate_series(1, {}) n"
CARRIED = "SELECT DISTINCT request IS NULL, agreed_local IS NULL, before IS NULL FROM erpflow.erp_push_attempts"


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoWayShop:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)
    return TwoWayShop(fresh_database, tmp_path)


def test_an_attempt_carries_what_it_sent_until_it_is_settled(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))

    def lose(_change: Change) -> None:
        raise VendorUnavailable("504")

    shop.vendor.after_write = lose
    job = shop.push_job(shop.logs("customer", direction="push")["push"])
    carried: list[Any] = []
    find = TwoWayConnector.find

    def look(self: TwoWayConnector, entity: str, keys: Any) -> Any:
        carried.extend(shop.rows(CARRIED))
        return find(self, entity, keys)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TwoWayConnector, "find", look)
        assert job.run_whole() == Counts(read=1, created=1)

    assert (False, False, False) in carried
    assert shop.rows(CARRIED) == [(True, True, True)]


def test_a_creation_is_in_the_history_of_its_record_once(shop: TwoWayShop) -> None:
    shop.do(MANY.format(1))
    shop.push()
    shop.do("UPDATE app.customers SET phone = '1'")
    shop.push()
    (remote_id,) = shop.vendor.records
    with shop.database.session() as connection:
        (config_id,) = connection.execute(
            "SELECT id::text FROM erpflow.erp_sync_configs WHERE entity = 'customer'"
        ).fetchone() or ("",)
        past = history.of_record(connection, config_id, remote_id=remote_id, local_id=None, limit=10)
    changes = [(change.change, change.direction, change.before, change.after) for change in past]
    assert changes == [("updated", "push", {"phone": None}, {"phone": "1"}), ("created", "push", None, None)]


def test_the_history_tells_when_a_record_that_had_been_deleted_is_created_again(shop: TwoWayShop) -> None:
    """A vendor whose ids are names gives the old id to the new record."""
    shop.do(MANY.format(1))
    shop.push()
    shop.do("DELETE FROM app.customers")
    shop.push()
    shop.vendor.made -= 1
    shop.do(MANY.format(1))
    shop.push()
    changes = shop.rows("SELECT change, after ->> 'email' FROM erpflow.erp_record_history ORDER BY id")
    assert changes == [("deleted", None), ("created", "1@x.y")]


def test_what_a_vendor_answers_is_read_in_its_zone_by_a_program_made_once(
    shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    compile_pull, write = compiling.compile_pull, TwoWayConnector.write

    def counted(mapping: Any, *, zone: str = "UTC") -> Any:
        made.append(zone)
        return compile_pull(mapping, zone=zone)

    def there(self: TwoWayConnector, entity: str, changes: Any) -> list[WriteResult]:
        return [msgspec.structs.replace(result, zone="Asia/Kolkata") for result in write(self, entity, changes)]

    monkeypatch.setattr(compiling, "compile_pull", counted)
    monkeypatch.setattr(TwoWayConnector, "write", there)
    shop.do(MANY.format(200))
    assert shop.push().counts == Counts(read=200, created=200)
    workers = TwoWayConnector.spec.limits.concurrent
    assert 1 <= made.count("Asia/Kolkata") <= workers


def test_a_value_of_the_vendors_that_a_column_refuses_spoils_no_other_record_of_its_call(shop: TwoWayShop) -> None:
    """Records are staged together and without a way back; only when one is refused they are staged with one."""
    shop.do(MANY.format(3))
    shop.vendor.normalise = lambda record: record | ({"limit": 10**20} if record["email"] == "2@x.y" else {"limit": 5})
    assert shop.push().counts == Counts(read=3, created=3)
    agreed = "SELECT agreed_local ->> 'email', agreed_remote ->> 'credit_limit' FROM erpflow.erp_entity_sync_records"
    assert sorted(shop.rows(agreed)) == [("1@x.y", "5"), ("2@x.y", None), ("3@x.y", "5")]
    assert set(shop.rows("SELECT state FROM erpflow.erp_push_attempts")) == {("succeeded",)}


def test_a_file_of_another_version_of_erpflow_is_made_again(shop: TwoWayShop) -> None:
    class Other(msgspec.Struct):
        files: str

    shop.do(MANY.format(1))
    job = shop.push_job(shop.logs("customer", direction="push")["push"])
    job.extract()
    job.transform()
    (mapped,) = Path(str(job.folder)).glob("requests/*/mapped.msgpack")
    payload = msgspec.msgpack.encode(Other("many"))
    mapped.write_bytes(xxhash.xxh3_64_digest(payload) + payload)
    assert job.load() == Counts(read=1, created=1)


def test_batches_are_read_as_they_are_sent(shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more of them are read than somebody is there to send, so memory does not grow with their number."""
    read: list[int] = []
    ahead: list[int] = []
    requests = PushLanding.requests

    def counted(self: PushLanding, version: str) -> Any:
        for batch in requests(self, version):
            read.append(batch.number)
            yield batch

    shop.do(MANY.format(1_000))
    job = shop.push_job(shop.logs("customer", direction="push")["push"])
    job.extract()
    assert job.transform() == 20
    monkeypatch.setattr(PushLanding, "requests", counted)
    shop.vendor.before_write = lambda change: ahead.append(len(read) - len(shop.vendor.writes) // 50)
    job.load()
    workers = TwoWayConnector.spec.limits.concurrent
    assert max(ahead) <= 3 * workers
    assert read == list(range(1, 21))


def test_the_mapping_is_read_once_for_a_push(shop: TwoWayShop, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    load_mapping = in_force.load_mapping

    def counted(path: Path, **of_the_config: Any) -> Any:
        read.append(path)
        return load_mapping(path, **of_the_config)

    monkeypatch.setattr(in_force, "load_mapping", counted)
    shop.do(MANY.format(200))
    shop.push()
    assert len(read) == 1


def test_outcomes_are_recorded_by_key_however_few_attempts_are_thought_to_be_open(shop: TwoWayShop) -> None:
    """Statistics taken when all was settled say that nothing is open: an index of open attempts must not tempt."""
    shop.do(MANY.format(500))
    shop.push()
    shop.do("ANALYZE erpflow.erp_push_attempts")
    with shop.database.session() as connection:
        (config_id,) = connection.execute(
            "SELECT id::text FROM erpflow.erp_sync_configs WHERE entity = 'customer'"
        ).fetchone() or ("",)
        keys = [key for (key,) in shop.rows("SELECT idempotency_key FROM erpflow.erp_push_attempts LIMIT 100")]
        settled = attempts.parameters_of(config_id, [Settled(key, "succeeded") for key in keys], token=None)
        acknowledge.prepare(connection)
        plan = "\n".join(line for (line,) in connection.execute("EXPLAIN " + attempts.SETTLE, settled))
    assert "erp_push_attempts_pkey" in plan
    assert "erp_push_attempts_unsettled" not in plan
