"""The sandbox's GST portal as its API is published: sessions, both modes, rows checked one by one, filed once.

There is no official client: a plain HTTP client and an encryption of its own send what the API's pages show.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.contract.sandboxes import sandbox

TESTS = Path(__file__).parents[1]
SAMPLE = json.loads((TESTS / "golden" / "gstr1" / "sample_return.json").read_text())
OWN, PERIOD, PAN = "29AABCV1234M1Z5", "012026", "AABCV1234M"
ROOT = "/gst_portal/taxpayerapi/v4.0"


def aes(data: bytes, key: bytes) -> str:
    padder, encryptor = PKCS7(128).padder(), Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305  (the portal's choice)
    return base64.b64encode(encryptor.update(padder.update(data) + padder.finalize())).decode()


def unaes(text: str, key: bytes) -> bytes:
    unpadder, decryptor = PKCS7(128).unpadder(), Cipher(algorithms.AES(key), modes.ECB()).decryptor()  # noqa: S305  (the portal's choice)
    return unpadder.update(decryptor.update(base64.b64decode(text))) + unpadder.finalize()


def signed(data: bytes, key: bytes) -> str:
    return base64.b64encode(hmac.new(key, data, hashlib.sha256).digest()).decode()


class Client:
    """What anybody could write after reading the API's pages; in plain mode unless it has a key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.headers = {
            "clientid": "sandbox-gsp-client", "client-secret": "sandbox-gsp-secret", "state-cd": "29",
            "ip-usr": "10.0.0.1", "txn": "a" * 32, "username": "sandbox.karnataka", "gstin": OWN,
        }  # fmt: skip
        self.key: bytes | None = None
        self.door("reset", vendor="gst_portal")
        self.door("gst_portal/switches", polls=0)

    def door(self, door: str, /, **body: Any) -> None:
        self.session.post(f"{self.url}/_sandbox/{door}", json=body, timeout=30).raise_for_status()

    def ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        answer = self.session.request(method, f"{self.url}{ROOT}{path}", headers=self.headers, timeout=30, **options)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def sign_in(self) -> None:
        assert self.auth(action="OTPREQUEST") == {"status_cd": "1"}
        self.headers["auth-token"] = self.auth(action="AUTHTOKEN", otp="575757")["auth_token"]

    def auth(self, **body: Any) -> dict[str, Any]:
        return self.ask("POST", "/authenticate", json={"username": "sandbox.karnataka", **body})

    def sign_in_encrypted(self) -> None:
        pem = self.session.get(f"{self.url}/_sandbox/gst_portal/public-key", timeout=30).json()["public_key"]
        public: Any = load_pem_public_key(pem.encode())
        app_key = os.urandom(32)
        told = base64.b64encode(public.encrypt(app_key, PKCS1v15())).decode()
        assert self.auth(action="OTPREQUEST", app_key=told)["status_cd"] == "1"
        token = self.auth(action="AUTHTOKEN", app_key=told, otp=aes(b"575757", app_key))
        self.headers["auth-token"], self.key = token["auth_token"], unaes(token["sek"], app_key)

    def write(self, method: str, path: str, action: str, data: Any, **more: Any) -> dict[str, Any]:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        if self.key is None:
            text = json.dumps({"action": action, **more})[:-1].encode() + b',"data":' + raw + b"}"
            return self.ask(method, path, data=text)
        coded = base64.b64encode(raw)
        body = {"action": action, "data": aes(coded, self.key), "hmac": signed(coded, self.key), **more}
        return self.opened(self.ask(method, path, json=body))

    def read(self, path: str, action: str, **query: str) -> dict[str, Any]:
        return self.opened(
            self.ask("GET", path, params={"action": action, "gstin": OWN, "ret_period": PERIOD, **query})
        )

    def opened(self, answer: dict[str, Any]) -> dict[str, Any]:
        if self.key is None or answer["status_cd"] == "0":
            return answer
        rek = unaes(answer["rek"], self.key)
        coded = unaes(answer["data"], rek)
        assert answer["hmac"] == signed(coded, rek)
        return {"status_cd": "1", "data": json.loads(base64.b64decode(coded))}

    def save(self, **sections: Any) -> dict[str, Any]:
        """What came of saving sections."""
        answer = self.write("PUT", "/returns/gstr1", "RETSAVE", {"gstin": OWN, "fp": PERIOD, **sections})
        return self.status(answer["data"]["reference_id"])

    def status(self, reference: str) -> dict[str, Any]:
        return dict(self.read("/returns", "RETSTATUS", ref_id=reference)["data"])

    def about(self) -> dict[str, str]:
        return {"gstin": OWN, "ret_period": PERIOD}

    def proceed(self, isnil: str = "N") -> dict[str, Any]:
        return self.write("POST", "/returns/gstrptf", "RETNEWPTF", {**self.about(), "isnil": isnil})

    def summary(self) -> bytes:
        """In plain mode, byte for byte."""
        query = {"action": "RETSUM", **self.about()}
        answer = self.session.get(f"{self.url}{ROOT}/returns/gstr1", params=query, headers=self.headers, timeout=30)
        return answer.content.removeprefix(b'{"status_cd":"1","data":').removesuffix(b"}")

    def file(self, summary: bytes, otp: str = "121212") -> dict[str, Any]:
        sid = f"{PAN}|{otp}"
        more = {"st": "EVC", "sid": sid, "sign": signed(base64.b64encode(summary), sid.encode())}
        return self.write("POST", "/returns/gstr1", "RETFILE", summary, **more)

    def evc(self) -> dict[str, Any]:
        return self.ask(
            "GET", "/authenticate", params={"action": "EVCOTP", "gstin": OWN, "pan": PAN, "form_type": "R1"}
        )


