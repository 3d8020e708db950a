"""The contract about pages: complete, each record once, resumable, within their window."""

# ruff: noqa: S101  (a suite of tests, shipped to be subclassed)

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.reading import Reading, read_all
from erpflow.testing.vendor import VendorDouble
from erpflow.vocabulary import Window


class PagingContract(ContractBase):
    """Whatever happens while a connector reads, no record is missed."""

    def test_every_record_is_read_once(self, connect: Connect, vendor: VendorDouble, entity: str) -> None:
        vendor.create(entity, 3 * self.page_size + 1)
        reading = read_all(connect(), entity)
        assert sorted(reading.ids) == sorted(vendor.modified(entity))

    def test_a_full_last_page_does_not_hide_the_end(
        self, connect: Connect, vendor: VendorDouble, some_entity: str
    ) -> None:
        short = -len(vendor.modified(some_entity)) % self.page_size
        vendor.create(some_entity, short + self.page_size)
        reading = read_all(connect(), some_entity)
        assert sorted(reading.ids) == sorted(vendor.modified(some_entity))

    def test_only_the_last_page_has_no_next(self, connect: Connect, vendor: VendorDouble, some_entity: str) -> None:
        vendor.create(some_entity, 3 * self.page_size)
        pages = read_all(connect(), some_entity).pages
        assert [page.next is None for page in pages] == [False] * (len(pages) - 1) + [True]

    def test_a_page_counts_the_records_it_holds(self, connect: Connect, vendor: VendorDouble, entity: str) -> None:
        vendor.create(entity, self.page_size + 1)
        connector = connect()
        for page in read_all(connector, entity).pages:
            assert len(type(connector).split(entity, page.raw)) == page.count

    def test_rows_sharing_a_timestamp_across_pages_are_all_read(
        self, connect: Connect, vendor: VendorDouble, entity: str
    ) -> None:
        created = vendor.create(entity, 5 * self.page_size)
        vendor.share_one_instant(entity, created[2 : 4 * self.page_size])
        vendor.share_one_instant(entity, created[4 * self.page_size :])
        reading = read_all(connect(), entity)
        assert sorted(reading.ids) == sorted(vendor.modified(entity))

    def test_records_come_in_the_order_the_data_sheet_promises(
        self, connect: Connect, vendor: VendorDouble, in_order: str
    ) -> None:
        created = vendor.create(in_order, 2 * self.page_size)
        vendor.update(in_order, created[0])
        times = list(read_all(connect(), in_order).instants().values())
        assert None not in times
        assert times == sorted(times, key=lambda time: time or datetime.min.replace(tzinfo=UTC))

    def test_the_time_of_every_record_is_understood(self, connect: Connect, vendor: VendorDouble, dated: str) -> None:
        vendor.create(dated, 2)
        assert read_all(connect(), dated).instants() == dict(vendor.modified(dated))

    def test_what_has_no_times_is_read_whole_whatever_the_window_and_the_inserts(
        self, connect: Connect, vendor: VendorDouble, undated: str
    ) -> None:
        vendor.create(undated, 3 * self.page_size)
        before = set(vendor.modified(undated))
        far = Window(since=datetime(2199, 1, 1, tzinfo=UTC))
        reading = read_all(connect(), undated, far, after_page=lambda reading: self._make_two(vendor, undated, reading))
        assert before <= set(reading.ids) and len(set(reading.ids)) == len(reading.ids)

    def _make_two(self, vendor: VendorDouble, entity: str, reading: Reading) -> None:
        if len(reading.pages) <= 3:
            vendor.create(entity, 2)

    def test_nothing_is_missed_while_others_insert_and_update(
        self, connect: Connect, vendor: VendorDouble, tracked: str
    ) -> None:
        entity = tracked
        created = vendor.create(entity, 5 * self.page_size)
        started = datetime.now(UTC)

        def write(reading: Reading) -> None:
            pages = len(reading.pages)
            if pages <= 4:  # what was read moves behind what was not, and what was not moves too
                for read in reading.ids[:2]:
                    vendor.update(entity, read)
                vendor.update(entity, created[-pages])
                vendor.create(entity, 2)

        reading = read_all(connect(), entity, after_page=write)
        found, spec = set(reading.ids), reading.connector.spec.entities[entity]
        if spec.windowed:  # the cursor moves to where the read began, and the next one begins there
            found |= set(read_all(connect(), entity, Window(since=started)).ids)
        assert found == set(vendor.modified(entity))
        if spec.modified is not None:
            assert reading.instants() == dict(vendor.modified(entity)), "the last version read is the last one there is"

    def test_reading_resumes_behind_every_page_in_another_process(
        self, connect: Connect, vendor: VendorDouble, some_entity: str
    ) -> None:
        created = vendor.create(some_entity, 4 * self.page_size)
        vendor.share_one_instant(some_entity, created[3 : 3 * self.page_size])
        whole = read_all(connect(), some_entity)
        for number, page in enumerate(whole.pages, start=1):
            if page.next is None:
                continue
            rest = read_all(connect(), some_entity, resume=page.next)
            before = Reading(rest.connector, some_entity, whole.pages[:number]).ids
            assert sorted([*before, *rest.ids]) == sorted(whole.ids), f"resumed behind page {number}"

    def test_a_window_holds_its_first_moment_and_not_its_last(
        self, connect: Connect, vendor: VendorDouble, dated: str
    ) -> None:
        entity = dated
        vendor.create(entity, 2 * self.page_size)
        times = vendor.modified(entity)
        moments = sorted(set(times.values()))
        since, until = moments[len(moments) // 3], moments[-2]
        reading = read_all(connect(), entity, Window(since=since, until=until))
        assert sorted(reading.ids) == sorted(name for name, time in times.items() if since <= time < until)

    def test_a_window_that_holds_nothing_is_one_empty_page(self, connect: Connect, dated: str) -> None:
        far = datetime(2199, 1, 1, tzinfo=UTC)
        reading = read_all(connect(), dated, Window(since=far, until=far + timedelta(days=1)))
        assert [(page.count, page.next) for page in reading.pages] == [(0, None)]
        assert reading.records == []

    def test_adjoining_windows_leave_no_gap_and_do_not_overlap(
        self, connect: Connect, vendor: VendorDouble, dated: str
    ) -> None:
        vendor.create(dated, 2 * self.page_size)
        times = vendor.modified(dated)
        edge = sorted(times.values())[len(times) // 2]
        before = read_all(connect(), dated, Window(until=edge))
        after = read_all(connect(), dated, Window(since=edge))
        assert sorted([*before.ids, *after.ids]) == sorted(times)

    def test_what_is_new_in_a_window_is_found_though_no_record_says_when_it_changed(
        self, connect: Connect, vendor: VendorDouble, windowed: str
    ) -> None:
        vendor.create(windowed, self.page_size)
        since = datetime.now(UTC)
        new = vendor.create(windowed, 2 * self.page_size + 1)
        found = read_all(connect(), windowed, Window(since=since))
        assert set(new) <= set(found.ids)
        assert len(found.ids) == len(set(found.ids)), "each once"
