"""The contract about writes: every change has its own outcome, and what was done is what was sent."""

# ruff: noqa: S101  (a suite of tests, shipped to be subclassed)

from __future__ import annotations

from decimal import Decimal

import pytest

from erpflow.connectors.base import Outcome
from erpflow.connectors.registry import connector_class
from erpflow.errors import ConfigError
from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.changes import (
    at,
    creation,
    decoded,
    deletion,
    differences,
    newcomers,
    read_back,
    shaped,
    update,
    version_of,
    with_value,
    write,
    write_all,
    writer,
)
from erpflow.testing.reading import at_path
from erpflow.testing.vendor import RecordingLimiter, WritableVendor

DONE, REJECTED, STALE, MISSING = Outcome.DONE, Outcome.REJECTED, Outcome.STALE, Outcome.MISSING
AMOUNTS = ("0.10", "10.10", "1999.99", "12345678.91", "0")


class WritingContract(ContractBase):
    """Creates, updates and deletes, and the ways in which a vendor refuses them."""

    # -- what is done ----------------------------------------------------------------------------------------------

    def test_new_records_arrive_as_they_were_sent(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        sent = [vendor.values_for(creatable) for _ in range(3)]
        new = newcomers(vendor, creatable)
        names = write_all(connect(), creatable, [creation(values) for values in sent])
        for name, values in zip(names, sent, strict=True):
            assert differences(vendor.stored(creatable, name), values) == []
            assert new(values) == [name], "made once"

    def test_a_full_bulk_of_new_records_is_written(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        size = min(connector_class(self.system).spec.entities[creatable].bulk_size, 25)
        before = len(vendor.modified(creatable))
        names = write_all(connect(), creatable, [creation(vendor.values_for(creatable)) for _ in range(size)])
        assert len(set(names)) == size == len(vendor.modified(creatable)) - before

    def test_what_was_written_is_read_back(self, connect: Connect, vendor: WritableVendor, creatable: str) -> None:
        connector, values = connect(), vendor.values_for(creatable)
        (name,) = write_all(connector, creatable, [creation(values)])
        assert differences(read_back(connector, creatable, [name])[name], values) == []
        assert differences(connector.read_one(creatable, name), values) == []

    def test_a_record_in_a_result_is_the_record_the_vendor_has(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        connector, values = connect(), vendor.values_for(creatable)
        (result,) = write(connector, creatable, [creation(values)])
        assert result.outcome is DONE and result.remote_id is not None
        if result.record is None:  # the vendor does not say; the engine reads it
            return
        spec, record = connector.spec.entities[creatable], decoded(result.record)
        assert str(record[spec.key]) == result.remote_id
        assert differences(record, values) == []
        if spec.modified is not None:
            assert at_path(record, spec.modified) == version_of(connector, creatable, result.remote_id)

    def test_an_update_changes_what_it_names_and_nothing_else(
        self, connect: Connect, vendor: WritableVendor, updatable: str
    ) -> None:
        (name,) = vendor.create(updatable, 1)
        before = vendor.stored(updatable, name) or {}
        change = {vendor.fields(updatable).text: "changed by the contract"}
        assert write_all(connect(), updatable, [update(name, change)]) == [name]
        expected = shaped(before, vendor.values_for(updatable)) | change
        assert differences(vendor.stored(updatable, name), expected) == []

    def test_an_update_leaves_alone_what_others_changed_meanwhile(
        self, connect: Connect, vendor: WritableVendor, updatable: str
    ) -> None:
        fields = vendor.fields(updatable)
        (name,) = vendor.create(updatable, 1)
        vendor.change(updatable, name, {fields.key: "changed by a person"})
        write_all(connect(), updatable, [update(name, {fields.text: "changed by the contract"})])
        stored = vendor.stored(updatable, name) or {}
        assert (stored[fields.key], stored[fields.text]) == ("changed by a person", "changed by the contract")

    def test_null_clears_a_field(self, connect: Connect, vendor: WritableVendor, updatable: str) -> None:
        field = vendor.fields(updatable).text
        (name,) = vendor.create(updatable, 1)
        vendor.change(updatable, name, {field: "to be cleared"})
        write_all(connect(), updatable, [update(name, {field: None})])
        assert (vendor.stored(updatable, name) or {}).get(field) in (None, "")

    def test_what_is_deleted_is_gone_and_its_neighbours_are_not(
        self, connect: Connect, vendor: WritableVendor, deletable: str
    ) -> None:
        kept, *gone = vendor.create(deletable, 3)
        write_all(connect(), deletable, [deletion(name) for name in gone])
        assert [vendor.stored(deletable, name) for name in gone] == [None, None]
        assert vendor.stored(deletable, kept) is not None

    @pytest.mark.parametrize("amount", AMOUNTS)
    def test_an_amount_arrives_with_exactly_its_digits(
        self, connect: Connect, vendor: WritableVendor, priced: str, amount: str
    ) -> None:
        path = vendor.fields(priced).money
        assert path is not None, "name an entity without an amount in `amountless`"
        values = with_value(vendor.values_for(priced), path, Decimal(amount))
        connector = connect()
        (name,) = write_all(connector, priced, [creation(values)])
        for record in (vendor.stored(priced, name), read_back(connector, priced, [name])[name]):
            assert Decimal(str(at(record, path))) == Decimal(amount)

    def test_hostile_text_survives_the_way_there_and_back(
        self, connect: Connect, vendor: WritableVendor, creatable: str, hostile_text: str
    ) -> None:
        field = vendor.fields(creatable).text
        connector = connect()
        (name,) = write_all(connector, creatable, [creation({**vendor.values_for(creatable), field: hostile_text})])
        assert (vendor.stored(creatable, name) or {})[field] == hostile_text
        assert read_back(connector, creatable, [name])[name][field] == hostile_text

    def test_hostile_text_survives_an_update(
        self, connect: Connect, vendor: WritableVendor, updatable: str, hostile_text: str
    ) -> None:
        field = vendor.fields(updatable).text
        connector = connect()
        (name,) = vendor.create(updatable, 1)
        write_all(connector, updatable, [update(name, {field: hostile_text})])
        assert (vendor.stored(updatable, name) or {})[field] == hostile_text

    def test_writing_nothing_asks_nothing(self, connect: Connect, written: str, limiter: RecordingLimiter) -> None:
        assert writer(connect()).write(written, []) == []
        assert limiter.acquired == 0

    def test_an_unknown_entity_cannot_be_written(self, connect: Connect, written: str) -> None:
        with pytest.raises(ConfigError, match=written):
            writer(connect()).write(f"{written}x", [creation({})])

    # -- what is refused -------------------------------------------------------------------------------------------

    def test_a_bad_record_between_good_ones_is_the_only_one_refused(
        self, connect: Connect, vendor: WritableVendor, creatable: str
    ) -> None:
        good = [vendor.values_for(creatable) for _ in range(4)]
        before, new = len(vendor.modified(creatable)), newcomers(vendor, creatable)
        changes = [creation(values) for values in (*good[:2], vendor.bad_values(creatable), *good[2:])]
        results = write(connect(), creatable, changes)
        assert [result.outcome for result in results] == [DONE, DONE, REJECTED, DONE, DONE]
        assert [new(values) for values in good] == [[r.remote_id] for r in results if r.outcome is DONE]
        assert len(vendor.modified(creatable)) == before + 4, "nothing twice, nothing of the refused one"

    def test_when_all_are_bad_each_is_refused(self, connect: Connect, vendor: WritableVendor, creatable: str) -> None:
        before = set(vendor.modified(creatable))
        results = write(connect(), creatable, [creation(vendor.bad_values(creatable)) for _ in range(3)])
        assert [result.outcome for result in results] == [REJECTED] * 3
        assert set(vendor.modified(creatable)) == before

    def test_a_refusal_is_told_in_plain_words(self, connect: Connect, vendor: WritableVendor, creatable: str) -> None:
        (result,) = write(connect(), creatable, [creation(vendor.bad_values(creatable))])
        for problem in result.problems:
            assert problem.rule and problem.rule != "duplicate"
            assert not [mark for mark in ("<", "\\n", "Traceback", '{"') if mark in problem.message], problem.message

    def test_a_value_that_is_taken_is_called_a_duplicate(
        self, connect: Connect, vendor: WritableVendor, unique_entity: str
    ) -> None:
        connector, field = connect(), self.unique[unique_entity]
        values = vendor.values_for(unique_entity)
        write_all(connector, unique_entity, [creation(values)])
        before = len(vendor.modified(unique_entity))
        second = {**vendor.values_for(unique_entity), field: values[field]}
        results = write(connector, unique_entity, [creation(vendor.values_for(unique_entity)), creation(second)])
        assert [result.outcome for result in results] == [DONE, REJECTED]
        assert "duplicate" in {problem.rule for problem in results[1].problems}
        assert len(vendor.modified(unique_entity)) == before + 1

    def test_two_of_one_call_that_take_the_same_value_are_told_apart(
        self, connect: Connect, vendor: WritableVendor, unique_entity: str
    ) -> None:
        field, first = self.unique[unique_entity], vendor.values_for(unique_entity)
        second = {**vendor.values_for(unique_entity), field: first[field]}
        before = len(vendor.modified(unique_entity))
        results = write(connect(), unique_entity, [creation(first), creation(second)])
        assert [result.outcome for result in results] == [DONE, REJECTED]
        assert "duplicate" in {problem.rule for problem in results[1].problems}
        assert len(vendor.modified(unique_entity)) == before + 1

    def test_an_update_of_a_record_that_is_gone_finds_it_missing(
        self, connect: Connect, vendor: WritableVendor, updatable: str
    ) -> None:
        here, gone = vendor.create(updatable, 2)
        vendor.delete(updatable, [gone])
        field = vendor.fields(updatable).text
        results = write(connect(), updatable, [update(gone, {field: "a"}), update(here, {field: "b"})])
        assert [result.outcome for result in results] == [MISSING, DONE]
        assert gone not in vendor.modified(updatable), "an update makes no record"

    def test_a_delete_of_a_record_that_is_gone_finds_it_missing(
        self, connect: Connect, vendor: WritableVendor, deletable: str
    ) -> None:
        here, gone = vendor.create(deletable, 2)
        vendor.delete(deletable, [gone])
        results = write(connect(), deletable, [deletion(gone), deletion(here)])
        assert [result.outcome for result in results] == [MISSING, DONE]

    # -- versions --------------------------------------------------------------------------------------------------

    def test_an_update_of_the_current_version_is_done_and_so_is_the_next_one(
        self, connect: Connect, vendor: WritableVendor, locked_update: str
    ) -> None:
        connector, field = connect(), vendor.fields(locked_update).text
        (name,) = vendor.create(locked_update, 1)
        for text in ("first", "second"):
            version = version_of(connector, locked_update, name)
            write_all(connector, locked_update, [update(name, {field: text}, version=version)])
            assert (vendor.stored(locked_update, name) or {})[field] == text

    def test_an_update_of_an_outdated_version_is_stale_and_changes_nothing(
        self, connect: Connect, vendor: WritableVendor, locked_update: str
    ) -> None:
        connector, fields = connect(), vendor.fields(locked_update)
        stale, current = vendor.create(locked_update, 2)
        version = version_of(connector, locked_update, stale)
        vendor.change(locked_update, stale, {fields.text: "changed by a person"})
        before = vendor.stored(locked_update, stale)
        changes = [
            update(stale, {fields.text: "too late"}, version=version),
            update(current, {fields.text: "in time"}, version=version_of(connector, locked_update, current)),
        ]
        assert [result.outcome for result in write(connector, locked_update, changes)] == [STALE, DONE]
        assert vendor.stored(locked_update, stale) == before

    def test_a_delete_of_an_outdated_version_is_stale_and_deletes_nothing(
        self, connect: Connect, vendor: WritableVendor, locked_delete: str
    ) -> None:
        connector = connect()
        stale, current = vendor.create(locked_delete, 2)
        versions = {name: version_of(connector, locked_delete, name) for name in (stale, current)}
        vendor.update(locked_delete, stale)
        changes = [deletion(name, version=versions[name]) for name in (stale, current)]
        assert [result.outcome for result in write(connector, locked_delete, changes)] == [STALE, DONE]
        assert vendor.stored(locked_delete, stale) is not None
        assert vendor.stored(locked_delete, current) is None
