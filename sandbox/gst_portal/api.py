"""The portal's HTTP surface, as a GSP passes it on. Every answer is 200 with a `status_cd`, also a refusal."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.gst_portal import envelope
from sandbox.gst_portal.portal import CLIENTS, EVC_OTP, OTP, PANS, Portal, Session, checksum
from sandbox.gst_portal.refusal import Refusal
from sandbox.gst_portal.rows import LISTS, save
from sandbox.gst_portal.summary import summary
from sandbox.vendor import ASGIApp, app_of

log = logging.getLogger("sandbox.gst_portal")

# Versions differ by operation: any is taken.
PATH = re.compile(r"/?taxpayerapi/v[0-9.]+/(authenticate|returns|returns/gstr1|returns/gstrptf)")
PERIOD = re.compile(r"(0[1-9]|1[0-2])20[0-9]{2}")
LARGEST = 5 * 1024 * 1024
GATEWAY = "<html><body><h1>504 Gateway Time-out</h1></body></html>"
READS = {"B2B": "b2b", "B2CL": "b2cl", "B2CS": "b2cs", "CDNR": "cdnr", "CDNUR": "cdnur", "EXP": "exp", "NIL": "nil",
         "HSNSUM": "hsn", "DOCISS": "doc_issue"}  # fmt: skip

Answer = tuple[bytes, Session | None]


class Lost(Exception):
    """The work is done and its answer goes astray."""


def create_app(portal: Portal) -> ASGIApp:
    """The portal as an ASGI application."""

    async def answered(request: Request) -> Response:
        return _answered(portal, request, await request.body())

    return app_of(answered)


def _answered(portal: Portal, request: Request, body: bytes) -> Response:
    try:
        return _handle(portal, request, body)
    except Refusal as refusal:
        error = {"error_cd": refusal.code, "message": refusal.message}
        return JSONResponse({"status_cd": "0", "error": error})
    except Lost:
        return Response(GATEWAY, status_code=504, media_type="text/html")
    except (KeyError, TypeError, AttributeError, ValueError):
        log.exception("%s %s holds what the sandbox did not foresee", request.method, request.url.path)
        return JSONResponse(
            {"status_cd": "0", "error": {"error_cd": "RET191106", "message": "JSON structure is not valid"}}
        )


def _handle(portal: Portal, request: Request, body: bytes) -> Response:
    matched = PATH.fullmatch(request.scope["path"])
    if matched is None:
        return JSONResponse({"message": "no such path"}, status_code=404)
    gstin = _identified(portal, request.headers)
    given = _json(body) if body else {}
    action = str(given.get("action") or request.query_params.get("action") or "")
    portal.count(action)
    if matched[1] == "authenticate" and request.method == "POST":
        return JSONResponse({"status_cd": "1", **_authenticate(portal, gstin, action, given)})
    session = portal.session(request.headers.get("auth-token"), gstin)
    if request.method == "GET":
        data = _GETS.get((matched[1], action), _read_back)(portal, gstin, request.query_params)
    else:
        raw = _data(body, given, session)
        write = _WRITES.get((request.method, matched[1], action))
        if write is None:
            raise Refusal("RET11400", f"There is no action {action} here")
        data = write(portal, gstin, given, raw)
    if session.key is None:
        return Response(b'{"status_cd":"1","data":' + data + b"}", media_type="application/json")
    return JSONResponse({"status_cd": "1", **envelope.sealed(data, session.key)})


def _identified(portal: Portal, headers: Mapping[str, str]) -> str:
    """Whose request it is: the GSTIN of its headers."""
    if CLIENTS.get(headers.get("clientid", "")) != headers.get("client-secret"):
        raise Refusal("AUTH113", "The client id or secret is invalid")
    for name in ("state-cd", "ip-usr", "username", "gstin"):
        if not headers.get(name):
            raise Refusal("AUTH117", f"The header {name} is missing")
    if not re.fullmatch(r"[0-9A-Za-z]{32}", headers.get("txn", "")):
        raise Refusal("AUTH119", "The header txn is not 32 characters")
    gstin = headers["gstin"]
    if portal.taxpayers.get(headers["username"]) != gstin or headers["state-cd"] != gstin[:2]:
        raise Refusal("RET11402", "The user is not authorised for this GSTIN")
    return gstin


def _authenticate(portal: Portal, gstin: str, action: str, given: dict[str, Any]) -> dict[str, Any]:
    if action == "OTPREQUEST":
        key = envelope.app_key(given["app_key"]) if given.get("app_key") else None
        portal.app_keys[gstin] = key
        return {}
    if action == "AUTHTOKEN":
        if gstin not in portal.app_keys:
            raise Refusal("AUTH158", "Request an OTP first")
        key = portal.app_keys[gstin]
        otp = given.get("otp", "") if key is None else envelope.unaes(given.get("otp", ""), key).decode()
        if otp != OTP:
            raise Refusal("AUTH4034", "Invalid OTP")
        del portal.app_keys[gstin]
        return _token(portal, gstin, key)
    if action == "REFRESHTOKEN":
        session = portal.session(given.get("auth_token"), gstin)
        key = None
        if session.key is not None:
            key = envelope.unaes(given["app_key"], session.key)
        return _token(portal, gstin, key)
    raise Refusal("AUTH119", f"There is no action {action} here")


def _token(portal: Portal, gstin: str, app_key: bytes | None) -> dict[str, Any]:
    key = None if app_key is None else portal.lots.randbytes(envelope.KEY_LENGTH)
    token = portal.open(gstin, key)
    sek = "" if key is None or app_key is None else envelope.coded(envelope.aes(key, app_key))
    return {"auth_token": token, "sek": sek, "expiry": portal.switches.session_minutes}


def _data(body: bytes, given: dict[str, Any], session: Session) -> bytes:
    """What a write carries; in plain mode the very bytes of its `data`."""
    if session.key is not None:
        return envelope.opened(given, session.key)
    matched = re.search(rb'"data"\s*:\s*', body)
    if matched is None:
        raise Refusal("RET191106", "There is no data")
    text = body[matched.end() :].decode()
    _, end = json.JSONDecoder().raw_decode(text)
    return text[:end].encode()


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        raise Refusal("RET191106", "The body is not JSON") from None
    if not isinstance(found, dict):
        raise Refusal("RET191106", "The body is not an object")
    return found


def _encoded(**members: Any) -> bytes:
    return json.dumps(members).encode()


# -- writes -----------------------------------------------------------------------------------------------------------


def _save(portal: Portal, gstin: str, _given: dict[str, Any], raw: bytes) -> bytes:
    payload = _json(raw)
    period = _period(payload.get("fp"))
    if payload.get("gstin") != gstin:
        raise Refusal("RET11402", "The GSTIN of the data is not that of the session")
    if len(raw) > LARGEST:
        raise Refusal("RET191106", "The data is larger than 5 MB")
    _check_open(portal, gstin, period)
    filing = portal.filing(gstin, period)
    try:
        report = save(portal, filing, payload, period)
    except (KeyError, TypeError, AttributeError, ValueError):
        report = {"error_cd": "RET191106", "error_msg": "JSON structure is not valid"}
    status = "P" if not report else "ER" if "error_cd" in report else "PE"
    return _encoded(reference_id=portal.work(gstin, period, "SAVE", status, report or None))


def _check_open(portal: Portal, gstin: str, period: str) -> None:
    """That a period has begun, is not older than three years, and is not filed."""
    today = portal.today()
    year, month = int(period[2:]), int(period[:2])
    if (year, month) > (today.year, today.month):
        raise Refusal("RET191114", "The period has not begun")
    if (today.year - year) * 12 + today.month - month > 37:
        raise Refusal("RET191140", "Returns older than three years are barred")
    if portal.filing(gstin, period).arn:
        raise Refusal("RET12521", "The return is already filed")


def _reset(portal: Portal, gstin: str, _given: dict[str, Any], raw: bytes) -> bytes:
    period = _period(_json(raw).get("ret_period"))
    _check_open(portal, gstin, period)
    filing = portal.filing(gstin, period)
    filing.sections, filing.is_ready = {}, False
    return _encoded(reference_id=portal.work(gstin, period, "RESET", "P"))


def _proceed(portal: Portal, gstin: str, _given: dict[str, Any], raw: bytes) -> bytes:
    about = _json(raw)
    period = _period(about.get("ret_period"))
    _check_open(portal, gstin, period)
    filing = portal.filing(gstin, period)
    if filing.is_ready:
        raise Refusal("RET00003", "The return is already ready to file")
    has_rows = any(filing.sections.values())
    if has_rows == (about.get("isnil") == "Y"):
        raise Refusal("RET191106", "isnil says the contrary of what is saved")
    filing.is_ready = True
    return _encoded(reference_id=portal.work(gstin, period, "PROCEEDFILE", "P"))


def _file(portal: Portal, gstin: str, given: dict[str, Any], raw: bytes) -> bytes:
    period = _period(_json(raw).get("ret_period"))
    filing = portal.filing(gstin, period)
    if filing.arn:
        raise Refusal("RET12521", "The return is already filed")
    if not filing.is_ready or raw != summary(portal, filing, gstin=gstin, period=period):
        raise Refusal("RET09001", "Latest summary is not available: get the summary again")
    pan, _, otp = str(given.get("sid", "")).partition("|")
    if given.get("st") != "EVC" or PANS.get(pan) != gstin:
        raise Refusal("RET11402", "The PAN is not of a signatory of this GSTIN")
    if gstin not in portal.evc_asked or otp != EVC_OTP:
        raise Refusal("OTP0003", "The EVC OTP is invalid")
    if given.get("sign") != envelope.signed(envelope.coded(raw).encode(), f"{pan}|{otp}".encode()):
        raise Refusal("RET191106", "The signature is not that of the summary")
    portal.evc_asked.discard(gstin)
    number = portal.file(gstin, period)
    if portal.switches.lose_filing:
        portal.switches.lose_filing = False
        raise Lost
    return _encoded(ack_num=number)


# -- reads ------------------------------------------------------------------------------------------------------------


def _status(portal: Portal, gstin: str, query: Mapping[str, str]) -> bytes:
    job = portal.jobs.get(query.get("ref_id", ""))
    if job is None or job.gstin != gstin or job.period != query.get("ret_period"):
        raise Refusal("RET13510", "No such reference")
    if job.polls > 0:
        job.polls -= 1
        return _encoded(form_typ="R1", status_cd="IP", action=job.action)
    more = {} if job.report is None else {"error_report": job.report}
    return _encoded(form_typ="R1", status_cd=job.status, action=job.action, **more)


def _summary(portal: Portal, gstin: str, query: Mapping[str, str]) -> bytes:
    period = _period(query.get("ret_period"))
    return summary(portal, portal.filing(gstin, period), gstin=gstin, period=period)


def _track(portal: Portal, gstin: str, query: Mapping[str, str]) -> bytes:
    period = _period(query.get("ret_period"))
    filing = portal.filing(gstin, period)
    if filing.arn is None or filing.filed_at is None:
        raise Refusal("RET11417", "No filed return was found")
    filed = {"arn": filing.arn, "ret_prd": period, "dof": f"{filing.filed_at:%d-%m-%Y}", "rtntype": "GSTR1",
             "mof": "ONLINE", "status": "Filed", "valid": "Y"}  # fmt: skip
    return _encoded(EFiledlist=[filed])


def _evc(portal: Portal, gstin: str, query: Mapping[str, str]) -> bytes:
    if PANS.get(query.get("pan", "")) != gstin:
        raise Refusal("RET11402", "The PAN is not of a signatory of this GSTIN")
    portal.evc_asked.add(gstin)
    return _encoded(message="The OTP was sent")


def _read_back(portal: Portal, gstin: str, query: Mapping[str, str]) -> bytes:
    section = READS.get(query.get("action", ""))
    if section is None:
        raise Refusal("RET11400", f"There is no action {query.get('action')} here")
    filing = portal.filing(gstin, _period(query.get("ret_period")))
    rows = list(filing.sections.get(section, {}).values())
    if not rows:
        raise Refusal("RET11416", "No documents were found")
    if section in LISTS:
        outer, inner, _ = LISTS[section]
        groups: dict[str, list[Any]] = {}
        for row in rows:
            shown = {name: value for name, value in row.items() if name != outer}
            groups.setdefault(row[outer], []).append(shown | {"chksum": _checked(shown)})
        return _encoded(**{section: [{outer: value, inner: found} for value, found in groups.items()]})
    if section in ("nil", "hsn", "doc_issue"):
        return _encoded(**{section: rows[0]})
    return _encoded(**{section: [row | {"chksum": _checked(row)} for row in rows]})


def _checked(row: Any) -> str:
    return checksum(json.dumps(row, sort_keys=True).encode())


def _period(text: Any) -> str:
    if not isinstance(text, str) or not PERIOD.fullmatch(text):
        raise Refusal("RET191106", "The period is not MMYYYY")
    return text


_Write = Callable[[Portal, str, dict[str, Any], bytes], bytes]
_Get = Callable[[Portal, str, Mapping[str, str]], bytes]
_WRITES: dict[tuple[str, str, str], _Write] = {
    ("PUT", "returns/gstr1", "RETSAVE"): _save,
    ("POST", "returns/gstr1", "RESET"): _reset,
    ("POST", "returns/gstrptf", "RETNEWPTF"): _proceed,
    ("POST", "returns/gstr1", "RETFILE"): _file,
}
_GETS: dict[tuple[str, str], _Get] = {
    ("returns", "RETSTATUS"): _status,
    ("returns", "RETTRACK"): _track,
    ("returns/gstr1", "RETSUM"): _summary,
    ("authenticate", "EVCOTP"): _evc,
}
