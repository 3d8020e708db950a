"""The landing area: a page that is not whole did not land; what is whole is found again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from erpflow.connectors.base import Page, PageToken
from erpflow.errors import ConfigError
from erpflow.sync.landing import Extracted, Landing


def page(number: int, *, last: bool = False) -> Page:
    raw = f'{{"data": [{number}]}}'.encode()
    return Page(
        raw, 1, None if last else PageToken(f"after-{number}"), "Asia/Kolkata", datetime(2026, 1, 1, tzinfo=UTC)
    )


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "erpnext" / "customer" / "log").open()


def test_an_empty_folder_resumes_from_the_beginning(landing: Landing) -> None:
    assert landing.resume_point() == (0, 0, None)
    assert landing.extracted() is None


def test_a_resume_goes_on_behind_the_last_whole_page(landing: Landing) -> None:
    for number in (1, 2, 3):
        landing.land(number, page(number))
    assert landing.resume_point() == (3, 3, "after-3")


@pytest.mark.parametrize("keep", [0, 1, 20])
def test_a_page_whose_note_is_torn_did_not_land(landing: Landing, tmp_path: Path, keep: int) -> None:
    landing.land(1, page(1))
    landing.land(2, page(2))
    note = tmp_path / "erpnext" / "customer" / "log" / "page-000002.note"
    note.write_bytes(note.read_bytes()[:keep])
    assert landing.resume_point() == (1, 1, "after-1")


def test_a_page_that_was_altered_is_refused_with_the_way_out(landing: Landing, tmp_path: Path) -> None:
    landing.land(1, page(1))
    (tmp_path / "erpnext" / "customer" / "log" / "page-000001.json").write_bytes(b'{"data": [2]}')
    with pytest.raises(ConfigError, match="Clear the extract task"):
        landing.page(1)


def test_pages_come_back_with_their_zone_in_order(landing: Landing) -> None:
    landing.land(1, page(1))
    landing.land(2, page(2, last=True))
    landing.finish(Extracted(pages=2, records=2))
    assert [(one.number, one.raw, one.zone) for one in landing.pages()] == [
        (1, b'{"data": [1]}', "Asia/Kolkata"),
        (2, b'{"data": [2]}', "Asia/Kolkata"),
    ]


def test_a_chunk_that_is_not_whole_is_not_there(landing: Landing, tmp_path: Path) -> None:
    landing.put_chunk("v1", 1, b"rows")
    assert landing.chunk("v1", 1) == b"rows"
    assert landing.chunk("v2", 1) is None
    path = tmp_path / "erpnext" / "customer" / "log" / "v1" / "chunk-000001.msgpack"
    path.write_bytes(path.read_bytes()[:-1])
    assert landing.chunk("v1", 1) is None


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="ERPFLOW_LANDING_URI"):
        Landing(tmp_path / "file" / "below").open()
