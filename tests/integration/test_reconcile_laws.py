"""Whatever happened on either side: what a second comparison finds, the first has said it could not repair."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from erpflow.store.database import Database
from erpflow.store.reconciliations import KeptFinding
from erpflow.sync import push_settle
from erpflow.vocabulary import FindingKind
from tests.reconciling import ALL_KINDS, ReconciledShop
from tests.two_way import CUSTOMER

RECORDS, CHANGES = 30, 40
DELETES = "deletes: {pull: hard, push: hard}"
# In the last of them, both ways, a row wins over the delete of its record, which was made there anew meanwhile.
SEEDS = (*range(10), 26)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)


def happen(shop: ReconciledShop, dice: random.Random) -> None:
    """One thing that people, vendors and bugs do."""
    vendor = shop.vendor
    remote_id = dice.choice(sorted(vendor.records) or ["none"])
    local_id = dice.choice([row for (row,) in shop.rows("SELECT id FROM app.customers ORDER BY id")] or [0])
    value = dice.choice(["1", "2", "3"])
    email = f"{dice.randrange(RECORDS + 10)}@x.y"
    things = [
        lambda: vendor.put(remote_id, phone=value),
        lambda: vendor.records.get(remote_id, {}).update(phone=value),  # without a new time
        lambda: vendor.put(name=f"New {value}", email=email),
        lambda: vendor.put(name=None, email=email),
        lambda: vendor.drop(remote_id) if remote_id in vendor.records else None,
        lambda: vendor.records.pop(remote_id, None),  # and in no list of deletes
        lambda: shop.do(f"UPDATE app.customers SET phone = '{value}' WHERE id = {local_id}"),
        lambda: shop.do(f"UPDATE app.customers SET credit_limit = {dice.choice([-1, 5])} WHERE id = {local_id}"),
        lambda: shop.do(f"DELETE FROM app.customers WHERE id = {local_id}"),
        lambda: shop.do(f"INSERT INTO app.customers (name, email) VALUES ('Row {value}', '{email}')"),
        lambda: shop.do(
            "INSERT INTO app.customers (name, email, phone, city, credit_limit)"
            f" SELECT name, email, phone, city, credit_limit FROM app.customers WHERE id = {local_id}"
        ),
        lambda: shop.do(f"DELETE FROM erpflow.erp_entity_sync_records WHERE local_id = '{local_id}'"),
        lambda: sync(shop, dice),
    ]
    dice.choice(things)()


def sync(shop: ReconciledShop, dice: random.Random) -> None:
    """One of the runs that the config has."""
    [(direction,)] = shop.rows("SELECT direction FROM erpflow.erp_sync_configs WHERE entity = 'customer'")
    if direction != "push" and (direction == "pull" or dice.random() < 0.5):
        shop.pull(allow_deletes=True)
    else:
        shop.push(allow_deletes=True)


@pytest.mark.parametrize("direction", ["pull", "push", "bidirectional"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_second_comparison_finds_only_what_the_first_said_it_could_not_repair(
    fresh_database: Database, tmp_path: Path, direction: str, seed: int
) -> None:
    dice = random.Random(seed)
    shop = ReconciledShop(fresh_database, tmp_path)
    for number in range(RECORDS):
        shop.vendor.put(name=f"Customer {number}", email=f"{number}@x.y", phone="1", limit="10.00")
    shop.pull()
    shop.push()
    conflict = dice.choice(["newest_wins", "local_wins", "remote_wins", "manual"])
    deletes = f"deletes: {{pull: {dice.choice(['hard', 'ignore'])}, push: {dice.choice(['hard', 'ignore'])}}}"
    shop.use(CUSTOMER.replace(DELETES, deletes))
    shop.configure(conflict=conflict, direction=direction)
    for _ in range(CHANGES):
        happen(shop, dice)

    emails = emails_of(shop)
    done = shop.reconcile(repair=ALL_KINDS, allow_deletes=True)
    emails |= emails_of(shop)

    first, again = shop.found(done), shop.found(shop.reconcile())
    known = {name for each in first if not each.repaired for name in subjects(each, emails)}
    assert [each for each in again if not subjects(each, emails) & known] == []
    repaired = {(each.kind, each.remote_id, each.local_id) for each in first if each.repaired}
    assert [each for each in again if (each.kind, each.remote_id, each.local_id) in repaired] == []


def emails_of(shop: ReconciledShop) -> dict[str, str]:
    """The natural key of each record."""
    return {remote_id: record["email"] for remote_id, record in shop.vendor.records.items()}


def subjects(each: KeptFinding, emails: Mapping[str, str]) -> set[tuple[str, str]]:
    """The record and the row that a finding is about; of a duplicate at the vendor, the key that it shares.

    Of several records with one key the tied one counts as the original, so that a tie that is repaired makes another
    one the duplicate.
    """
    if each.kind is FindingKind.DUPLICATE_THERE:
        return {("key", emails[each.remote_id or ""])}
    found = {("row", each.local_id)} if each.local_id else set()
    # A copy is named with the record of the row that it is a copy of, and that is not what it is about.
    is_of_record = each.remote_id and each.kind is not FindingKind.DUPLICATE_HERE
    return found | {("record", each.remote_id)} if is_of_record else found
