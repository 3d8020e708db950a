"""The pages on the API, line by line, in a shell with curl, against a server that listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from erpflow.api.rights import Right
from tests.calling import Api
from tests.contract.aws_documents import pdf
from tests.integration.conftest import API_KEY, API_SECRET, Installation, Sandbox
from tests.messaging import API_KEY as SENDGRID_KEY
from tests.pages import listening, run_page


@pytest.fixture
def variables(api: Api, sandbox: Sandbox, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What a reader has exported, with the API on a real socket."""
    bill = tmp_path / "bill.pdf"
    bill.write_bytes(pdf())
    with listening(api.client.app) as address:
        api.serves_at(address)
        yield {
            "ERP": f"{address}/api/erp",
            "KEY": api.key(*Right),
            "SITE": sandbox.erpnext,
            "SITE_KEY": API_KEY,
            "SITE_SECRET": API_SECRET,
            "DATABASE": api.database.url,
            "SENDGRID": f"{sandbox.url}/sendgrid",
            "SENDGRID_KEY": SENDGRID_KEY,
            "RAZORPAY": f"{sandbox.url}/razorpay",
            "RAZORPAY_KEY": "rzp_test_SandboxKey0001",
            "RAZORPAY_SECRET": "sandbox-razorpay-test-secret",
            "PLAN": requests.get(f"{sandbox.url}/_sandbox/razorpay/rows", timeout=10).json()["plans"][0]["id"],
            "TEXTRACT": f"{sandbox.url}/aws_textract",
            "AWS_KEY": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "BILL": str(bill),
            "PRIVATE": "true",
        }


@pytest.fixture
def site_without_webhooks(sandbox: Sandbox) -> Iterator[None]:
    """Takes away what a page sets up at the site, so that it calls nobody afterwards."""
    yield
    where = f"{sandbox.erpnext}/api/resource/Webhook"
    signed = {"Authorization": f"token {API_KEY}:{API_SECRET}"}
    listed = requests.get(where, params={"limit_page_length": "0"}, headers=signed, timeout=10).json()["data"]
    for row in listed:
        requests.delete(f"{where}/{quote(row['name'], safe='')}", headers=signed, timeout=10).raise_for_status()


def test_the_tutorial_runs_as_it_is_written(api: Api, installation: Installation, variables: dict[str, str]) -> None:
    ran = run_page("tutorial-api.md", variables, cwd=installation.home)
    assert ran.status == 0, ran.out + ran.err
    assert '{"items":[],"next":null}' in ran.out
    assert "active\n" in ran.out
    assert "updated\n" in ran.out
    assert installation.rows("SELECT count(*) FROM app.customers WHERE name = 'Renamed by the tutorial'") == [(1,)]
    assert API_SECRET not in ran.out + ran.err


@pytest.mark.usefixtures("site_without_webhooks")
def test_the_guide_runs_as_it_is_written(api: Api, installation: Installation, variables: dict[str, str]) -> None:
    ran = run_page("api.md", variables, cwd=installation.home)
    assert ran.status == 0, ran.out + ran.err
    assert '"field":"system"' in ran.out
    assert "merged\n2\n" in ran.out  # one conflict field by field, the rest in bulk
    assert "accepted\n[]\n" in ran.out  # a mail, sent twice and taken once
    assert "event: sync_closed\n" in ran.out  # of the sync that the reader of the stream did not see
    assert installation.rows("SELECT count(*) FROM app.customers WHERE tax_number = 'DECIDED-BY-A-PERSON'") == [(1,)]
    assert installation.rows("SELECT count(*) FROM app.customers WHERE tax_number = 'OURS'") == [(0,)]
    assert "('TOTAL', '122,00 €', '122.00', 'EUR')\n" in ran.out
    assert "https://rzp.io/i/" in ran.out and "True\n[]\n" in ran.out
    assert installation.rows("SELECT count(*) FROM erpflow.erp_connections") == [(0,)]
    assert API_SECRET not in ran.out + ran.err
