"""The portal's sums beside our own: equal to the paisa, or named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from erpflow.errors import ProtocolError
from erpflow.services.gst.gstr1.build import generate
from erpflow.services.gst.gstr1.documents import Books
from erpflow.services.gst.gstr1.summary import Difference, differences
from erpflow.services.gst.returns import totals_shown
from tests.gstr1 import FILER, TODAY, sample_documents

FLOWS = msgspec.json.decode((Path(__file__).parents[1] / "fixtures/gstr1/flow_samples.json").read_bytes())
MADE = generate(Books(FILER, tuple(sample_documents())), today=TODAY)


def compared(summary: dict[str, Any]) -> list[Difference]:
    sections = totals_shown(MADE)["sections"]
    payload = msgspec.json.decode(MADE.payload)
    return differences(sections, payload, msgspec.json.encode(summary), gstin=FILER.gstin, period="012026")


def published() -> dict[str, Any]:
    """The summary that is published for the sample return, with the documents it counts."""
    summary: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(FLOWS["summary_response"]["data"]))
    summary["sec_sum"][-1]["net_doc_issued"] = 124
    return summary


def test_the_published_summary_agrees_with_the_sample_return() -> None:
    assert compared(published()) == []


def test_a_paisa_is_a_difference() -> None:
    summary = published()
    summary["sec_sum"][0]["ttl_igst"] = 2387.51
    assert compared(summary) == [Difference("b2b", "igst", "2387.50", "2387.51")]


def test_a_section_that_is_missing_there_and_one_that_is_missing_here_are_differences() -> None:
    summary = published()
    summary["sec_sum"] = [each for each in summary["sec_sum"] if each["sec_nm"] != "EXP"]
    summary["sec_sum"].append({"sec_nm": "B2CLA", "ttl_rec": 1, "ttl_tax": 7})
    found = compared(summary)
    assert {(each.section, each.field) for each in found} == {
        ("exp", "rows"), ("exp", "taxable"), ("b2cla", "rows"), ("b2cla", "taxable"),
    }  # fmt: skip


def test_a_section_given_whole_and_in_its_parts_is_counted_once() -> None:
    summary = published()
    summary["sec_sum"].append({**summary["sec_sum"][0], "sec_nm": "B2B"})
    assert compared(summary) == []


def test_the_documents_issued_are_counted() -> None:
    summary = published()
    summary["sec_sum"][-1]["net_doc_issued"] = 123
    assert compared(summary) == [Difference("doc_issue", "net_issue", "124", "123")]


def test_the_summary_of_another_period_is_none_of_ours() -> None:
    assert compared(published() | {"ret_period": "022026"}) == [Difference("", "period", "012026", "022026")]


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"<html>", b'{"sec_sum": 1}', b'{"sec_sum": [{"sec_nm": "B2B", "ttl_rec": "x"}]}']
)
def test_what_is_no_summary_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="summary"):
        differences([], {}, body, gstin="", period="")
