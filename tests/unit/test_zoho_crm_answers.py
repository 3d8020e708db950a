"""What Zoho's answers mean: errors by their code whatever their status, empty bodies, times, CSV cells, refusals."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from erpflow.connectors.answer import Answer
from erpflow.connectors.base import Change, Outcome
from erpflow.connectors.zoho_crm import ZohoCrm
from erpflow.connectors.zoho_crm_bulk import _Converter, _records
from erpflow.connectors.zoho_crm_errors import BulkUnavailable, PageTokenWorn, judge
from erpflow.connectors.zoho_crm_finding import _literal
from erpflow.connectors.zoho_crm_org import Readable
from erpflow.connectors.zoho_crm_refusals import Row, judge_write, result_of
from erpflow.connectors.zoho_crm_wire import encode
from erpflow.errors import (
    AuthFailed,
    ConfigError,
    ErpflowError,
    PermissionDenied,
    ProtocolError,
    RateLimited,
    RecordRejected,
    StaleVersion,
    VendorUnavailable,
)
from erpflow.vocabulary import Operation, RemoteId


def answered(status: int, body: Any, *, path: str = "/crm/v8/Accounts", method: str = "GET", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(method, path, status, headers, raw, 0.1, "id", authenticated=True)


def refused(code: str, **details: Any) -> dict[str, Any]:
    return {"code": code, "details": details, "message": "no", "status": "error"}


@pytest.mark.parametrize("status", [200, 204, 304])
def test_what_was_asked_for_and_nothing_are_no_errors(status: int) -> None:
    assert judge(answered(status, {"data": []} if status == 200 else b"")) is None


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "INVALID_TOKEN", AuthFailed),
        (401, "AUTHENTICATION_FAILURE", AuthFailed),
        (200, "INVALID_TOKEN", AuthFailed),
        (401, "OAUTH_SCOPE_MISMATCH", PermissionDenied),
        (403, "OAUTH_SCOPE_MISMATCH", PermissionDenied),
        (403, "NO_PERMISSION", PermissionDenied),
        (403, "SOMETHING_NEW", PermissionDenied),
        (429, "TOO_MANY_REQUESTS", RateLimited),
        (200, "TOO_MANY_REQUESTS", RateLimited),
        (500, "INTERNAL_ERROR", VendorUnavailable),
        (200, "INTERNAL_ERROR", VendorUnavailable),
        (412, "RECORD_MODIFIED", StaleVersion),
        (400, "EXPIRED_VALUE", PageTokenWorn),
        (401, "TOKEN_BOUND_DATA_MISMATCH", PageTokenWorn),
        (400, "MODULE_NOT_SUPPORTED", BulkUnavailable),
        (400, "INVALID_MODULE", ProtocolError),
        (400, "REQUIRED_PARAM_MISSING", ProtocolError),
    ],
)
def test_the_code_decides_and_not_the_status(status: int, code: str, error: type[ErpflowError]) -> None:
    found = judge(answered(status, refused(code)))
    assert type(found) is error and code in str(found)


def test_a_record_that_holds_the_word_code_is_no_error() -> None:
    assert judge(answered(200, {"data": [{"code": "INVALID_TOKEN", "status": "error", "id": "1"}]})) is None


def test_a_missing_scope_is_named_by_what_was_asked() -> None:
    found = judge(answered(401, refused("OAUTH_SCOPE_MISMATCH"), path="/crm/bulk/v8/read", method="POST"))
    assert "ZohoCRM.bulk.READ" in str(found)


def test_used_up_credits_take_longer_than_too_many_at_once() -> None:
    body = refused("TOO_MANY_REQUESTS")
    used_up = judge(answered(429, body, **{"X-API-CREDITS-REMAINING": "0"}))
    crowded = judge(answered(429, body))
    assert isinstance(used_up, RateLimited) and isinstance(crowded, RateLimited)
    assert (used_up.retry_after, crowded.retry_after) == (900, 10)


# -- writes ----------------------------------------------------------------------------------------------------------


def test_rows_are_read_whatever_the_status_of_their_answer() -> None:
    rows = {"data": [refused("MANDATORY_NOT_FOUND", api_name="Last_Name")]}
    for status in (200, 201, 202, 207, 400, 412):
        assert judge_write(answered(status, rows, method="POST")) is None


@pytest.mark.parametrize(
    ("status", "body", "error", "maybe_done"),
    [
        (400, refused("INVALID_DATA"), RecordRejected, None),
        (413, b"", RecordRejected, None),
        (412, refused("RECORD_MODIFIED"), StaleVersion, None),
        (500, refused("INTERNAL_ERROR"), VendorUnavailable, True),
        (504, b"<html>", VendorUnavailable, True),
        (429, refused("TOO_MANY_REQUESTS"), RateLimited, None),
        (400, refused("INVALID_MODULE"), ProtocolError, False),
    ],
)
def test_a_refused_request_says_whether_it_may_be_done(
    status: int, body: Any, error: type[ErpflowError], maybe_done: bool | None
) -> None:
    found = judge_write(answered(status, body, method="POST"))
    assert isinstance(found, error)
    if maybe_done is not None:
        assert found.maybe_done is maybe_done  # type: ignore[attr-defined]


def row(code: str, message: str = "invalid data", **details: Any) -> Row:
    return Row("error", code, message, details)


CHANGE = Change(Operation.UPDATE, "key", RemoteId("1"), {"Phone": "2"})


@pytest.mark.parametrize(
    ("given", "outcome", "rule"),
    [
        (row("MANDATORY_NOT_FOUND", "required field not found", api_name="Last_Name"), Outcome.REJECTED, "required"),
        (row("DUPLICATE_DATA", "duplicate data", api_name="Email", id="7"), Outcome.REJECTED, "duplicate"),
        (row("INVALID_DATA", expected_data_type="integer", api_name="Employees"), Outcome.REJECTED, "type"),
        (row("INVALID_DATA", maximum_length=30, api_name="Phone"), Outcome.REJECTED, "max_length"),
        (row("NO_PERMISSION", "permission denied"), Outcome.REJECTED, "permission"),
        (row("RECORD_IN_BLUEPRINT", "in blueprint"), Outcome.REJECTED, "in_use"),
        (row("SOMETHING_NEW", "no"), Outcome.REJECTED, "refused"),
        (row("RECORD_MODIFIED", "modified"), Outcome.STALE, None),
        (row("RECORD_LOCKED", "locked"), Outcome.NOT_SENT, None),
        (row("INTERNAL_ERROR", "oops"), Outcome.UNKNOWN, None),
        (
            row("INVALID_DATA", "the id given seems to be invalid", api_name="id", json_path="$.data[0].id"),
            Outcome.MISSING,
            None,
        ),
        (row("INVALID_DATA", "the id given seems to be invalid", id="1"), Outcome.MISSING, None),
        (
            row("INVALID_DATA", "the id given seems to be invalid", json_path="$.data[0].Account_Name.id"),
            Outcome.REJECTED,
            "lookup",
        ),
    ],
)
def test_each_row_is_the_outcome_of_its_record(given: Row, outcome: Outcome, rule: str | None) -> None:
    result = result_of(CHANGE, given)
    assert result.outcome is outcome
    assert [problem.rule for problem in result.problems] == ([rule] if rule else [])


def test_a_success_names_the_record() -> None:
    result = result_of(Change(Operation.CREATE, "key", None, {}), Row("success", "SUCCESS", details={"id": "77"}))
    assert (result.outcome, result.remote_id) == (Outcome.DONE, "77")
    with pytest.raises(ProtocolError) as raised:
        result_of(Change(Operation.CREATE, "key", None, {}), Row("success", "SUCCESS"))
    assert raised.value.maybe_done


# -- times, CSV, COQL --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-05-02T10:11:12+02:00", datetime(2024, 5, 2, 8, 11, 12, tzinfo=UTC)),
        ("2024-10-27T02:30:00+02:00", datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
        ("2024-10-27T02:30:00+01:00", datetime(2024, 10, 27, 1, 30, tzinfo=UTC)),
        ("2024-05-02T08:11:12Z", datetime(2024, 5, 2, 8, 11, 12, tzinfo=UTC)),
        ("2024-05-02T08:11:12", None),
    ],
)
def test_times_are_read_with_their_offset(text: str, instant: datetime | None) -> None:
    assert ZohoCrm.instant(text, zone="Asia/Kolkata") == instant


def zipped(text: str) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("1.csv", text)
    return packed


def records_of(packed: io.BytesIO, types: Mapping[str, str], owners: Mapping[str, dict[str, Any]] | None = None) -> Any:
    return list(_records(packed, _Converter(Readable(types), owners or {}), path="/result"))


TYPES = {
    "Account_Name": "text", "Employees": "integer", "Annual_Revenue": "currency", "Owner": "ownerlookup",
    "Parent_Account": "lookup", "Active": "boolean", "Tags": "multiselectpicklist",
}  # fmt: skip


def test_a_row_of_a_csv_becomes_a_record_as_lists_have_it() -> None:
    owners = {"9": {"name": "Ana", "id": "9", "email": "ana@example.com"}}
    text = f'Id,{",".join(TYPES)}\n1,"A, ""B""\nC",7,10.50,9,5,true,x;y\n'
    (record,) = records_of(zipped(text), TYPES, owners)
    assert json.loads(encode(record), parse_float=Decimal) == {
        "id": "1", "Account_Name": 'A, "B"\nC', "Employees": 7, "Annual_Revenue": Decimal("10.50"),
        "Owner": owners["9"], "Parent_Account": {"id": "5"}, "Active": True, "Tags": ["x", "y"],
    }  # fmt: skip


def test_empty_cells_are_null_and_odd_numbers_stay_text_for_the_mapping_to_judge() -> None:
    first, second = records_of(zipped("Id,Account_Name,Employees,Active\n1,,,\n2,x,1e5,false\n"), TYPES)
    assert first == {"id": "1", "Account_Name": None, "Employees": None, "Active": None}
    assert second == {"id": "2", "Account_Name": "x", "Employees": "1e5", "Active": False}


@pytest.mark.parametrize(
    "packed",
    [io.BytesIO(b"<html>sign in</html>"), zipped("Name\nx\n"), zipped("Id,Name\n1\n"), zipped("")],
    ids=["no zip", "no ids", "a short row", "empty"],
)
def test_a_result_that_is_none_is_a_protocol_error(packed: io.BytesIO) -> None:
    with pytest.raises(ProtocolError):
        records_of(packed, {"Name": "integer"})


def test_half_an_archive_is_never_taken_for_a_whole_one() -> None:
    rows = "".join(f"{number},x\n" for number in range(50_000))
    whole = zipped(f"Id,Name\n{rows}").getvalue()
    with pytest.raises(ProtocolError, match="It begins: PK"):
        records_of(io.BytesIO(whole[: len(whole) // 2]), {"Name": "text"})


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("O'Brien", r"'O\'Brien'"),
        ("back\\slash", r"'back\\slash'"),
        (Decimal("10.50"), "10.50"),
        (Decimal("1E+3"), "1000"),
        (True, "true"),
        (7, "7"),
    ],
)
def test_values_are_written_into_a_query_as_values(value: Any, literal: str) -> None:
    assert _literal(value) == literal


def test_an_entity_that_is_none_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "customer"'):
        ZohoCrm.split("custmer", b'{"data":[]}')
