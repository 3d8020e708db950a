"""Intuit's OAuth pages: where the endpoints are, a consent that is given at once, tokens, and taking them back."""

from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from sandbox.quickbooks.company import REALM, Company
from sandbox.quickbooks.consents import CLIENT_ID, HARD_S, TokenRefused, is_client

SCOPE = "com.intuit.quickbooks.accounting"
PREFIX = "/quickbooks"


async def handle(company: Company, request: Request) -> Response | None:
    """The answer of the authorization server; None where the path is not its own."""
    path = request.scope["path"]
    if path in ("/.well-known/openid_configuration", "/.well-known/openid_sandbox_configuration"):
        return discovery(request)
    if path == "/connect/oauth2":
        return agree(company, request)
    try:
        if path == "/oauth2/v1/tokens/bearer" and request.method == "POST":
            return tokens(company, request, dict(parse_qsl((await request.body()).decode())))
        if path == "/v2/oauth2/tokens/revoke" and request.method == "POST":
            return revoke(company, request, await request.body())
    except TokenRefused as refused:
        return JSONResponse({"error": refused.code, "error_description": refused.description}, refused.status)
    return None


def discovery(request: Request) -> Response:
    base = f"{request.url.scheme}://{request.url.netloc}{PREFIX}"
    return JSONResponse(
        {
            "issuer": f"{base}/op/v1",
            "authorization_endpoint": f"{base}/connect/oauth2",
            "token_endpoint": f"{base}/oauth2/v1/tokens/bearer",
            "revocation_endpoint": f"{base}/v2/oauth2/tokens/revoke",
            "userinfo_endpoint": f"{base}/v1/openid_connect/userinfo",
            "jwks_uri": f"{base}/op/v1/jwks",
            "scopes_supported": ["openid", "email", "profile", SCOPE],
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        }
    )


def agree(company: Company, request: Request) -> Response:
    """Whoever opens the page agrees at once: there is nobody to ask here."""
    query = request.query_params
    back = query.get("redirect_uri", "")
    if query.get("client_id") != CLIENT_ID or query.get("response_type") != "code" or not back:
        return Response("The app is not known, or asks for something else than a code.", 400)
    if SCOPE not in query.get("scope", "").split():
        return RedirectResponse(f"{back}?{urlencode({'error': 'invalid_scope', 'state': query.get('state', '')})}", 302)
    given = {"code": company.consents.agree(back), "state": query.get("state", ""), "realmId": REALM}
    return RedirectResponse(f"{back}{'&' if '?' in back else '?'}{urlencode(given)}", 302)


def tokens(company: Company, request: Request, form: dict[str, str]) -> Response:
    _check_client(request)
    if company.switches.consent_withdrawn:
        raise TokenRefused("invalid_grant", "Token revoked")
    if form.get("grant_type") == "refresh_token":
        given = company.consents.renew(form.get("refresh_token", ""))
    elif form.get("grant_type") == "authorization_code":
        given = company.consents.redeem(form.get("code", ""), form.get("redirect_uri", ""))
    else:
        raise TokenRefused("unsupported_grant_type", "The grant type is not supported")
    if request.headers.get("x-include-refresh-token-hard-expires-in") == "true":
        given["x_refresh_token_hard_expires_in"] = HARD_S
    return JSONResponse(given)


def revoke(company: Company, request: Request, body: bytes) -> Response:
    _check_client(request)
    try:
        token = msgspec.json.decode(body, type=dict[str, str]).get("token", "")
    except msgspec.DecodeError:
        raise TokenRefused("invalid_request", "The body is not JSON") from None
    company.consents.revoke(token)
    return Response(status_code=200)


def _check_client(request: Request) -> None:
    if not is_client(request.headers.get("authorization", "")):
        raise TokenRefused("invalid_client", "The app is not known", status=401)
