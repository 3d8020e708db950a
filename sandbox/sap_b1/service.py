"""The Service Layer over a company: one request in, one reply out, whether it came alone or as a part of a batch."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import msgspec

from sandbox.sap_b1 import documents, listing, masters, payments, render
from sandbox.sap_b1.company import Company, Row
from sandbox.sap_b1.errors import STALE, ServiceError, malformed, refused
from sandbox.sap_b1.schema import METADATA, EntitySet, schema
from sandbox.sap_b1.sessions import NODE, User
from sandbox.sap_b1.values import accept

DECODER = msgspec.json.Decoder(Any, float_hook=Decimal)
RESOURCE = re.compile(r"^(\w+)(?:\((.*)\))?(?:/(\$?\w+))?$", re.DOTALL)
JSON = "application/json;odata=minimalmetadata;charset=utf-8"
ACTIONS = {
    "Orders": ("Close", "Cancel", "Reopen"),
    "Invoices": ("Close", "CreateCancellationDocument"),
    "IncomingPayments": ("Cancel",),
}
PAYMENT_FIELDS = frozenset({"Remarks", "JournalRemarks", "CounterReference", "Reference1"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `path` below the version's root, percent-encoded; header names in small letters."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    version: str = "v2"
    host: str = "sandbox"

    @property
    def root(self) -> str:
        return f"https://{self.host}/b1s/{self.version}"

    def json(self) -> Any:
        """The body as JSON. Raises ServiceError."""
        try:
            return DECODER.decode(self.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise ServiceError(400, 201, "Invalid JSON.") from None


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


def answer(company: Company, asked: Asked, user: User | None = None) -> Reply:
    """The reply, errors included. `user`: who sent a part of a batch; otherwise the Cookie header says it."""
    try:
        if asked.path == "Login" and asked.method == "POST":
            return log_in(company, asked)
        if asked.path == "Logout" and asked.method == "POST":
            company.sessions.log_out(asked.headers.get("cookie", ""))
            return Reply(204)
        user = user or company.sessions.user_of(asked.headers.get("cookie", ""))
        with company.transaction():
            return Request(company, asked, user).reply()
    except ServiceError as error:
        if isinstance(error, DraftMade):  # it stays although the request fails
            with company.apart():
                documents.create(company, "Drafts", error.given)
        return Reply(error.status, render.encode(error.body(asked.version)), {"content-type": JSON})


def log_in(company: Company, asked: Asked) -> Reply:
    number = company.sessions.log_in(asked.json())
    body = {
        render.annotation(asked.version, "context"): f"{asked.root}/$metadata#B1Sessions/@Element",
        "SessionId": number,
        "Version": "1000190",
        "SessionTimeout": int(company.sessions.timeout),
    }
    # Raw, as the vendor sends it: no path, and a semicolon that nothing follows.
    cookies = (f"B1SESSION={number};HttpOnly;", f"ROUTEID={NODE}; path=/b1s")
    return Reply(200, render.encode(body), {"content-type": JSON}, cookies)


@dataclass(slots=True)
class Request:
    """One request of a user who is signed in."""

    company: Company
    asked: Asked
    user: User

    def reply(self) -> Reply:
        asked = self.asked
        if asked.path == "$metadata" and asked.method == "GET":
            return Reply(200, METADATA.read_bytes(), {"content-type": "application/xml"})
        if asked.path == "CompanyService_GetCompanyInfo" and asked.method == "POST":
            return self.json(200, {"Version": 1000190, "CompanyName": "Rheingold Handels GmbH"})
        parsed = RESOURCE.match(unquote(asked.path))
        entity_set = schema().sets.get(parsed[1]) if parsed else None
        if parsed is None or entity_set is None:
            raise ServiceError(404, -1, f"Unrecognized resource path: {unquote(asked.path)[:80]}")
        name, key, tail = parsed.groups()
        self.check_rights(name)
        if key is None:
            return self.of_collection(entity_set, tail)
        row = self.company.get(name, key_of(key, entity_set))
        if tail is not None:
            return self.act(entity_set, row, tail)
        return self.of_record(entity_set, row)

    def check_rights(self, name: str) -> None:
        if name in self.user.hidden or (self.asked.method != "GET" and name in self.user.read_only):
            raise ServiceError(403, 804, f"You are not permitted to perform this action ({name})")

    def of_collection(self, entity_set: EntitySet, tail: str | None) -> Reply:
        asked = self.asked
        if asked.method == "POST" and tail is None:
            return self.create(entity_set)
        if asked.method != "GET" or tail not in (None, "$count"):
            raise ServiceError(405, 205, "The method is not allowed here.")
        options = listing.options_of(asked.query)
        ignore_case = asked.headers.get("b1s-caseinsensitive", "").lower() == "true"
        if tail == "$count":
            rows = listing.rows_of(self.company, entity_set, options, ignore_case=ignore_case)
            return Reply(200, str(len(rows)).encode(), {"content-type": "text/plain"})
        body, headers = listing.page(
            self.company, entity_set, options, version=asked.version, prefer=asked.headers.get("prefer", ""),
            root=asked.root, ignore_case=ignore_case,
        )  # fmt: skip
        return self.json(200, body, headers)

    def create(self, entity_set: EntitySet) -> Reply:
        given = accept(self.asked.json(), entity_set.type)
        name = entity_set.name
        if name in masters.ROWS:
            row = masters.create(self.company, name, entity_set.key, given)
        elif name in ("Orders", "Invoices", "IncomingPayments"):
            row = self.create_document(name, given)
        else:
            raise refused("Such records are not made here", code=-5006)
        literal = render.encode(row.values[entity_set.key]).decode().replace('"', "'")
        headers = {"location": f"{self.asked.root}/{name}({literal})"}
        if "return-no-content" in self.asked.headers.get("prefer", ""):
            return Reply(204, b"", headers)
        record = render.entity(self.company, entity_set, row, version=self.asked.version)
        context = render.annotation(self.asked.version, "context")
        return self.json(201, {context: f"{self.asked.root}/$metadata#{name}/$entity", **record}, headers)

    def create_document(self, name: str, given: dict[str, Any]) -> Row:
        if name == "IncomingPayments":
            return payments.create(self.company, given)
        if self.company.switches.approval:
            raise DraftMade(given)
        return documents.create(self.company, name, given)

    def of_record(self, entity_set: EntitySet, row: Row) -> Reply:
        method = self.asked.headers.get("x-http-method-override", self.asked.method)
        if method == "GET":
            fields = render.selected(listing.options_of(self.asked.query).get("$select"), entity_set.type)
            record = render.entity(self.company, entity_set, row, version=self.asked.version, fields=fields)
            context = render.annotation(self.asked.version, "context")
            return self.json(200, {context: f"{self.asked.root}/$metadata#{entity_set.name}/$entity", **record})
        self.check_version(entity_set, row)
        if method == "DELETE":
            self.delete(entity_set, row)
        elif method == "PATCH":
            self.change(entity_set, row)
        else:
            raise ServiceError(405, 205, "The method is not allowed here.")
        return Reply(204)

    def check_version(self, entity_set: EntitySet, row: Row) -> None:
        key = (entity_set.name, row.values[entity_set.key])
        if key in self.company.locked:
            raise refused("Could not save: another transaction holds the record", code=-1116)
        etag, wanted = self.company.etag(entity_set, row), self.asked.headers.get("if-match")
        if etag and wanted not in (None, "*", etag):
            raise ServiceError(412, -2039, STALE)

    def delete(self, entity_set: EntitySet, row: Row) -> None:
        if entity_set.name not in masters.ROWS:
            raise refused("The requested action is not supported for this object", code=-5006)
        masters.delete(self.company, entity_set.name, row)

    def change(self, entity_set: EntitySet, row: Row) -> None:
        given = accept(self.asked.json(), entity_set.type)
        replace = self.asked.headers.get("b1s-replacecollectionsonpatch", "").lower() == "true"
        if entity_set.name in masters.ROWS:
            masters.change(self.company, entity_set.name, row, given, replace=replace)
        elif entity_set.name == "IncomingPayments":
            if not PAYMENT_FIELDS.issuperset(given):
                raise refused("A payment cannot be changed any more", code=-5006)
            self.company.save(entity_set.name, row.values["DocEntry"], {**row.values, **given})
        else:
            documents.change(self.company, entity_set.name, row, given, replace=replace)

    def act(self, entity_set: EntitySet, row: Row, action: str) -> Reply:
        if self.asked.method != "POST" or action not in ACTIONS.get(entity_set.name, ()):
            raise ServiceError(404, -1, f"Unrecognized resource path: {action}")
        self.check_version(entity_set, row)
        if entity_set.name == "IncomingPayments":
            payments.cancel(self.company, row)
        else:
            documents.act(self.company, entity_set.name, row, action)
        return Reply(204)

    def json(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        return Reply(status, render.encode(body), {"content-type": JSON, **(headers or {})})


class DraftMade(ServiceError):
    """An approval procedure took a new document: it waits as a draft, and the answer says that nothing matches."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(400, -2028, "No matching records found (ODBC -2028)")
        self.given = given


def key_of(text: str, entity_set: EntitySet) -> Any:
    """The key in the brackets of a path. Raises ServiceError for what no key looks like."""
    if entity_set.key == "DocEntry":
        if not text.isdigit():
            raise malformed(f"The key {text[:40]!r} is no number")
        return int(text)
    if len(text) < 2 or not (text.startswith("'") and text.endswith("'")):
        raise malformed(f"The key {text[:40]!r} is not in quotes")
    return text[1:-1].replace("''", "'")
