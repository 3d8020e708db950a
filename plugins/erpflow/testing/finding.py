"""The contract about looking records up: by the values of their fields, and many by their ids."""

# ruff: noqa: S101  (a suite of tests, shipped to be subclassed)

from __future__ import annotations

from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.changes import read_back, writer
from erpflow.testing.reading import at_path, read_all
from erpflow.testing.vendor import WritableVendor
from erpflow.vocabulary import RemoteId

NOBODYS = "no record of this contract 7f3a"


class FindingContract(ContractBase):
    """`find` settles what is unknown and links by natural key; `read_many` reads what was written."""

    def test_a_value_that_no_record_holds_finds_none(
        self, connect: Connect, vendor: WritableVendor, written: str
    ) -> None:
        vendor.create(written, 1)
        assert writer(connect()).find(written, [{vendor.fields(written).key: NOBODYS}])[0] == []

    def test_a_value_that_one_record_holds_finds_it(
        self, connect: Connect, vendor: WritableVendor, written: str
    ) -> None:
        _, wanted, _ = vendor.create(written, 3)
        vendor.change(written, wanted, {vendor.fields(written).key: NOBODYS})
        assert writer(connect()).find(written, [{vendor.fields(written).key: NOBODYS}])[0] == [wanted]

    def test_a_value_that_several_records_hold_finds_two_of_them(
        self, connect: Connect, vendor: WritableVendor, written: str
    ) -> None:
        names = vendor.create(written, 3)
        for name in names:
            vendor.change(written, name, {vendor.fields(written).key: NOBODYS})
        found = writer(connect()).find(written, [{vendor.fields(written).key: NOBODYS}])[0]
        assert len(set(found)) == 2 and set(found) <= set(names)

    def test_many_keys_are_looked_up_each_for_itself(
        self, connect: Connect, vendor: WritableVendor, written: str
    ) -> None:
        field = vendor.fields(written).key
        first, second, third = vendor.create(written, 3)
        for name, value in ((first, "Wanted 1"), (second, "Wanted 2"), (third, "Wanted 2")):
            vendor.change(written, name, {field: value})
        found = writer(connect()).find(written, [{field: value} for value in ("Wanted 2", NOBODYS, "Wanted 1")])
        assert [sorted(names) for names in found] == [sorted([second, third]), [], [first]]

    def test_several_values_have_to_be_held_by_one_record(
        self, connect: Connect, vendor: WritableVendor, written: str
    ) -> None:
        fields = vendor.fields(written)
        both, only_key = vendor.create(written, 2)
        vendor.change(written, both, {fields.key: NOBODYS, fields.text: "both"})
        vendor.change(written, only_key, {fields.key: NOBODYS, fields.text: "the key alone"})
        assert writer(connect()).find(written, [{fields.key: NOBODYS, fields.text: "both"}])[0] == [both]

    def test_a_value_that_looks_like_a_pattern_or_a_query_is_only_a_value(
        self, connect: Connect, vendor: WritableVendor, written: str, hostile_text: str
    ) -> None:
        field = vendor.fields(written).key
        _, wanted = vendor.create(written, 2)
        value = hostile_text.replace("\n", " ").replace("\t", " ").strip()[:60]
        vendor.change(written, wanted, {field: value})
        assert writer(connect()).find(written, [{field: value}])[0] == [wanted]
        assert writer(connect()).find(written, [{field: "%"}])[0] == []

    def test_many_records_are_read_as_a_whole_read_lands_them(
        self, connect: Connect, vendor: WritableVendor, written: str
    ) -> None:
        connector, names = connect(), vendor.create(written, self.page_size + 2)
        wanted = [names[-1], *names[:3]]
        reading = read_all(connector, written)
        landed = dict(zip(reading.ids, reading.records, strict=True))
        assert read_back(connector, written, wanted) == {name: landed[name] for name in wanted}

    def test_records_that_do_not_exist_are_left_out(
        self, connect: Connect, vendor: WritableVendor, written: str
    ) -> None:
        here, gone = vendor.create(written, 2)
        vendor.delete(written, [gone])
        assert set(read_back(connect(), written, [gone, here, here])) == {here}
        assert read_back(connect(), written, [gone]) == {}

    def test_no_ids_are_an_empty_page(self, connect: Connect, written: str) -> None:
        assert read_back(connect(), written, []) == {}

    def test_the_page_of_many_tells_the_time_zone_of_its_records(
        self, connect: Connect, vendor: WritableVendor, written: str
    ) -> None:
        connector = connect()
        (name,) = vendor.create(written, 1)
        page = writer(connector).read_many(written, [RemoteId(name)])
        modified = connector.spec.entities[written].modified
        record = read_back(connector, written, [name])[name]
        if modified is not None:
            instant = connector.instant(str(at_path(record, modified)), zone=page.zone)
            assert instant == vendor.modified(written)[name]
