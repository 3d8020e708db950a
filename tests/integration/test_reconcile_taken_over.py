"""A row or a record whose other side is gone, and one beside it with its natural key: one takes the other's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from erpflow.errors import DeletesNeedApproval
from erpflow.store.database import Database
from erpflow.store.reconciliations import Reconciliation
from erpflow.sync import push_settle
from erpflow.vocabulary import FindingKind
from tests.reconciling import ALL_KINDS, ReconciledShop, both_ways, named
from tests.two_way import CUSTOMER

DELETES = "deletes: {pull: hard, push: hard}"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_settle, "GRACE", push_settle.GRACE * 0)


@pytest.fixture
def shop(fresh_database: Database, tmp_path: Path) -> ReconciledShop:
    """Five customers that both sides agree on, in a config that goes both ways."""
    return both_ways(fresh_database, tmp_path)


def repair(shop: ReconciledShop, *kinds: FindingKind) -> Reconciliation:
    return shop.reconcile(repair=kinds or ALL_KINDS)


def outcomes_of(shop: ReconciledShop, done: Reconciliation) -> list[tuple[str, str | None, bool | None, str | None]]:
    return [(each.kind.value, each.remote_id, each.repaired, each.outcome) for each in shop.found(done)]


def is_clean(shop: ReconciledShop) -> bool:
    return shop.reconcile().status == "clean"


def test_a_row_that_stands_in_for_one_that_was_deleted_is_tied_and_sent(shop: ReconciledShop) -> None:
    shop.use(CUSTOMER.replace(DELETES, "deletes: {pull: hard, push: ignore}"))
    shop.configure(conflict="local_wins")
    shop.do("DELETE FROM app.customers WHERE id = 2; INSERT INTO app.customers (name, email) VALUES ('Heir', '2@x.y')")

    assert repair(shop).repaired == {FindingKind.MISSING_HERE: 1}

    assert shop.vendor.records["R000002"]["name"] == "Heir"
    assert is_clean(shop)


def test_a_row_that_was_changed_since_its_record_went_is_made_there_again(shop: ReconciledShop) -> None:
    shop.configure(conflict="local_wins")
    shop.vendor.drop("R000003")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE id = 3")

    assert repair(shop).repaired == {FindingKind.MISSING_THERE: 1}

    assert [record["phone"] for record in shop.vendor.records.values() if record["email"] == "3@x.y"] == ["ours"]
    assert is_clean(shop)


def test_such_a_row_is_tied_to_the_record_that_was_made_there_with_its_natural_key(shop: ReconciledShop) -> None:
    shop.configure(conflict="local_wins")
    shop.vendor.drop("R000003")
    shop.vendor.put(name="Made anew", email="3@x.y", phone="theirs")
    shop.vendor.put(name=None, email="3@x.y")  # no row comes of it, but it is found when a push asks for the key
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE id = 3")

    done = repair(shop, FindingKind.MISSING_HERE, FindingKind.MISSING_THERE)

    assert done.repaired == {FindingKind.MISSING_HERE: 1, FindingKind.MISSING_THERE: 1}
    assert shop.rows("SELECT id, phone FROM app.customers WHERE email = '3@x.y'") == [(3, "ours")]
    assert shop.vendor.records["R000006"]["phone"] == "ours"
    assert named(shop.found(shop.reconcile())) == [("rejected", "R000007", None)]


def test_where_it_goes_with_its_record_the_one_that_was_made_there_gets_a_row_of_its_own(shop: ReconciledShop) -> None:
    shop.vendor.drop("R000003")
    shop.vendor.put(name="Made anew", email="3@x.y")

    assert repair(shop).status == "clean"

    assert shop.rows("SELECT id, name FROM app.customers WHERE email = '3@x.y'") == [(6, "Made anew")]
    assert is_clean(shop)


def test_a_no_to_deletes_leaves_such_a_row_and_makes_one_beside_it(shop: ReconciledShop) -> None:
    for remote_id in ("R000001", "R000002", "R000003"):
        shop.vendor.drop(remote_id)
    shop.vendor.put(name="Made anew", email="3@x.y")
    log_id = shop.open_reconciliation(repair=ALL_KINDS)
    with pytest.raises(DeletesNeedApproval):
        shop.engine.reconcile(log_id)
    assert shop.rows("SELECT count(*) FROM app.customers") == [(5,)]

    done = shop.engine.reconcile_job(log_id).answered(False).repair()

    assert done.repaired == {FindingKind.MISSING_HERE: 1}
    assert shop.rows("SELECT name FROM app.customers WHERE email = '3@x.y' ORDER BY id") == [
        ("Customer 3",),
        ("Made anew",),
    ]


def test_it_is_not_made_there_again_beside_a_record_of_its_natural_key_that_has_a_row(shop: ReconciledShop) -> None:
    shop.configure(conflict="local_wins")
    shop.vendor.put(name="Namesake", email="6@x.y")
    shop.pull()
    shop.vendor.put("R000006", email="3@x.y")
    shop.pull()
    shop.vendor.drop("R000003")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE id = 3")

    done = repair(shop)

    assert outcomes_of(shop, done) == [
        ("missing_there", "R000003", False, "R000006 has its email there already"),
    ]
    assert [name for name, record in shop.vendor.records.items() if record["email"] == "3@x.y"] == ["R000006"]
    assert named(shop.found(shop.reconcile())) == [("duplicate_here", "R000006", "3")]


def test_such_a_row_counts_as_repaired_only_where_the_record_takes_what_it_holds(shop: ReconciledShop) -> None:
    shop.configure(conflict="local_wins")
    shop.vendor.drop("R000003")
    shop.vendor.put(name="Made anew", email="3@x.y")
    shop.do("UPDATE app.customers SET credit_limit = -1 WHERE id = 3")

    done = repair(shop, FindingKind.MISSING_THERE)

    assert outcomes_of(shop, done)[1] == ("missing_there", "R000003", False, "limit must not be negative")
    assert named(shop.found(shop.reconcile())) == [("different", "R000006", "3")]


def test_where_a_config_only_pulls_by_now_what_was_changed_here_does_not_win(shop: ReconciledShop) -> None:
    shop.configure(conflict="local_wins", direction="pull")
    shop.do("UPDATE app.customers SET phone = 'ours' WHERE id = 3")
    shop.vendor.drop("R000003")

    assert repair(shop).repaired == {FindingKind.MISSING_THERE: 1}

    assert shop.rows("SELECT id FROM app.customers WHERE id = 3") == []
    assert shop.conflicts() == []