@pytest.fixture(scope="module")
def portal_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox("gst_portal", folder=tmp_path_factory.mktemp("gst_portal")) as url:
        yield url


@pytest.fixture
def client(portal_url: str) -> Client:
    found = Client(portal_url)
    found.sign_in()
    return found


def code(answer: dict[str, Any]) -> str:
    assert answer["status_cd"] == "0", answer
    return str(answer["error"]["error_cd"])


def sample(section: str) -> Any:
    return deepcopy(SAMPLE[section])


def test_a_session_takes_the_otp_that_was_asked_for(portal_url: str) -> None:
    client = Client(portal_url)
    assert code(client.read("/returns/gstr1", "RETSUM")) == "AUTH4033"
    assert code(client.auth(action="AUTHTOKEN", otp="575757")) == "AUTH158"
    client.auth(action="OTPREQUEST")
    assert code(client.auth(action="AUTHTOKEN", otp="000000")) == "AUTH4034"
    token = client.auth(action="AUTHTOKEN", otp="575757")
    assert (token["status_cd"], token["expiry"]) == ("1", 360)


@pytest.mark.parametrize(
    ("header", "value", "wanted"),
    [
        ("client-secret", "wrong", "AUTH113"),
        ("ip-usr", "", "AUTH117"),
        ("txn", "short", "AUTH119"),
        ("username", "sandbox.maharashtra", "RET11402"),
        ("state-cd", "27", "RET11402"),
    ],
)
def test_headers_are_checked(client: Client, header: str, value: str, wanted: str) -> None:
    client.headers[header] = value
    assert code(client.read("/returns/gstr1", "RETSUM")) == wanted


def test_a_session_ends_and_can_be_renewed_before(client: Client) -> None:
    before = client.headers["auth-token"]
    renewed = client.auth(action="REFRESHTOKEN", auth_token=before)["auth_token"]
    assert code(client.read("/returns/gstr1", "RETSUM")) == "AUTH4033"
    client.headers["auth-token"] = renewed
    assert client.read("/returns/gstr1", "RETSUM")["status_cd"] == "1"
    client.door("gst_portal/end-sessions")
    assert code(client.read("/returns/gstr1", "RETSUM")) == "AUTH4033"


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_the_whole_way_of_the_sample_return(portal_url: str, is_encrypted: bool) -> None:
    client = Client(portal_url)
    client.sign_in_encrypted() if is_encrypted else client.sign_in()
    sections = {name: rows for name, rows in SAMPLE.items() if name not in ("gstin", "fp")}
    assert client.save(**sections) == {"form_typ": "R1", "status_cd": "P", "action": "SAVE"}
    assert client.status(client.proceed()["data"]["reference_id"])["status_cd"] == "P"
    summary = client.read("/returns/gstr1", "RETSUM")["data"]
    published = json.loads((TESTS / "fixtures/gstr1/flow_samples.json").read_text())["summary_response"]["data"]
    names = {each["sec_nm"]: each for each in published["sec_sum"] if each["sec_nm"] != "DOC_ISSUE"}
    found = {each["sec_nm"]: each for each in summary["sec_sum"]}
    for name, wanted in names.items():
        assert {key: found[name][key] for key in wanted if key != "chksum"} == {
            key: value for key, value in wanted.items() if key != "chksum"
        }


