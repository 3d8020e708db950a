"""A GSTR-1 made over the API: kept as it was made, shown with its problems, to nobody else."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from erpflow.api.rights import Right
from tests.calling import ALL, Api
from tests.gst_bodies import sample_body
from tests.unit.test_gstr1_sample_return import SAMPLE, unordered

GENERATE = "/gst/gstr1/generate"


@pytest.fixture
def api(shared_installation_api: Api) -> Api:
    return shared_installation_api


def made(api: Api, **more: Any) -> dict[str, Any]:
    answer = api.client.post(GENERATE, json=sample_body(**more))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_sample_return_is_made_and_kept(api: Api) -> None:
    answer = made(api)
    wanted = {key: value for key, value in SAMPLE.items() if key != "at"}
    assert unordered(answer["payload"]) == unordered(wanted)
    assert (answer["state"], answer["can_be_submitted"], answer["problems"]) == ("generated", True, [])
    assert answer["documents"] == {"invoice": 122, "credit_note": 2, "cancelled": 3}
    sections = {each["section"]: each for each in answer["sections"]}
    assert sections["b2b"] == {
        "section": "b2b", "documents": 2, "rows": 2, "value": "30738.00", "taxable": "26550.00", "igst": "2387.50",
        "cgst": "900.00", "sgst": "900.00", "cess": "0.00",
    }  # fmt: skip
    assert sections["cdnr"]["value"] == "-1416.00"
    assert api.client.get(f"/gst/gstr1/{answer['id']}").json() == answer


def test_the_very_bytes_of_the_digest_are_kept(api: Api) -> None:
    answer = made(api)
    statement = "SELECT payload::text FROM erpflow.erp_gst_returns WHERE id = %s"
    with api.database.transaction() as connection:
        row = connection.execute(statement, (answer["id"],)).fetchone()
    assert row is not None
    assert hashlib.sha256(row[0].encode()).hexdigest() == answer["payload_digest"]
    assert msgspec.json.decode(row[0]) == answer["payload"]


def test_a_return_with_problems_is_kept_and_says_that_it_cannot_be_submitted(api: Api) -> None:
    body = sample_body()
    body["documents"][0]["lines"][0]["rate"] = 12
    answer = api.client.post(GENERATE, json=body).json()
    rates, gst_sum = sorted(answer["problems"], key=lambda each: each["code"])
    assert (rates["document"], rates["field"], rates["code"]) == ("INV/2026/0104", "lines[0].rate", "rate")
    assert "withdrawn after 21-09-2025" in rates["detail"] and rates["blocks"]
    assert gst_sum["code"] == "sum"
    assert (answer["can_be_submitted"], answer["left_out"]) == (False, ["INV/2026/0104"])


def test_names_may_be_in_camel_case(api: Api) -> None:
    line = {"taxableValue": 100, "rate": 18, "hsn": "85044090", "unit": "NOS", "quantity": 1}
    document = {"number": "A1", "date": "2026-01-19", "placeOfSupply": "29", "value": "118.00", "lines": [line]}
    answer = api.client.post(GENERATE, json={"gstin": "29AABCV1234M1Z5", "period": "012026", "documents": [document]})
    assert answer.status_code == 201 and answer.json()["payload"]["b2cs"][0]["camt"] == 9


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"period": "2026-01"}, "period"),
        ({"period": "132026"}, "period"),
        ({"documents": None}, "documents"),
        ({"documents": [{"number": "A1", "date": "19-01-2026"}]}, "documents.0.date"),
        ({"documents": [{"number": "A1", "date": "2026-01-19", "value": "1e99"}]}, "documents.0.value"),
        ({"documents": [{"number": "A1", "date": "2026-01-19", "value": "NaN"}]}, "documents.0.value"),
        ({"documents": [{"number": "A1", "date": "2026-01-19", "colour": "red"}]}, "documents.0.colour"),
        ({"documents": [{"number": "A" * 65, "date": "2026-01-19"}]}, "documents.0.number"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(api: Api, change: dict[str, Any], field: str) -> None:
    answer = api.client.post(GENERATE, json={"gstin": "29AABCV1234M1Z5", "period": "012026", "documents": []} | change)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_documents_have_to_be_given_and_may_be_none(api: Api) -> None:
    nothing = {"gstin": "29AABCV1234M1Z5", "period": "012026"}
    assert api.client.post(GENERATE, json=nothing).json()["field"] == "documents"
    answer = api.client.post(GENERATE, json=nothing | {"documents": []})
    assert answer.status_code == 201 and answer.json()["can_be_submitted"]


def test_hostile_texts_end_in_problems_and_not_in_errors(api: Api) -> None:
    document = {
        "number": "<script>'\"\u202e", "date": "2026-01-19", "buyer_gstin": "٢٩AABCV1234M1Z", "place_of_supply": "२९",
        "lines": [{"taxable_value": 1, "hsn": "８５０４", "unit": "'; --"}],
    }  # fmt: skip
    answer = api.client.post(GENERATE, json=sample_body() | {"documents": [document]})
    assert answer.status_code == 201 and answer.json()["left_out"] == [document["number"]]
    answer = api.client.post(GENERATE, json=sample_body() | {"documents": [document | {"number": "a\0b"}]})
    assert answer.status_code == 422


def test_a_key_that_makes_it_once(api: Api) -> None:
    once = {"Idempotency-Key": "january"}
    first, again = (api.client.post(GENERATE, json=sample_body(), headers=once) for _ in range(2))
    assert again.json()["id"] == first.json()["id"]


def test_a_return_is_its_own_companys(api: Api) -> None:
    answer = made(api)
    stranger = api.as_key(api.key(*ALL, tenant_id=api.tenant("acme")))
    found, missing = stranger.get(f"/gst/gstr1/{answer['id']}"), stranger.get(f"/gst/gstr1/{uuid4()}")
    assert (found.status_code, missing.status_code) == (404, 404)


def test_looking_lets_look_and_not_make(api: Api) -> None:
    answer = made(api)
    looking = api.as_key(api.key(Right.LOOK))
    assert looking.get(f"/gst/gstr1/{answer['id']}").status_code == 200
    assert looking.post(GENERATE, json=sample_body()).status_code == 403


def test_the_invoices_of_a_large_month_fit(api: Api) -> None:
    body = sample_body()
    (one,) = [each for each in body["documents"] if each["number"] == "VK/1003"]
    body["documents"] = [one | {"number": f"VK/{number}"} for number in range(10_000)]
    answer = api.client.post(GENERATE, json=body)
    assert answer.status_code == 201 and answer.json()["payload"]["b2cs"][0]["txval"] == 1_500_000


def test_more_lines_than_a_return_may_have_are_refused(api: Api) -> None:
    lines = [{"taxable_value": 1}] * 1_700
    documents = [{"number": str(number), "date": "2026-01-19", "lines": lines} for number in range(60)]
    answer = api.client.post(GENERATE, json=sample_body() | {"documents": documents})
    assert (answer.status_code, answer.json()["field"]) == (422, "documents")
    assert "102,000 lines are more than 100,000" in answer.json()["detail"]
