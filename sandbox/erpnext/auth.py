"""Who is asking: API token, Basic, Bearer or session; and the cookies that go with each answer."""

from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from sandbox.erpnext.errors import login_refused, unauthenticated
from sandbox.erpnext.site import Site
from sandbox.erpnext.users import GUEST, User

SESSION_S = 612_000  # the vendor's 170 hours
COOKIE_NAMES = ("user_image", "user_id", "sid", "system_user", "full_name")


@dataclass(frozen=True, slots=True)
class Identity:
    """The user of a request; with a session, its id."""

    user: str
    full_name: str = GUEST
    sid: str | None = None


NOBODY = Identity(GUEST)


def identify(site: Site, authorization: str | None, cookie: str | None) -> Identity:
    """The user behind the headers; without any, the guest.

    Raises FrappeError (401) for credentials that are there but wrong.
    """
    if authorization:
        return Identity(user_of_header(site, authorization).email)
    sid = session_of(cookie)
    user = site.users.get(site.sessions.get(sid or "", ""))
    return Identity(user.email, user.full_name, sid) if user is not None else NOBODY


def user_of_header(site: Site, authorization: str) -> User:
    scheme, _, rest = authorization.partition(" ")
    users = site.users.values()
    if scheme.lower() == "bearer":
        found = next((user for user in users if user.bearer_token and user.bearer_token == rest.strip()), None)
    elif scheme.lower() in ("token", "basic"):
        key, colon, secret = (decoded(rest) if scheme.lower() == "basic" else rest).strip().partition(":")
        found = next((u for u in users if colon and (u.api_key, u.api_secret) == (key, secret)), None)
    else:
        found = None
    if found is None:
        raise unauthenticated()
    return found


def decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode()
    except (Base64Error, UnicodeDecodeError):
        return ""


def session_of(cookie: str | None) -> str | None:
    try:
        found = SimpleCookie(cookie or "").get("sid")
    except CookieError:
        return None
    return found.value if found is not None else None


def log_in(site: Site, name: str, password: str) -> Identity:
    """A new session for a user and password.

    Raises FrappeError (401), which says whether the user is disabled or the password wrong.
    """
    user = site.users.get(name)
    if user is None or not user.enabled:
        raise login_refused("User disabled or missing")
    if user.password != password:
        raise login_refused("Invalid login credentials")
    sid = f"{site.random.getrandbits(224):056x}"
    site.sessions[sid] = user.email
    return Identity(user.email, user.full_name, sid)


def cookies(identity: Identity, kind: str = "guest") -> list[str]:
    """The Set-Cookie lines of an answer: a token call gets the guest's, a refused one takes them back at once."""
    if kind == "none":
        return []
    now = int(datetime.now(UTC).timestamp())
    lines = list(cookie_lines(identity, now))
    return [*lines, *clearing_lines(now)] if kind == "cleared" else lines


@lru_cache(maxsize=64)
def cookie_lines(identity: Identity, now: int) -> tuple[str, ...]:
    expires = http_date(now + SESSION_S)
    name = identity.full_name if identity.sid else GUEST
    user = identity.user if identity.sid else GUEST
    return (
        f"sid={identity.sid or GUEST}; Expires={expires}; Max-Age={SESSION_S}; HttpOnly; Path=/; SameSite=Lax",
        f"system_user={'yes' if identity.sid else 'no'}; Path=/; SameSite=Lax",
        f"full_name={quote(name)}; Path=/; SameSite=Lax",
        f"user_id={quote(user)}; Path=/; SameSite=Lax",
        "user_image=; Path=/; SameSite=Lax",
    )


@lru_cache(maxsize=4)
def clearing_lines(now: int) -> tuple[str, ...]:
    gone = http_date(now - 86_400)
    return tuple(f"{name}=; Expires={gone}; Path=/" for name in COOKIE_NAMES)


def http_date(timestamp: int) -> str:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=timestamp)
    return format_datetime(moment, usegmt=True)