def test_what_is_worked_on_says_so_for_a_while(client: Client) -> None:
    client.door("gst_portal/switches", polls=2)
    answer = client.write("PUT", "/returns/gstr1", "RETSAVE", {"gstin": OWN, "fp": PERIOD, "b2b": sample("b2b")})
    reference = answer["data"]["reference_id"]
    assert [client.status(reference)["status_cd"] for _ in range(3)] == ["IP", "IP", "P"]
    assert code(client.read("/returns", "RETSTATUS", ref_id="nothing")) == "RET13510"


def test_bad_rows_are_named_and_good_ones_kept(client: Client) -> None:
    rows = sample("b2b")
    rows[0]["inv"][0]["itms"][0]["itm_det"]["rt"] = 17
    came = client.save(b2b=rows)
    assert came["status_cd"] == "PE"
    (group,) = came["error_report"]["b2b"]
    assert (group["ctin"], group["error_cd"]) == ("27AAECE5678K1Z3", "RET191175")
    assert group["inv"] == rows[0]["inv"]
    kept = client.read("/returns/gstr1", "B2B")["data"]["b2b"]
    assert [group["ctin"] for group in kept] == ["29AAFCB4321P1ZD"]


def changed(section: str, *path: Any, value: Any) -> dict[str, Any]:
    rows = sample(section)
    place = rows
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return {section: rows}


@pytest.mark.parametrize(
    ("sections", "wanted"),
    [
        (changed("b2b", 0, "ctin", value="27AAECE5678K1Z4"), "RET191113"),
        (changed("b2b", 0, "inv", 0, "inum", value="A" * 17), "RET191112"),
        (changed("b2b", 0, "inv", 0, "idt", value="19/01/2026"), "RET191114"),
        (changed("b2b", 0, "inv", 0, "idt", value="01-02-2026"), "RET191114"),
        (changed("b2b", 0, "inv", 0, "pos", value="28"), "RET191114"),
        (changed("b2b", 0, "inv", 0, "itms", 0, "itm_det", "rt", value=12), "RET191175"),
        (changed("b2b", 0, "inv", 0, "itms", 0, "itm_det", "iamt", value=2161.0), "RET191133"),
        (changed("b2b", 1, "inv", 0, "itms", 0, "itm_det", "samt", value=899.0), "RET191133"),
        (changed("b2cl", 0, "inv", 0, "val", value=100000), "RET191144"),
        (changed("b2cs", 0, "rt", value=7), "RET191175"),
        (changed("hsn", "hsn_b2b", 0, "hsn_sc", value="8504"), "RET191350"),
        (changed("hsn", "hsn_b2b", 0, "uqc", value="XYZ"), "RET191353"),
        (changed("hsn", "hsn_b2b", 2, "qty", value=3), "RET191355"),
        (changed("hsn", "data", value=[]), "RET191106"),
    ],
)
def test_each_row_is_checked(client: Client, sections: dict[str, Any], wanted: str) -> None:
    came = client.save(**sections)
    assert came["status_cd"] == "PE"
    (group,) = next(iter(came["error_report"].values()))
    assert group["error_cd"] == wanted


def test_four_digits_do_up_to_five_crore(client: Client) -> None:
    client.door("gst_portal/switches", small=True)
    assert client.save(**changed("hsn", "hsn_b2b", 0, "hsn_sc", value="8504"))["status_cd"] == "P"


def test_what_is_no_payload_is_an_error_as_a_whole(client: Client) -> None:
    came = client.save(b2b=[{"inv": 7}])
    assert (came["status_cd"], came["error_report"]["error_cd"]) == ("ER", "RET191106")


