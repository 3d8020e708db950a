"""The Service Layer as an ASGI application: `/b1s/v1/…`, `/b1s/v2/…`, and `/ping`."""

from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response

from sandbox.sap_b1 import batch, render
from sandbox.sap_b1.company import Company
from sandbox.sap_b1.errors import ServiceError
from sandbox.sap_b1.listing import LONGEST_URL
from sandbox.sap_b1.service import JSON, Asked, Reply, answer
from sandbox.vendor import ASGIApp, app_of

ROOT = "/b1s/"
VERSIONS = ("v1", "v2")
TOO_LONG = (
    b"<html><head><title>414 Request-URI Too Long</title></head><body><h1>Request-URI Too Long</h1></body></html>"
)


def create_app(company: Company) -> ASGIApp:
    """The application over one company."""

    async def answered(request: HttpRequest) -> Response:
        if request.scope["path"].rstrip("/") in ("/ping", "/ping/load-balancer", "/ping/node/1"):
            return PlainTextResponse("pong")
        return response_of(reply_to(company, request, await request.body()))

    return app_of(answered)


def reply_to(company: Company, request: HttpRequest, body: bytes) -> Reply:
    raw: str = (request.scope.get("raw_path") or request.scope["path"].encode()).decode("latin-1").partition("?")[0]
    query: str = request.scope["query_string"].decode("latin-1")
    version, _, path = raw.removeprefix(ROOT).partition("/")
    if not raw.startswith(ROOT) or version not in VERSIONS:
        return Reply(404, b"<html><body><h1>Not Found</h1></body></html>", {"content-type": "text/html"})
    if len(raw) + len(query) > LONGEST_URL:
        return Reply(414, TOO_LONG, {"content-type": "text/html"})
    headers = {name.lower(): value for name, value in request.headers.items()}
    asked = Asked(request.method, path, query, headers, body, version, headers.get("host", "sandbox"))
    if path != "$batch" or request.method != "POST":
        return answer(company, asked)
    try:
        return batch.run(company, asked, company.sessions.user_of(headers.get("cookie", "")))
    except ServiceError as error:
        return Reply(error.status, render.encode(error.body(version)), {"content-type": JSON})


def response_of(reply: Reply) -> Response:
    response = Response(reply.body, status_code=reply.status, headers=dict(reply.headers))
    for cookie in reply.cookies:
        response.headers.append("set-cookie", cookie)
    return response
