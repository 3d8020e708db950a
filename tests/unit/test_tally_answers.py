"""Tally's answers: the samples of its documentation, streamed; and what is half, hostile, or nothing of Tally's."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from erpflow.connectors import tally_stream
from erpflow.connectors.tally_imports import Gone, judge_import
from erpflow.connectors.tally_stream import Gathered, read_answer
from erpflow.errors import AuthFailed, ProtocolError, RecordRejected, VendorUnavailable
from erpflow.vocabulary import Operation

SAMPLES = Path(__file__).parents[1] / "fixtures" / "tally"
HEAD = "<ENVELOPE><HEADER><VERSION>1</VERSION><STATUS>1</STATUS></HEADER><BODY>"
CREATE, UPDATE, DELETE = Operation.CREATE, Operation.UPDATE, Operation.DELETE


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.xml").read_bytes()


def collection(rows: str, *, counts: str = "<LEDGER>4</LEDGER>") -> bytes:
    desc = f"<DESC><CMPINFO><COMPANY>0</COMPANY>{counts}</CMPINFO></DESC>"
    return f"{HEAD}{desc}<DATA><COLLECTION>{rows}</COLLECTION></DATA></BODY></ENVELOPE>".encode("utf-16-le")


def rows(body: bytes, tag: str) -> list[dict[str, Any]]:
    into: Gathered[dict[str, Any]] = Gathered(lambda record: record)
    assert read_answer([body], tag=tag, sink=into).objects == len(into.found)
    return into.found


# -- records -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", ["utf-8", "utf-16-le"])
def test_the_sample_of_stock_items_is_read_though_it_is_no_xml(charset: str) -> None:
    first, second = rows(sample("response_stock_items").decode().encode(charset), "STOCKITEM")
    assert first == {
        "NAME": "Power adapter 65 W",
        "RESERVEDNAME": "",
        "GUID": "5d0f0000-1111-2222-3333-444455556666-00000021",
        "PARENT": "\x04 Primary",
        "BASEUNITS": "Nos",
        "MASTERID": "33",
        "ALTERID": "1205",
        "CLOSINGBALANCE": "40 Nos",
        "CLOSINGVALUE": "-36000.00",
        "CLOSINGRATE": "900.00/Nos",
        "LANGUAGENAME_LIST": [{"NAME_LIST": ["Power adapter 65 W", "PA-65W"], "LANGUAGEID": "1033"}],
    }
    assert (second["NAME"], second["CLOSINGBALANCE"]) == ("Nuts & Bolts", "-2.500 Kgs")


def test_the_counters_beside_the_data_are_no_records() -> None:
    assert [row["NAME"] for row in rows(collection('<LEDGER NAME="Cash"></LEDGER>'), "LEDGER")] == ["Cash"]


def test_an_empty_amount_is_absent_and_an_empty_text_is_one() -> None:
    inner = '<CREDITLIMIT TYPE="Amount"></CREDITLIMIT><EMAIL TYPE="String"></EMAIL><ADDRESS.LIST>    </ADDRESS.LIST>'
    (row,) = rows(collection(f'<LEDGER NAME="A">{inner}</LEDGER>'), "LEDGER")
    assert row == {"NAME": "A", "CREDITLIMIT": None, "EMAIL": "", "ADDRESS_LIST": []}


def test_lists_of_one_and_of_many_have_one_shape() -> None:
    entry = "<ENTRIES.LIST><LEDGERNAME>Cash</LEDGERNAME><BILLS.LIST>   </BILLS.LIST></ENTRIES.LIST>"
    (one, two) = rows(collection(f"<VOUCHER>{entry}</VOUCHER><VOUCHER>{entry}{entry}</VOUCHER>"), "VOUCHER")
    assert one == {"ENTRIES_LIST": [{"LEDGERNAME": "Cash", "BILLS_LIST": []}]}
    assert two["ENTRIES_LIST"] == one["ENTRIES_LIST"] * 2


def test_fields_of_a_customers_own_tdl_come_along() -> None:
    (row,) = rows(
        collection("<LEDGER><UDF:REGION.LIST><UDF:REGION>South</UDF:REGION></UDF:REGION.LIST></LEDGER>"), "LEDGER"
    )
    assert row == {"UDF_REGION_LIST": ["South"]}


# -- half and hostile --------------------------------------------------------------------------------------------------


def test_an_answer_that_breaks_off_is_no_answer_wherever_it_does() -> None:
    whole = collection('<LEDGER NAME="A"><GUID>1</GUID></LEDGER><LEDGER NAME="B"><GUID>2</GUID></LEDGER>')
    for end in range(30, len(whole) - 2, 7):
        with pytest.raises(VendorUnavailable, match="breaks off"):
            rows(whole[:end], "LEDGER")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html><body>Sign in</body></html>", b"<ENVELOPE><A></B></ENVELOPE>", b"\x00\x01\x02"]
)
def test_what_is_nothing_of_tallys_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        read_answer([body])
    assert raised.value.maybe_done


def test_an_object_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally_stream, "LARGEST_OBJECT", 1_000_000)

    def endless() -> Iterator[bytes]:
        yield f"{HEAD}<DATA><COLLECTION><LEDGER>".encode()
        while True:
            yield b"<A>" + b"x" * 60_000 + b"</A>"

    with pytest.raises(ProtocolError, match="more than 1,000,000 bytes"):
        read_answer(endless(), tag="LEDGER", sink=Gathered(lambda record: record))


def test_depth_is_bounded() -> None:
    with pytest.raises(ProtocolError):
        read_answer([collection("<A>" * 5000 + "</A>" * 5000)])


def test_a_long_answer_passes_through_little_memory() -> None:
    row = f'<LEDGER NAME="A"><GUID>1</GUID><NARRATION>{"x" * 5000}</NARRATION></LEDGER>'.encode()

    def body() -> Iterator[bytes]:
        yield f"{HEAD}<DATA><COLLECTION>".encode()
        for _ in range(2000):
            yield row
        yield b"</COLLECTION></DATA></BODY></ENVELOPE>"

    counted: Gathered[int] = Gathered(lambda record: None)
    tracemalloc.start()
    told = read_answer(body(), tag="LEDGER", sink=counted)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert told.objects == 2000 and peak < 3_000_000


# -- imports -----------------------------------------------------------------------------------------------------------


def judged(body: bytes | str, operation: Operation = CREATE) -> int:
    return judge_import(read_answer([body.encode() if isinstance(body, str) else body]), operation)


def counters(**counts: int) -> str:
    return "".join(f"<{name}>{count}</{name}>" for name, count in counts.items())


def test_the_samples_of_imports_mean_what_they_say() -> None:
    assert judged(sample("response_import_ok")) == 501
    with pytest.raises(RecordRejected, match="Ledger 'Output CGST' does not exist!") as raised:
        judged(sample("response_import_line_error"))
    assert raised.value.problems[0].rule == "lookup"
    with pytest.raises(RecordRejected, match="Unknown Request"):
        judged(sample("response_unknown_request"))
    assert read_answer([sample("response_running")]).text == "TallyPrime Server is Running"


def test_both_shapes_of_an_answer_are_understood() -> None:
    inner = counters(CREATED=0, ALTERED=1, LASTVCHID=7, ERRORS=0, EXCEPTIONS=0)
    assert judged(f"<RESPONSE>{inner}</RESPONSE>", UPDATE) == 7
    wrapped = f"{HEAD}<DATA><IMPORTRESULT>{inner}</IMPORTRESULT></DATA><DESC><CMPINFO/></DESC></BODY></ENVELOPE>"
    assert judged(wrapped, UPDATE) == 7


@pytest.mark.parametrize(
    ("inner", "rule"),
    [
        (counters(CREATED=0, ERRORS=0, EXCEPTIONS=1), "exception"),
        (counters(CREATED=0, ERRORS=0, EXCEPTIONS=0), "exception"),
        (counters(CREATED=0, ERRORS=0) + "<LINEERROR>Voucher Totals do not match!</LINEERROR>", "totals"),
        (counters(CREATED=0, ERRORS=1) + "<LINEERROR>Name already exists</LINEERROR>", "duplicate"),
        (counters(CREATED=0, ERRORS=1) + "<LINEERROR>No</LINEERROR>", "refused"),
    ],
)
def test_no_errors_counted_is_not_success(inner: str, rule: str) -> None:
    with pytest.raises(RecordRejected) as raised:
        judged(f"<RESPONSE>{inner}</RESPONSE>")
    assert raised.value.problems[0].rule == rule


@pytest.mark.parametrize(
    ("inner", "operation"),
    [
        (counters(CREATED=0, ALTERED=1), CREATE),  # a master of that name was there: it was altered
        (counters(CREATED=1, ALTERED=0), UPDATE),  # a voucher that was not found by its address was made anew
        (counters(CREATED=1, EXCEPTIONS=1), CREATE),
        (counters(CREATED=0, COMBINED=1), CREATE),
        ("", CREATE),
    ],
)
def test_what_was_not_asked_for_is_not_called_done_nor_undone(inner: str, operation: Operation) -> None:
    with pytest.raises(ProtocolError) as raised:
        judged(f"<RESPONSE>{inner}</RESPONSE>", operation)
    assert raised.value.maybe_done


@pytest.mark.parametrize("line", ["Voucher does not exist!", "Item does not exist!"])
def test_what_is_gone_is_told_apart_from_what_is_refused(line: str) -> None:
    body = f"<RESPONSE><LINEERROR>{line}</LINEERROR>{counters(ERRORS=1)}</RESPONSE>"
    for operation in (UPDATE, DELETE):
        with pytest.raises(Gone):
            judged(body, operation)


def test_a_company_that_is_not_open_takes_nothing() -> None:
    line = "Could not set 'SVCurrentCompany' to 'X'"
    with pytest.raises(AuthFailed, match="open the company"):
        judged(f"{HEAD}<DATA><LINEERROR>{line}</LINEERROR></DATA></BODY></ENVELOPE>")
