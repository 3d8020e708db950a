"""The contract about deletions that a vendor lists: complete, resumable, and true."""

# ruff: noqa: S101  (a suite of tests, shipped to be subclassed)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from erpflow.connectors.base import Connector, Deletion, Page, PageToken, SupportsDeletedFeed
from erpflow.connectors.registry import connector_class
from erpflow.errors import ConfigError, ProtocolError
from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.vendor import WritableVendor
from erpflow.vocabulary import RemoteId, Window


@dataclass
class Trash:
    """The pages of a read of deletions, and what is in them."""

    entity: str
    pages: list[Page] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)

    @property
    def ids(self) -> list[RemoteId]:
        return [deletion.remote_id for deletion in self.deletions]

    def times(self) -> dict[RemoteId, datetime]:
        return {found.remote_id: found.deleted_at for found in self.deletions if found.deleted_at is not None}


def read_trash(
    connector: Connector,
    entity: str,
    window: Window | None = None,
    *,
    resume: PageToken | None = None,
    after_page: Callable[[Trash], None] = lambda trash: None,
) -> Trash:
    """Every page of deletions in a window; `after_page` sees what was read so far."""
    assert isinstance(connector, SupportsDeletedFeed), f"{type(connector).__name__} does not read deletions"
    trash = Trash(entity)
    for page in connector.read_deleted(entity, window or Window(), resume=resume):
        found = type(connector).split_deleted(entity, page.raw, zone=page.zone)
        assert page.count == len(found)
        trash.pages.append(page)
        trash.deletions += found
        after_page(trash)
        assert len(trash.pages) <= 1_000, f"the read of deleted {entity} does not end"
    return trash


class DeletedFeedContract(ContractBase):
    """What was deleted is reported, and what exists is not."""

    def test_every_deletion_is_reported_and_no_other(
        self, connect: Connect, vendor: WritableVendor, trashed: str
    ) -> None:
        connector = connect()
        kept, *gone = vendor.create(trashed, 2 * self.page_size + 2)
        vendor.delete(trashed, gone)
        found = read_trash(connector, trashed).ids
        assert sorted(found) == sorted(gone), "each once"
        assert kept not in found

    def test_only_the_last_page_of_deletions_has_no_next(
        self, connect: Connect, vendor: WritableVendor, trashed: str
    ) -> None:
        vendor.delete(trashed, vendor.create(trashed, 3 * self.page_size))
        pages = read_trash(connect(), trashed).pages
        assert len(pages) >= 3
        assert [page.next is None for page in pages] == [False] * (len(pages) - 1) + [True]

    def test_deletions_of_other_entities_are_not_reported(
        self, connect: Connect, vendor: WritableVendor, trashed: str
    ) -> None:
        for other in self.subjects()["trashed"]:
            if other != trashed:
                vendor.delete(other, vendor.create(other, 2))
        assert read_trash(connect(), trashed).ids == []

    def test_the_time_of_a_deletion_lies_between_before_and_after(
        self, connect: Connect, vendor: WritableVendor, trashed: str
    ) -> None:
        kept, gone = vendor.create(trashed, 2)
        before = vendor.modified(trashed)[gone]
        vendor.delete(trashed, [gone])
        vendor.update(trashed, kept)
        (deletion,) = read_trash(connect(), trashed).deletions
        if deletion.deleted_at is not None:
            assert before <= deletion.deleted_at <= vendor.modified(trashed)[kept]

    def test_a_window_of_deletions_holds_its_first_moment_and_not_its_last(
        self, connect: Connect, vendor: WritableVendor, trashed: str
    ) -> None:
        vendor.delete(trashed, vendor.create(trashed, 2 * self.page_size))
        connector = connect()
        times = read_trash(connector, trashed).times()
        moments = sorted(set(times.values()))
        if not moments:
            pytest.skip("the vendor does not say when it deleted them")
        assert len(moments) >= 3, "the vendor has to delete at three moments at least, for there to be an edge inside"
        since, until = moments[len(moments) // 3], moments[-1]
        found = read_trash(connector, trashed, Window(since=since, until=until)).ids
        assert sorted(found) == sorted(name for name, time in times.items() if since <= time < until)

    def test_a_window_without_deletions_is_one_empty_page(self, connect: Connect, trashed: str) -> None:
        far = datetime(2199, 1, 1, tzinfo=UTC)
        trash = read_trash(connect(), trashed, Window(since=far, until=far + timedelta(days=1)))
        assert [(page.count, page.next) for page in trash.pages] == [(0, None)]
        assert trash.deletions == []

    def test_a_read_of_deletions_resumes_behind_every_page_in_another_process(
        self, connect: Connect, vendor: WritableVendor, trashed: str
    ) -> None:
        vendor.delete(trashed, vendor.create(trashed, 3 * self.page_size))
        whole = read_trash(connect(), trashed)
        read = 0
        for number, page in enumerate(whole.pages, start=1):
            read += page.count
            if page.next is not None:
                rest = read_trash(connect(), trashed, resume=page.next)
                assert sorted([*whole.ids[:read], *rest.ids]) == sorted(whole.ids), f"resumed behind page {number}"

    def test_nothing_is_missed_while_others_delete(
        self, connect: Connect, vendor: WritableVendor, trashed: str
    ) -> None:
        created = vendor.create(trashed, 4 * self.page_size)
        first, later = created[: 2 * self.page_size], created[2 * self.page_size :]
        vendor.delete(trashed, first)

        def delete_more(trash: Trash) -> None:
            if later:
                vendor.delete(trashed, [later.pop()])

        found = read_trash(connect(), trashed, after_page=delete_more).ids
        assert set(first) <= set(found)

    def test_a_record_that_exists_again_is_not_reported(
        self, connect: Connect, vendor: WritableVendor, trashed: str
    ) -> None:
        *gone, back = vendor.create(trashed, 3)
        vendor.delete(trashed, [back])
        if not vendor.bring_back(trashed, back):
            pytest.skip("the vendor never uses an id again")
        assert back in vendor.modified(trashed)
        vendor.delete(trashed, gone)
        assert sorted(read_trash(connect(), trashed).ids) == sorted(gone)

    def test_deletions_of_an_unknown_entity_are_refused_by_name(self, connect: Connect, trashed: str) -> None:
        with pytest.raises(ConfigError, match=trashed):
            read_trash(connect(), f"{trashed}x")

    @pytest.mark.parametrize("raw", [b"", b"{", b"<html></html>", b"null", b"[" * 100_000, b"\xff\xfe", b'"text"'])
    def test_splitting_deletions_that_never_landed_is_a_protocol_error(self, trashed: str, raw: bytes) -> None:
        connector = connector_class(self.system)
        assert issubclass(connector, SupportsDeletedFeed)
        with pytest.raises(ProtocolError):
            connector.split_deleted(trashed, raw, zone="UTC")
