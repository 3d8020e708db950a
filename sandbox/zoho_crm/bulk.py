"""Bulk Read: a job, its states, and its result as a ZIP with one CSV.

Source: OpenAPI bulk_read v8 and its pages. Rows of a page, and how high `page` may count before a token is needed, are
UNVERIFIED.
"""

import csv
import io
import secrets
import zipfile
from typing import Any, Final

from starlette.responses import Response

from sandbox.zoho_crm.answers import ZohoError, answer
from sandbox.zoho_crm.org import Job, Org, PageToken
from sandbox.zoho_crm.render import cell_of, module_of
from sandbox.zoho_crm.schema import Module

LAST_PAGE: Final = 50
TOKEN_LIFE_S: Final = 86_400


def create(org: Org, body: Any) -> Response:
    """`POST /crm/bulk/v8/read`."""
    query = body.get("query") if isinstance(body, dict) else None
    if not isinstance(query, dict):
        raise ZohoError(400, "REQUEST_BODY_NOT_READABLE", "The request body is not readable.")
    name = (query.get("module") or {}).get("api_name")
    module = module_of(org, str(name))
    if module is None or org.switches.no_bulk:
        raise ZohoError(400, "MODULE_NOT_SUPPORTED", "The module is not supported.", module=name)
    for each in query.get("fields") or []:
        if each.lower() != "id" and each not in module.listed:
            raise ZohoError(400, "FIELD_NOT_AVAILABLE", "The field is not available.", api_name=each, module=name)
    if query.get("criteria"):
        raise ZohoError(400, "CRITERIA_NOT_SUPPORTED", "The sandbox reads whole modules only.")
    job = _job(org, module, query)
    org.jobs[job.id] = job
    details = {"id": job.id, "operation": "read", "state": "ADDED", **_made(org, job)}
    said = {"status": "success", "code": "ADDED_SUCCESSFULLY", "message": "Added successfully.", "details": details}
    return answer({"data": [said]}, status=201)


def show(org: Org, job_id: str) -> Response:
    """`GET /crm/bulk/v8/read/{job_id}`; asking moves it on."""
    job = _known(org, job_id)
    state = "FAILURE" if job.failed else _state(org, job)
    job.polls += 1
    data = {"id": job.id, "operation": "read", "state": state, "query": job.query, "file_type": "csv"}
    data |= _made(org, job)
    if state == "COMPLETED":
        data["result"] = _result(org, job)
    return answer({"data": [data]})


def download(org: Org, job_id: str) -> Response:
    """`GET /crm/bulk/v8/read/{job_id}/result`."""
    job = _known(org, job_id)
    if job.failed or _state(org, job) != "COMPLETED":
        raise _missing(job_id)
    module = org.tables[job.module].module
    fields = [name for name in job.query.get("fields") or module.listed if name.lower() != "id"]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["Id", *fields])
    known = [(name, module.fields[name]) for name in fields]
    table = org.tables[job.module]
    for record_id in _ids(org, job):
        record = table.records[record_id]
        writer.writerow([record_id, *(cell_of(org, field, record.get(name)) for name, field in known)])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(zipfile.ZipInfo(f"{job.id}.csv"), text.getvalue(), zipfile.ZIP_DEFLATED)
    headers = {"Content-Disposition": f"attachment;filename={job.id}.zip"}
    return Response(packed.getvalue(), media_type="application/octet-stream", headers=headers)


def _job(org: Org, module: Module, query: dict[str, Any]) -> Job:
    page, offset = query.get("page") or 1, 0
    if query.get("page_token"):
        token = org.page_tokens.get(query["page_token"])
        if token is None or token.bound_to[0] != f"bulk {module.name}":
            raise ZohoError(400, "INVALID_REQUEST", "The page_token is invalid.")
        offset = token.offset
        page = offset // org.switches.bulk_rows + 1
    elif not isinstance(page, int) or not 1 <= page <= LAST_PAGE:
        raise ZohoError(400, "PAGE_RANGE_EXCEEDED", "The page range is exceeded.", max_limit=LAST_PAGE)
    else:
        offset = (page - 1) * org.switches.bulk_rows
    return Job(org.new_id(), module.name, query, org.clock.now(), page, offset)


def _state(org: Org, job: Job) -> str:
    if job.polls == 0 and org.switches.bulk_polls > 0:
        return "ADDED"
    return "IN PROGRESS" if job.polls < org.switches.bulk_polls else "COMPLETED"


def _ids(org: Org, job: Job) -> list[str]:
    return sorted(org.tables[job.module].records)[job.token_offset : job.token_offset + org.switches.bulk_rows]


def _result(org: Org, job: Job) -> dict[str, Any]:
    rest = len(org.tables[job.module]) - job.token_offset - org.switches.bulk_rows
    token = None
    if rest > 0:
        token = secrets.token_hex(40)
        offset, expires = job.token_offset + org.switches.bulk_rows, org.clock.now() + TOKEN_LIFE_S
        org.page_tokens[token] = PageToken((f"bulk {job.module}",), offset, expires)
    return {
        "page": job.page,
        "per_page": org.switches.bulk_rows,
        "count": len(_ids(org, job)),
        "download_url": f"/crm/bulk/v8/read/{job.id}/result",
        "more_records": rest > 0,
        "next_page_token": token,
    }


def _made(org: Org, job: Job) -> dict[str, Any]:
    by = {"id": org.owner, "name": org.users[org.owner]["name"]}
    return {"created_by": by, "created_time": org.clock.text(job.created)}


def _known(org: Org, job_id: str) -> Job:
    job = org.jobs.get(job_id)
    if job is None:
        raise _missing(job_id)
    return job


def _missing(job_id: str) -> ZohoError:
    return ZohoError(404, "RESOURCE_NOT_FOUND", "The requested resource doesn't exist.", resource=job_id)
