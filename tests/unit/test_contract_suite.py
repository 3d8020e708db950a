"""The contract suite tests what a connector says it can do, and leaves out what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from erpflow.connectors import registry
from erpflow.connectors.base import EntitySpec
from erpflow.connectors.erpnext import ErpNext
from erpflow.testing import ConnectorContract
from erpflow.testing.base import ContractBase
from erpflow.testing.changes import differences, shaped
from erpflow.vocabulary import Operation


def collected(suite: type[ContractBase]) -> set[str]:
    """The names of the tests that pytest would collect."""
    return {name for name in dir(suite) if name.startswith("test") and getattr(suite, name) is not None}


def suite_for(monkeypatch: pytest.MonkeyPatch, spec: Mapping[str, Any], **declared: Any) -> type[ConnectorContract]:
    """A contract for a connector whose one entity is as `spec` says."""
    entity = EntitySpec(**{"remote": "x", "key": "id", "modified": "at", "page_size": 5, **spec})

    class Acme(ErpNext):
        spec = replace(ErpNext.spec, system="acme", entities={"customer": entity})

    monkeypatch.setattr("erpflow.testing.base.connector_class", lambda system: Acme)
    return type("TestAcme", (ConnectorContract,), {"system": "acme", **declared})


def test_a_connector_that_only_reads_has_no_test_of_writing_and_none_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = collected(suite_for(monkeypatch, {}))
    assert "test_hostile_text_comes_back_as_it_is" in reading and len(reading) > 30
    assert not [name for name in reading if "write" in name or "delet" in name or "create" in name or "found" in name]


def test_each_test_of_writing_needs_the_operation_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    creates = {"writes": frozenset({Operation.CREATE})}
    found = collected(suite_for(monkeypatch, creates, writable=["customer"]))
    assert "test_new_records_arrive_as_they_were_sent" in found
    assert "test_null_clears_a_field" not in found
    assert "test_what_is_deleted_is_gone_and_its_neighbours_are_not" not in found
    assert "test_a_create_sent_again_with_its_key_makes_no_second_record" not in found
    assert "test_a_value_that_is_taken_is_called_a_duplicate" not in found


def test_what_the_data_sheet_promises_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {
        "writes": frozenset(Operation),
        "windowed": True,
        "checks_version": True,
        "repeatable_create": True,
        "deleted_feed": True,
        "ordered": True,
    }
    everything = collected(suite_for(monkeypatch, spec, writable=["customer"], unique={"customer": "email"}))
    without_times = collected(suite_for(monkeypatch, {"modified": None}))
    assert without_times - everything == {"test_what_has_no_times_is_read_whole_whatever_the_window_and_the_inserts"}
    assert everything | without_times == {name for name in dir(ConnectorContract) if name.startswith("test")}
    without_lock = collected(suite_for(monkeypatch, {**spec, "checks_version": False}, writable=["customer"]))
    assert "test_an_update_of_an_outdated_version_is_stale_and_changes_nothing" in everything - without_lock


def test_deletions_are_tested_because_the_data_sheet_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = collected(suite_for(monkeypatch, {"deleted_feed": True}))
    assert "test_every_deletion_is_reported_and_no_other" in found


def test_a_suite_for_one_connector_leaves_the_suites_of_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    suite_for(monkeypatch, {})
    assert callable(ConnectorContract.test_null_clears_a_field)


def test_an_entity_that_the_data_sheet_does_not_write_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="the data sheet of acme writes no customer"):
        suite_for(monkeypatch, {}, writable=["customer"])


def test_erpnext_declares_all_that_its_data_sheet_writes() -> None:
    class TestIt(ConnectorContract):
        system = "erpnext"
        writable = ("customer", "product", "order")
        unique: ClassVar[Mapping[str, str]] = {"product": "item_code"}

    assert set(TestIt.subjects()["written"]) == {
        name for name, spec in registry.connector_class("erpnext").spec.entities.items() if spec.writes
    }


@pytest.mark.parametrize(
    ("found", "sent", "same"),
    [
        ({"a": 1.1, "b": 2}, {"a": 1.1}, True),
        ({"a": 1.10}, {"a": "1.1"}, False),
        ({"a": None}, {}, True),
        ({}, {"a": None}, True),
        ({"a": ""}, {"a": None}, False),
        ({"a": 1}, {"a": True}, True),
        ({"lines": [{"n": 1, "id": "x"}]}, {"lines": [{"n": 1}]}, True),
        ({"lines": [{"n": 1}, {"n": 2}]}, {"lines": [{"n": 1}]}, False),
        ({"lines": [{"n": 2}, {"n": 1}]}, {"lines": [{"n": 1}, {"n": 2}]}, False),
        (None, {"a": 1}, False),
    ],
)
def test_a_record_is_compared_by_what_was_sent(found: Any, sent: Any, same: bool) -> None:
    assert (differences(found, sent) == []) is same


def test_a_record_is_reduced_to_the_fields_of_another() -> None:
    record = {"id": 1, "name": "A", "lines": [{"id": 2, "n": 1}, {"id": 3, "n": 2}]}
    assert shaped(record, {"name": "B", "lines": [{"n": 9}]}) == {"name": "A", "lines": [{"n": 1}, {"n": 2}]}
