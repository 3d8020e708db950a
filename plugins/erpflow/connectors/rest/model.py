"""What a declaration holds, key by key: `include/connectors/<name>.yaml` (docs/how-to-declare-a-connector.md).

The published form, `include/connector.schema.json`, is made from these classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from erpflow.connectors.rest.expressions import compiled
from erpflow.vocabulary import Operation
from erpflow.yaml_files.complaints import Problem
from erpflow.yaml_files.part import NAME_PATTERN, Part


class AuthKind(StrEnum):
    """How requests are signed."""

    NONE = "none"
    API_KEY = "api_key"
    BASIC = "basic"
    BEARER = "bearer"
    OAUTH2_CLIENT_CREDENTIALS = "oauth2_client_credentials"
    OAUTH2_REFRESH = "oauth2_refresh"
    SESSION = "session"


class Place(StrEnum):
    """Where in a request an API key goes."""

    HEADER = "header"
    QUERY = "query"
    BODY = "body"


class PagingKind(StrEnum):
    """How one gets from a page to the next."""

    NONE = "none"
    PAGE = "page"
    OFFSET = "offset"
    CURSOR = "cursor"
    LINK = "link"
    ODATA = "odata"
    KEYSET = "keyset"


class Meaning(StrEnum):
    """What an answer that is not what was asked for means."""

    AUTH_FAILED = "auth_failed"
    PERMISSION_DENIED = "permission_denied"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    STALE = "stale"
    MISSING = "missing"
    BROKEN = "broken"


def _expression(text: str) -> str:
    try:
        compiled(text)
    except ValueError as error:
        raise PydanticCustomError("expected", "{allowed}", {"allowed": f"a JMESPath expression: {error}"}) from None
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or text.startswith("//") or "?" in text or "#" in text:
        allowed = "a path such as /api/customers; what follows a ? goes into `query`"
        raise PydanticCustomError("expected", "{allowed}", {"allowed": allowed})
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        allowed = "a time zone such as Europe/Berlin"
        raise PydanticCustomError("expected", "{allowed}", {"allowed": allowed}) from None
    return text


def _texts(value: Any) -> Any:
    """Numbers and booleans of a query are texts: YAML reads `first: 1` as a number."""
    if not isinstance(value, dict):
        return value
    words = {True: "true", False: "false"}
    return {str(key): words[item] if isinstance(item, bool) else _plain(item) for key, item in value.items()}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | dict | list) or value is None else str(value)


def _statuses(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


Expression = Annotated[
    str,
    AfterValidator(_expression),
    WithJsonSchema({"type": "string", "description": "JMESPath, applied to the answer's JSON"}),
]
RequestPath = Annotated[str, AfterValidator(_path), WithJsonSchema({"type": "string", "pattern": "^/[^?#]*$"})]
TEXTS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
Texts = Annotated[dict[str, str], BeforeValidator(_texts), WithJsonSchema(TEXTS)]
Statuses = Annotated[
    tuple[Annotated[int, Field(ge=100, le=599)], ...],
    BeforeValidator(_statuses),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}),
]
Number = Annotated[float, BeforeValidator(lambda value: value if isinstance(value, bool | str) else float(value))]
Filled = Annotated[str, Field(min_length=1)]


class Request(Part):
    """One request; texts may hold placeholders (fill.py)."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: RequestPath
    query: Texts = Field(default_factory=dict)
    headers: Texts = Field(default_factory=dict)
    body: Annotated[Any, WithJsonSchema({})] = None

    def templates(self) -> Iterator[tuple[str, Any]]:
        """Each part that may hold placeholders, by its key."""
        yield from (("path", self.path), ("query", self.query), ("headers", self.headers), ("body", self.body))


class Paging(Part):
    """How one gets to the next page.

    `page` counts `{page}` from `first`, `offset` counts records in `{offset}`, until a page is empty or `more` is
    falsy. `cursor` sends what `next` finds as `{cursor}`. `link` follows the header Link, `odata` the address that
    `next` finds. `keyset` moves `{since}` along: the vendor sorts by the time of modification, and its filter holds the
    moment itself; `{seen}` are the ids of that moment, or the page grows up to `most` records.
    """

    kind: PagingKind = PagingKind.NONE
    first: Annotated[int, Field(ge=0)] = 1
    more: Expression | None = None
    next: Expression | None = None
    most: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Paging:
        if self.kind is PagingKind.CURSOR and self.next is None:
            raise _sentence("found no `next`, which says where in an answer the cursor of the next page is")
        return self

    @property
    def next_address(self) -> str:
        """Where the address of the next page is in an answer."""
        return self.next or '"@odata.nextLink"'


class Listing(Request):
    """A request for pages of records; `records` is where they are in its answer."""

    records: Expression
    paging: Paging = Paging()


class DeletedListing(Listing):
    """The vendor's list of deletions: `key` is the field with the id of what was deleted, `at` the one with when."""

    key: Annotated[str, Field(min_length=1)]
    at: Annotated[str, Field(min_length=1)] | None = None


class Getting(Request):
    """A request for one record by its `{id}`."""

    record: Expression = "@"


class GettingMany(Request):
    """A request for records by their `{ids}`, at most `most` at once."""

    records: Expression
    most: Annotated[int, Field(ge=1)] = 100


class Finding(Request):
    """A look-up by the values of fields; what names `{field}` is there once for each, with its `{value}`."""

    records: Expression


class Rule(Part):
    """What an answer means: the first rule whose `status` and `when` both fit counts.

    Without `status` a rule says nothing of 429, 502, 503 and 504, which gateways answer in words of their own.
    `message`, `field` and `wait` (seconds) are where the vendor says more.
    """

    status: Statuses = ()
    when: Expression | None = None
    means: Meaning
    message: Expression | None = None
    field: Expression | None = None
    wait: Expression | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Rule:
        if not self.status and self.when is None:
            raise _sentence("found a rule without `status` and `when`, which would fit every answer")
        return self


