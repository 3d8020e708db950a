"""The organisation over HTTP: Zoho's addresses, and what every request passes: token, scope, credits."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.zoho_crm import bulk, coql, listing, metadata, watch, writing
from sandbox.zoho_crm.accounts import CLIENT_ID, Refused
from sandbox.zoho_crm.answers import ZohoError, answer
from sandbox.zoho_crm.limits import JOB_COST
from sandbox.zoho_crm.org import Org
from sandbox.zoho_crm.render import module_of
from sandbox.zoho_crm.schema import Module

PREFIX: Final = "/zoho_crm"
SCHEME: Final = "Zoho-oauthtoken "
RECORDS_A_CREDIT: Final = 10
OPERATIONS: Final = {"GET": "READ", "POST": "CREATE", "PUT": "UPDATE", "DELETE": "DELETE", "PATCH": "UPDATE"}
DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)

Work = Callable[[Request, Any], Response]


class Api:
    """The handlers of one organisation."""

    def __init__(self, org: Org) -> None:
        self.org = org

    # -- records -----------------------------------------------------------------------------------------------------

    def records(self, request: Request, body: Any) -> Response:
        """`/{module}`: list, insert, update, delete."""
        module, org = self.module(request), self.org
        if request.method == "GET":
            return listing.list_records(org, module, request.query_params, request.headers.get("If-Modified-Since"))
        if request.method == "DELETE":
            ids = [one for one in request.query_params.get("ids", "").split(",") if one]
            return self.rows(writing.delete(org, module, ids))
        if request.method == "POST":
            return self.rows(writing.insert(org, module, body))
        unmodified_since = request.headers.get("If-Unmodified-Since")
        return self.rows(writing.update(org, module, body, unmodified_since=unmodified_since))

    def record(self, request: Request, body: Any) -> Response:
        """`/{module}/{id}`."""
        module, record_id = self.module(request), request.path_params["id"]
        if request.method == "GET":
            return listing.read_record(self.org, module, record_id)
        if request.method == "DELETE":
            return self.rows(writing.delete(self.org, module, [record_id]))
        unmodified_since = request.headers.get("If-Unmodified-Since")
        return self.rows(writing.update(self.org, module, body, unmodified_since=unmodified_since, only=record_id))

    def upsert(self, request: Request, body: Any) -> Response:
        unmodified_since = request.headers.get("If-Unmodified-Since")
        return self.rows(writing.upsert(self.org, self.module(request), body, unmodified_since=unmodified_since))

    def deleted(self, request: Request, _: Any) -> Response:
        since = request.headers.get("If-Modified-Since")
        return listing.list_deleted(self.org, self.module(request), request.query_params, since)

    def count(self, request: Request, _: Any) -> Response:
        return listing.count_records(self.org, self.module(request))

    def coql(self, _: Request, body: Any) -> Response:
        return coql.run(self.org, body)

    # -- jobs and channels -------------------------------------------------------------------------------------------

    def jobs(self, _: Request, body: Any) -> Response:
        return bulk.create(self.org, body)

    def job(self, request: Request, _: Any) -> Response:
        return bulk.show(self.org, request.path_params["id"])

    def result(self, request: Request, _: Any) -> Response:
        return bulk.download(self.org, request.path_params["id"])

    def watch(self, request: Request, body: Any) -> Response:
        if request.method == "GET":
            return watch.show(self.org, request.query_params)
        if request.method == "DELETE":
            return watch.disable(self.org, request.query_params)
        if request.method == "PATCH":
            return watch.change(self.org, body)
        return watch.enable(self.org, body, replacing=request.method == "PUT")

    # -- the organisation --------------------------------------------------------------------------------------------

    def modules(self, _: Request, __: Any) -> Response:
        return answer(metadata.modules(self.org))

    def fields(self, request: Request, _: Any) -> Response:
        name = request.query_params.get("module", "")
        module = metadata.module_with_lines(self.org, name)
        if module is None:
            raise _no_module(name)
        return answer(metadata.fields(module))

    def organisation(self, _: Request, __: Any) -> Response:
        return answer(metadata.organisation())

    def users(self, _: Request, __: Any) -> Response:
        return answer(metadata.users(self.org))

    def module(self, request: Request) -> Module:
        name = request.path_params["module"]
        module = module_of(self.org, name)
        if module is None:
            raise _no_module(name)
        return module

    def rows(self, outcome: writing.Rows) -> Response:
        status, rows = outcome
        return answer({"data": rows}, status=status)

    # -- what every request passes -----------------------------------------------------------------------------------

    def guarded(self, work: Work, scope: Callable[[Request], str]) -> Callable[[Request], Awaitable[Response]]:
        """A handler behind the token, its scope and the limits."""

        async def handler(request: Request) -> Response:
            credits_ = self.org.credits
            credits_.under_way += 1
            try:
                self.admit(request, scope(request))
                raw = await request.body()
                body = _decoded(raw)
                credits_.spend(_cost(request, body))
                if self.org.switches.latency_s:
                    await asyncio.sleep(self.org.switches.latency_s)
                found = work(request, body)
            except ZohoError as refused:
                found = answer(refused.body, status=refused.status)
            finally:
                credits_.under_way -= 1
            found.headers.update(credits_.headers())
            return found

        return handler

    def admit(self, request: Request, scope: str) -> None:
        """Raises ZohoError for a missing or dead token, and for one that was not consented to this."""
        header = request.headers.get("Authorization", "")
        scopes = self.org.accounts.scopes_of(header.removeprefix(SCHEME)) if header.startswith(SCHEME) else None
        if not header:
            raise ZohoError(401, "AUTHENTICATION_FAILURE", "Authentication failed")
        if scopes is None:
            raise ZohoError(401, "INVALID_TOKEN", "invalid oauth token")
        group, _, what = scope.rpartition(".")
        if scope not in scopes and f"{group}.ALL" not in scopes:
            name = request.path_params.get("module", "").lower()
            if not {f"{group}.{name}.{what}", f"{group}.{name}.ALL"}.intersection(scopes):
                message = "invalid oauth scope to access this URL"
                raise ZohoError(401, "OAUTH_SCOPE_MISMATCH", message)

    # -- accounts ----------------------------------------------------------------------------------------------------

    async def token(self, request: Request) -> Response:
        """`POST /oauth/v2/token`, by form or query. Errors come with HTTP 200."""
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        try:
            body = self.org.accounts.answer({**request.query_params, **form})
        except Refused as refused:
            return answer(refused.body, status=refused.status)
        return answer({**body, "api_domain": f"{request.url.scheme}://{request.url.netloc}{PREFIX}"})

    async def revoke(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        done = self.org.accounts.revoke({**request.query_params, **form}.get("token", ""))
        return answer({"status": "success"} if done else {"error": "invalid_code"})

    async def consent(self, request: Request) -> Response:
        """`GET /oauth/v2/auth`: the page on which a person agrees; this one agrees at once."""
        query = request.query_params
        if query.get("client_id") != CLIENT_ID or query.get("response_type") != "code" or not query.get("redirect_uri"):
            return answer({"error": "invalid_client"})
        code = self.org.accounts.code(tuple(query.get("scope", "").split(",")), query["redirect_uri"])
        told = {"code": code, "location": "us", "state": query.get("state", "")}
        told["accounts-server"] = f"{request.url.scheme}://{request.url.netloc}{PREFIX}"
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(told)}", status_code=302)


def create_app(org: Org) -> Starlette:
    """The API over an organisation, with paths as Zoho has them."""
    api = Api(org)

    def route(path: str, work: Work, scope: Callable[[Request], str], *methods: str) -> list[Route]:
        return [Route(f"/crm/v{version}{path}", api.guarded(work, scope), methods=list(methods)) for version in (7, 8)]

    def bulk_route(path: str, work: Work, scope: Callable[[Request], str], *methods: str) -> list[Route]:
        return [
            Route(f"/crm/bulk/v{version}{path}", api.guarded(work, scope), methods=list(methods)) for version in (7, 8)
        ]

    routes = [
        Route("/oauth/v2/token", api.token, methods=["POST"]),
        Route("/oauth/v2/token/revoke", api.revoke, methods=["POST"]),
        Route("/oauth/v2/auth", api.consent, methods=["GET"]),
        *bulk_route("/read", api.jobs, _fixed("ZohoCRM.bulk.READ"), "POST"),
        *bulk_route("/read/{id}", api.job, _fixed("ZohoCRM.bulk.READ"), "GET"),
        *bulk_route("/read/{id}/result", api.result, _fixed("ZohoCRM.bulk.READ"), "GET"),
        *route("/coql", api.coql, _fixed("ZohoCRM.coql.READ"), "POST"),
        *route("/actions/watch", api.watch, _of("ZohoCRM.notifications"), "GET", "POST", "PUT", "PATCH", "DELETE"),
        *route("/settings/modules", api.modules, _fixed("ZohoCRM.settings.READ"), "GET"),
        *route("/settings/fields", api.fields, _fixed("ZohoCRM.settings.READ"), "GET"),
        *route("/org", api.organisation, _fixed("ZohoCRM.org.READ"), "GET"),
        *route("/users", api.users, _fixed("ZohoCRM.users.READ"), "GET"),
        *route("/{module}/upsert", api.upsert, _fixed("ZohoCRM.modules.CREATE"), "POST"),
        *route("/{module}/deleted", api.deleted, _fixed("ZohoCRM.modules.READ"), "GET"),
        *route("/{module}/actions/count", api.count, _fixed("ZohoCRM.modules.READ"), "GET"),
        *route("/{module}", api.records, _of("ZohoCRM.modules"), "GET", "POST", "PUT", "DELETE"),
        *route("/{module}/{id}", api.record, _of("ZohoCRM.modules"), "GET", "PUT", "DELETE"),
        Route("/{rest:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]
    return Starlette(routes=routes)


async def _unknown(_: Request) -> Response:
    refused = ZohoError(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")
    return answer(refused.body, status=refused.status)


def _fixed(scope: str) -> Callable[[Request], str]:
    return lambda _: scope


def _of(group: str) -> Callable[[Request], str]:
    return lambda request: f"{group}.{OPERATIONS[request.method]}"


def _no_module(name: str) -> ZohoError:
    return ZohoError(400, "INVALID_MODULE", "the module name given seems to be invalid", resource_path_index=0)


def _decoded(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ZohoError(400, "INVALID_DATA", "body is not a valid JSON", expected_data_type="jsonobject") from None


def _cost(request: Request, body: Any) -> int:
    if request.method == "GET":
        return 1
    if request.url.path.endswith("/read"):
        return JOB_COST
    data = body.get("data") if isinstance(body, dict) else None
    records = len(data) if isinstance(data, list) else 1
    return -(-records // RECORDS_A_CREDIT)