def test_a_row_with_the_same_number_replaces_and_a_flag_deletes(client: Client) -> None:
    client.save(b2b=sample("b2b"))
    rows = sample("b2b")[:1]
    rows[0]["inv"][0]["val"] = 18_937.5
    client.save(b2b=rows)
    kept = {group["ctin"]: group["inv"] for group in client.read("/returns/gstr1", "B2B")["data"]["b2b"]}
    assert [each["val"] for each in kept["27AAECE5678K1Z3"]] == [18_937.5] and len(kept) == 2
    assert len(kept["27AAECE5678K1Z3"][0]["chksum"]) == 64
    rows[0]["inv"][0]["flag"] = "D"
    client.save(b2b=rows)
    assert [group["ctin"] for group in client.read("/returns/gstr1", "B2B")["data"]["b2b"]] == ["29AAFCB4321P1ZD"]


def test_a_reset_wipes_what_is_saved(client: Client) -> None:
    client.save(b2b=sample("b2b"))
    answer = client.write("POST", "/returns/gstr1", "RESET", client.about())
    assert client.status(answer["data"]["reference_id"])["status_cd"] == "P"
    assert code(client.read("/returns/gstr1", "B2B")) == "RET11416"


def test_a_return_is_filed_once_and_only_with_its_latest_summary(client: Client) -> None:
    client.save(b2b=sample("b2b"))
    assert code(client.file(client.summary())) == "RET09001"  # not made ready
    client.proceed()
    assert code(client.proceed()) == "RET00003"
    assert code(client.file(client.summary())) == "OTP0003"  # no OTP was asked for
    client.evc()
    assert code(client.file(client.summary(), otp="000000")) == "OTP0003"
    assert code(client.file(client.summary().replace(b"2387.5", b"2387.0"))) == "RET09001"
    old = client.summary()
    client.save(b2cl=sample("b2cl"))
    assert code(client.file(old)) == "RET09001"
    client.proceed()
    assert code(client.read("/returns", "RETTRACK", type="R1")) == "RET11417"
    number = client.file(client.summary())["data"]["ack_num"]
    (filed,) = client.read("/returns", "RETTRACK", type="R1")["data"]["EFiledlist"]
    assert (filed["arn"], filed["ret_prd"]) == (number, PERIOD) and number.startswith("AA290126")
    assert code(client.file(client.summary())) == "RET12521"
    rows = {"gstin": OWN, "fp": PERIOD, "b2b": sample("b2b")}
    assert code(client.write("PUT", "/returns/gstr1", "RETSAVE", rows)) == "RET12521"


def test_a_document_that_was_filed_cannot_be_saved_for_another_period(client: Client) -> None:
    client.save(b2b=sample("b2b"))
    client.proceed()
    client.evc()
    client.file(client.summary())
    payload = {"gstin": OWN, "fp": "022026", "b2b": sample("b2b")}
    reference = client.write("PUT", "/returns/gstr1", "RETSAVE", payload)["data"]["reference_id"]
    came = client.read("/returns", "RETSTATUS", ref_id=reference, ret_period="022026")["data"]
    assert [group["error_cd"] for group in came["error_report"]["b2b"]] == ["RET191134", "RET191134"]


@pytest.mark.parametrize(
    ("period", "wanted"), [("012022", "RET191140"), ("012090", "RET191114"), ("2026-1", "RET191106")]
)
def test_periods_that_cannot_be_filed_are_refused(client: Client, period: str, wanted: str) -> None:
    assert code(client.write("PUT", "/returns/gstr1", "RETSAVE", {"gstin": OWN, "fp": period})) == wanted


def test_the_answer_to_a_filing_can_be_lost_and_the_return_is_filed(client: Client) -> None:
    client.save(b2b=sample("b2b"))
    client.proceed()
    client.evc()
    client.door("gst_portal/switches", lose_filing=True)
    with pytest.raises(AssertionError, match="504"):
        client.file(client.summary())
    assert client.read("/returns", "RETTRACK", type="R1")["data"]["EFiledlist"][0]["status"] == "Filed"


def test_a_body_that_was_changed_on_the_way_is_refused(portal_url: str) -> None:
    client = Client(portal_url)
    client.sign_in_encrypted()
    assert client.key is not None
    coded = base64.b64encode(json.dumps(client.about()).encode())
    body = {"action": "RESET", "data": aes(coded, client.key), "hmac": signed(coded + b"x", client.key)}
    assert code(client.ask("POST", "/returns/gstr1", json=body)) == "RET191106"
    body["data"] = aes(coded, os.urandom(32))
    assert code(client.ask("POST", "/returns/gstr1", json=body)) == "RET191106"