class Write(Request):
    """A request that changes one record, or up to `bulk` of them.

    `id` and `record` are where they are in the answer. Of a bulk: `results` is the list of what became of each, in the
    order of what was sent; `id`, `record` and the `errors` then apply to one of them.
    """

    id: Expression | None = None
    record: Expression | None = None
    bulk: Annotated[int, Field(ge=1, le=10_000)] = 1
    results: Expression | None = None
    errors: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _makes_sense(self) -> Write:
        if self.bulk > 1 and self.results is None:
            raise _sentence("found `bulk` without `results`: what became of each record would not be known")
        if self.bulk == 1 and (self.results is not None or self.errors):
            raise _sentence("found `results` or `errors` without `bulk`; errors of single writes are in `errors` above")
        return self


class Entity(Part):
    """One entity: how its records are read and written."""

    object: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)]
    modified: Annotated[str, Field(min_length=1)] | None = None
    page_size: Annotated[int, Field(ge=1, le=100_000)] = 100
    list: Listing
    get: Getting | None = None
    many: GettingMany | None = None
    find: Finding | None = None
    deleted: DeletedListing | None = None
    create: Write | None = None
    update: Write | None = None
    delete: Write | None = None
    update_replaces: bool = False

    def writes(self) -> dict[Operation, Write]:
        """The writes there are."""
        declared = {Operation.CREATE: self.create, Operation.UPDATE: self.update, Operation.DELETE: self.delete}
        return {operation: write for operation, write in declared.items() if write is not None}


class Session(Part):
    """What a login takes out of its answer, and what every request then carries; body paths are `params.args.0`."""

    headers: Texts = Field(default_factory=dict)
    query: Texts = Field(default_factory=dict)
    body: Texts = Field(default_factory=dict)


class Auth(Part):
    """How requests are signed, with the connection's `{login}`, `{password}` and `{settings.…}`.

    `api_key` puts `value` under `name` into a header, the query or the body (a path such as `auth.key`). `session`
    sends `login`, keeps what `take` finds in its answer as `{session.…}`, and puts what `send` says into every request.
    """

    kind: AuthKind
    place: Place = Place.HEADER
    name: Annotated[str, Field(min_length=1)] | None = None
    value: Filled = "{password}"
    token_url: Filled | None = None
    authorize_url: Filled | None = None
    scopes: tuple[str, ...] = ()
    client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    scheme: Annotated[str, Field(min_length=1)] = "Bearer"
    login: Request | None = None
    take: dict[str, Expression] = Field(default_factory=dict)
    send: Session = Session()

    @model_validator(mode="after")
    def _makes_sense(self) -> Auth:
        needed = {
            AuthKind.API_KEY: ("name",),
            AuthKind.OAUTH2_CLIENT_CREDENTIALS: ("token_url",),
            AuthKind.OAUTH2_REFRESH: ("token_url", "authorize_url"),
            AuthKind.SESSION: ("login", "take"),
        }.get(self.kind, ())
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            raise PydanticCustomError("checks", "{problems}", {"problems": [_required(self.kind, *missing)]})
        return self


class Check(Request):
    """One cheap signed request; `account` is where its answer says who we are."""

    account: Expression | None = None


class Setting(Part):
    """What a connection must say besides address, login and password."""

    title: Annotated[str, Field(min_length=1)]
    description: str = ""
    required: bool = False


class Form(Part):
    """What the fields of a connection are called; a field that is null is not shown."""

    host: str = "Address"
    login: str | None = "Login"
    password: str | None = "Password"  # noqa: S105  (a label)
    placeholder: str = "https://erp.example.com"


class Limits(Part):
    """How fast and how many at once, for one account."""

    per_second: Annotated[Number, Field(gt=0)] | None = None
    per_minute: Annotated[Number, Field(gt=0)] | None = None
    per_hour: Annotated[Number, Field(gt=0)] | None = None
    per_day: Annotated[Number, Field(gt=0)] | None = None
    concurrent: Annotated[int, Field(ge=1)] = 4


class Times(Part):
    """How times are written: `iso`, `unix`, `unix_ms`, or a pattern as of strptime; `zone` of those without one.

    `slack` seconds earlier than wanted is asked for, where a filter leaves out its own first moment or rounds; what is
    too early is dropped again.
    """

    format: Annotated[str, Field(min_length=1)] = "iso"
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    slack: Annotated[int, Field(ge=0, le=86_400)] = 0


class Declaration(Part):
    """One file: a system, as far as erpflow needs to know it."""

    system: Annotated[str, Field(pattern=NAME_PATTERN)]
    title: Annotated[str, Field(min_length=1)]
    address: Annotated[str, Field(pattern=r"^\{address\}")] = "{address}"
    auth: Auth
    form: Form = Form()
    settings: dict[Annotated[str, Field(pattern=NAME_PATTERN)], Setting] = Field(default_factory=dict)
    limits: Limits = Limits()
    times: Times = Times()
    check: Check
    errors: tuple[Rule, ...] = ()
    entities: Annotated[dict[Annotated[str, Field(pattern=NAME_PATTERN)], Entity], Field(min_length=1)]


def _sentence(words: str) -> PydanticCustomError:
    return PydanticCustomError("sentence", "{sentence}", {"sentence": words})


def _required(kind: AuthKind, *names: str) -> Problem:
    return Problem((), f"found nothing under {', '.join(names)}, allowed: auth of kind {kind} requires it")
