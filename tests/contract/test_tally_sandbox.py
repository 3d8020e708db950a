"""The sandbox's Tally against the samples of Tally's documentation, and against what was measured of real ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree

from sandbox.background import serving
from sandbox.host import create_app
from sandbox.tally import control_routes, seed
from sandbox.tally.control import SWITCHES
from sandbox.tally.exports import whole
from sandbox.vendor import SeedPlan
from tests.contract.tally_vendor import COMPANY

SAMPLES = Path(__file__).parents[1] / "fixtures" / "tally"
WIDE = {"Content-Type": "text/xml; charset=utf-16"}
PLAN = SeedPlan(sizes={"customers": 12, "items": 8, "orders": 36})


@pytest.fixture
def url() -> Iterator[str]:
    with serving(create_app(PLAN, vendors=["tally"])) as found:
        yield found


def ask(url: str, text: str, *, wide: bool = True, timeout: float = 10.0) -> requests.Response:
    body = text.encode("utf-16-le") if wide else text.encode()
    headers = WIDE if wide else {"Content-Type": "text/xml"}
    answer = requests.post(f"{url}/tally", data=body, headers=headers, timeout=timeout)
    assert answer.status_code == 200, "HTTP says 200 to everything"
    return answer


def sample(name: str) -> str:
    """A sample, about our company: `&` in its name is written as XML wants it."""
    return (SAMPLES / f"{name}.xml").read_text().replace("Vkarts Traders", COMPANY.replace("&", "&amp;"))


def parsed(answer: requests.Response) -> Any:
    text = answer.content.decode("utf-16-le" if "utf-16" in answer.headers["Content-Type"] else "utf-8")
    return etree.fromstring(text.replace("&#4;", "").encode())


def tags(element: Any) -> list[str]:
    return [child.tag for child in element]


def door(url: str, path: str, body: Any) -> None:
    requests.post(f"{url}/_sandbox/tally/{path}", json=body, timeout=10).raise_for_status()


def listing(
    kind: str, fetch: str, *, where: str = "", company: str = COMPANY.replace("&", "&amp;"), name: str = "X"
) -> str:
    formula = f'<SYSTEM TYPE="Formulae" NAME="F">{where}</SYSTEM>' if where else ""
    narrowed = "<FILTER>F</FILTER>" if where else ""
    return (
        "<ENVELOPE><HEADER><VERSION>1</VERSION><TALLYREQUEST>EXPORT</TALLYREQUEST><TYPE>Collection</TYPE>"
        f"<ID>{name}</ID></HEADER><BODY><DESC><STATICVARIABLES><SVCURRENTCOMPANY>{company}</SVCURRENTCOMPANY>"
        f'</STATICVARIABLES><TDL><TDLMESSAGE><COLLECTION NAME="X"><TYPE>{kind}</TYPE><FETCH>{fetch}</FETCH>{narrowed}'
        f"</COLLECTION>{formula}</TDLMESSAGE></TDL></DESC></BODY></ENVELOPE>"
    )


# -- the samples -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "/status"])
def test_it_says_that_it_runs(url: str, path: str) -> None:
    assert requests.get(f"{url}/tally{path}", timeout=10).text == sample("response_running").strip()
    assert requests.post(f"{url}/tally/", timeout=10).text == sample("response_running").strip()


def test_stock_items_have_the_shape_of_the_sample(url: str) -> None:
    request = sample("request_stock_items_incremental").replace("&gt; 1200", "&gt; 1")
    answer, wanted = ask(url, request), etree.fromstring(sample("response_stock_items").replace("&#4;", "").encode())
    assert b"&\x00#\x004\x00;\x00 \x00P\x00r\x00i\x00m" in answer.content
    root = parsed(answer)
    assert tags(root) == tags(wanted) == ["HEADER", "BODY"]
    assert root.findtext("HEADER/STATUS") == wanted.findtext("HEADER/STATUS") == "1"
    ours, theirs = root.find("BODY/DATA/COLLECTION/STOCKITEM"), wanted.find("BODY/DATA/COLLECTION/STOCKITEM")
    assert set(ours.attrib) == set(theirs.attrib)
    static = {"GUID", "PARENT", "BASEUNITS", "MASTERID", "ALTERID", "LANGUAGENAME.LIST"}
    for tag in static:
        assert ours.find(tag).attrib == theirs.find(tag).attrib, tag
    assert ours.findtext("ALTERID").startswith(" "), "numbers begin with a blank"
    names = "LANGUAGENAME.LIST/NAME.LIST"
    assert tags(ours.find(names)) == tags(theirs.find(names)) == ["NAME", "NAME"]


def test_companies_are_listed_whatever_company_is_asked_for(url: str) -> None:
    names = [
        row.get("NAME") for row in parsed(ask(url, sample("request_list_of_companies"))).iter("COMPANY") if row.attrib
    ]
    assert names == [COMPANY, "Nilgiri Tools (2019-20)"]


def test_imports_are_answered_as_the_samples_are(url: str) -> None:
    ledger = parsed(ask(url, sample("request_import_ledger")))
    wanted = etree.fromstring(sample("response_import_ok").encode())
    assert (ledger.tag, tags(ledger)) == (wanted.tag, tags(wanted))
    assert (ledger.findtext("CREATED"), ledger.findtext("LASTMID"), ledger.findtext("ERRORS")) == ("1", "0", "0")
    voucher = parsed(ask(url, sample("request_import_sales_voucher")))
    refused = etree.fromstring(sample("response_import_line_error").encode())
    assert tags(voucher) == tags(refused)
    assert voucher.findtext("LINEERROR") == "Ledger 'Service Income' does not exist!"
    assert (voucher.findtext("CREATED"), voucher.findtext("ERRORS")) == ("0", "1")


@pytest.mark.parametrize("text", ["<ENVELOPE>", "<ENVELOPE><A>Ram & Sons</A></ENVELOPE>", "{}", "<A/>"])
def test_what_it_cannot_read_is_an_unknown_request(url: str, text: str) -> None:
    assert ask(url, text, wide=False).text == sample("response_unknown_request").strip()


def test_utf_16_without_saying_so_is_an_unknown_request(url: str) -> None:
    body = sample("request_list_of_companies").encode("utf-16")
    answer = requests.post(f"{url}/tally", data=body, headers={"Content-Type": "text/xml"}, timeout=10)
    assert answer.text == sample("response_unknown_request").strip()


# -- what was measured -------------------------------------------------------------------------------------------------


def test_the_charset_of_the_request_is_that_of_the_answer(url: str) -> None:
    request = listing("Ledger", "NAME")
    wide, narrow = ask(url, request), ask(url, request, wide=False)
    assert wide.headers["Content-Type"] == "text/xml; charset=utf-16" and not wide.content.startswith(b"\xff\xfe")
    assert "दिल्ली ₹ हार्डवेयर" in wide.content.decode("utf-16-le")
    lost = "".join(" " if char == " " else "?" for char in "दिल्ली ₹ हार्डवेयर")
    assert f"HOSTILE {lost}" in narrow.content.decode(), "outside of its code page all is lost"
    assert "Söhne" in narrow.content.decode()


def test_a_company_that_is_not_open_reads_as_empty_and_is_refused_for_imports(url: str) -> None:
    empty = parsed(ask(url, listing("Ledger", "NAME", company="Nilgiri Holdings")))
    assert empty.findtext("HEADER/STATUS") == "1" and len(empty.find("BODY/DATA/COLLECTION")) == 0
    refused = parsed(
        ask(url, sample("request_import_ledger").replace(COMPANY.replace("&", "&amp;"), "Nilgiri Holdings"))
    )
    assert refused.findtext("BODY/DATA/LINEERROR") == "Could not set 'SVCurrentCompany' to 'Nilgiri Holdings'"


def test_the_counters_beside_the_data_are_no_counts(url: str) -> None:
    root = parsed(ask(url, listing("Voucher", "GUID")))
    assert root.findtext("BODY/DESC/CMPINFO/VOUCHER") == "0" and len(root.find("BODY/DATA/COLLECTION")) > 20


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("$ALTERID &gt; 30 AND $ALTERID &lt;= 33", lambda row: row in (31, 32, 33)),
        ("NOT ($ALTERID &gt; 3) OR $ALTERID = 5", lambda row: row in (1, 2, 3, 5)),
        ('$$IsEqual:$VoucherTypeName:"Sales Order" AND $Date &gt;= $$Date:"19000101"', lambda row: 1 <= row <= 12),
    ],
)
def test_filters_hold_as_they_say(url: str, where: str, holds: Any) -> None:
    rows = parsed(ask(url, listing("Voucher", "ALTERID", where=where))).iter("ALTERID")
    found = [int(row.text) for row in rows]
    assert found and all(holds(row) for row in found)


def test_one_dotted_step_is_fetched_and_no_deeper_one(url: str) -> None:
    fetch = "ALLLEDGERENTRIES.AMOUNT,ALLLEDGERENTRIES.BILLALLOCATIONS.NAME"
    first = parsed(ask(url, listing("Voucher", fetch))).find("BODY/DATA/COLLECTION/VOUCHER")
    assert {child.tag for entry in first.findall("ALLLEDGERENTRIES.LIST") for child in entry} == {"AMOUNT"}


@pytest.mark.parametrize(
    "request_",
    [
        listing("Nonsense", "NAME"),
        listing("Ledger", "NAME", name="Day Book"),
        listing("Ledger", "NAME", where="$$Boom:1"),
    ],
)
def test_a_mistake_in_tdl_hangs_it_until_somebody_clicks(url: str, request_: str) -> None:
    with pytest.raises(requests.ReadTimeout):
        ask(url, request_, timeout=0.3)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{url}/tally/status", timeout=0.3)
    door(url, "switches", {"modal": False})
    assert "Running" in requests.get(f"{url}/tally/status", timeout=5).text


def test_it_serves_one_after_the_other(url: str) -> None:
    door(url, "switches", {"latency_s": 0.15})
    ended: list[float] = []

    def once() -> None:
        requests.get(f"{url}/tally", timeout=10)
        ended.append(time.monotonic())

    threads = [threading.Thread(target=once) for _ in range(4)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(ended) - started >= 4 * 0.15


def test_the_envelope_of_erp_9_still_works(url: str) -> None:
    old = (
        "<ENVELOPE><HEADER><TALLYREQUEST>Import Data</TALLYREQUEST></HEADER><BODY><IMPORTDATA><REQUESTDESC>"
        "<REPORTNAME>All Masters</REPORTNAME></REQUESTDESC><REQUESTDATA><TALLYMESSAGE><UNIT NAME='Doz' ACTION='Create'>"
        "<NAME>Doz</NAME></UNIT></TALLYMESSAGE></REQUESTDATA></IMPORTDATA></BODY></ENVELOPE>"
    )
    assert parsed(ask(url, old)).findtext("CREATED") == "1"


def test_vouchers_sent_twice_are_doubled_unless_their_remote_id_is_known(url: str) -> None:
    voucher = (
        "<ENVELOPE><HEADER><VERSION>1</VERSION><TALLYREQUEST>Import</TALLYREQUEST><TYPE>Data</TYPE><ID>Vouchers</ID>"
        "</HEADER><BODY><DESC/><DATA><TALLYMESSAGE><VOUCHER {} VCHTYPE='Receipt' ACTION='Create'><DATE>20260401</DATE>"
        "<ALLLEDGERENTRIES.LIST><LEDGERNAME>Cash</LEDGERNAME><AMOUNT>0</AMOUNT></ALLLEDGERENTRIES.LIST></VOUCHER>"
        "</TALLYMESSAGE></DATA></BODY></ENVELOPE>"
    )
    assert [parsed(ask(url, voucher.format(""))).findtext("CREATED") for _ in range(2)] == ["1", "1"]
    known = voucher.format("REMOTEID='abc'")
    assert [parsed(ask(url, known)).findtext(tag) for tag in ("CREATED", "ALTERED")] == ["1", "1"]


def test_the_same_seed_gives_the_same_books_and_another_one_does_not() -> None:
    def books(number: int) -> list[Any]:
        office = seed(SeedPlan(seed=number, sizes=PLAN.sizes))
        return [
            (one.name, [whole(thing) for kind in one.things.values() for thing in kind.values()])
            for one in office.companies
        ]

    assert books(7) == books(7) != books(8)


def test_every_route_and_switch_of_the_side_door_is_described() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")
    section = page.partition("## Tally\n")[2].partition("\n## ")[0]
    words = {route.path.strip("/") for route in control_routes(seed(PLAN))} | set(SWITCHES)
    assert [word for word in sorted(words) if f"{word}`" not in section] == []


def test_the_books_are_believable() -> None:
    office = seed(SeedPlan())
    totals = {entity: counts["records"] for entity, counts in office.expected.items()}
    assert totals["customer"] >= 500 and totals["product"] >= 200
    assert totals["order"] + totals["invoice"] + totals["payment"] >= 800
