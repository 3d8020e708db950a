"""What must hold between the parts of a declaration: placeholders that exist, reads that end, writes that settle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from erpflow.connectors.rest.fill import placeholders
from erpflow.connectors.rest.model import Auth, Declaration, Entity, Listing, PagingKind, Request, Write
from erpflow.vocabulary import Operation
from erpflow.yaml_files.complaints import Problem, Where
from erpflow.yaml_files.explain import allowed

_PAGES: Final = {
    PagingKind.PAGE: "page",
    PagingKind.OFFSET: "offset",
    PagingKind.CURSOR: "cursor",
    PagingKind.KEYSET: "since",
}
"""The placeholder without which each kind of paging asks for the same page for ever."""

_SHIFTING: Final = frozenset({PagingKind.PAGE, PagingKind.OFFSET})


def check_declaration(declaration: Declaration) -> list[Problem]:
    """Everything that is wrong between the parts."""
    return [
        *_auth(declaration),
        *_named(("check",), declaration.check, ()),
        *(problem for name, entity in declaration.entities.items() for problem in _entity(("entities", name), entity)),
    ]


def account_words(declaration: Declaration) -> tuple[str, ...]:
    """What a connection itself gives to requests."""
    return ("login", "password", *(f"settings.{name}" for name in declaration.settings))


def _auth(declaration: Declaration) -> Iterator[Problem]:
    auth, words = declaration.auth, account_words(declaration)
    yield from _unknown(("address",), declaration.address, ("address", *words[2:]))
    yield from _unknown(("auth", "value"), auth.value, words)
    for key in ("token_url", "authorize_url"):
        yield from _unknown(("auth", key), getattr(auth, key), ("address", *words[2:]))
    if auth.login is not None:
        yield from _named(("auth", "login"), auth.login, words)
    yield from _sent(auth, (*words, *(f"session.{name}" for name in auth.take)))


def _sent(auth: Auth, words: Iterable[str]) -> Iterator[Problem]:
    for key in ("headers", "query", "body"):
        yield from _unknown(("auth", "send", key), getattr(auth.send, key), words)


def _entity(where: Where, entity: Entity) -> Iterator[Problem]:
    yield from _listing((*where, "list"), entity.list, dated=entity.modified is not None)
    if entity.deleted is not None:
        yield from _listing((*where, "deleted"), entity.deleted, dated=entity.deleted.at is not None)
    if entity.get is None and entity.many is None:
        yield Problem(
            where, "found neither `get` nor `many`, allowed one of them or both: records are read by their ids"
        )
    for key, words in (("get", ("id",)), ("many", ("ids",)), ("find", ("field", "value", "limit"))):
        request = getattr(entity, key)
        if request is not None:
            yield from _named((*where, key), request, words)
            yield from _lacking((*where, key), request, "id" if key == "get" else words[0])
    yield from _writes(where, entity)


def _listing(where: Where, listing: Listing, *, dated: bool) -> Iterator[Problem]:
    kind, words = listing.paging.kind, ["limit"]
    words += ["since", "until"] if dated else []
    words += {PagingKind.PAGE: ["page"], PagingKind.OFFSET: ["offset"], PagingKind.CURSOR: ["cursor"]}.get(kind, [])
    words += ["seen"] if kind is PagingKind.KEYSET else []
    yield from _named(where, listing, words)
    if kind in _PAGES:
        yield from _lacking(where, listing, _PAGES[kind])
    if kind is PagingKind.KEYSET:
        yield from _keyset(where, listing, dated=dated)
    if kind in _SHIFTING and "until" in _used(listing):
        yield Problem(
            (*where, "paging"),
            f"found `{{until}}` with paging by {kind}: a record that changes meanwhile leaves the list, and the pages "
            "behind it move up. Leave it out: what is too new is dropped here",
        )


def _keyset(where: Where, listing: Listing, *, dated: bool) -> Iterator[Problem]:
    if not dated:
        yield Problem((*where, "paging"), "found paging by keyset, allowed only where there is a time of modification")
    if "seen" not in _used(listing) and (listing.paging.most is None or "limit" not in _used(listing)):
        yield Problem(
            (*where, "paging"),
            "found neither `{seen}` in the request nor `most` with `{limit}`, allowed one of them: more records than a "
            "page holds may share one moment",
        )


def _writes(where: Where, entity: Entity) -> Iterator[Problem]:
    writes = entity.writes()
    if writes and entity.find is None:
        yield Problem(
            where, "found writes without `find`, allowed: it is required, for a write whose answer is lost is looked up"
        )
    for operation, write in writes.items():
        place = (*where, operation.value)
        yield from _named(place, write, _words_of(operation, write))
        needed = "records" if write.bulk > 1 else "record" if operation is not Operation.DELETE else "id"
        if operation is Operation.CREATE and write.id is None:
            yield Problem(place, "found no `id`, allowed: it is required, and says where the new record's id is")
        if operation is not Operation.CREATE and write.bulk > 1:
            yield Problem((*place, "bulk"), f"found a bulk {operation.value}, allowed for `create` only")
        else:
            yield from _lacking(place, write, needed)
            if operation is not Operation.CREATE:
                yield from _lacking(place, write, "id")


def _words_of(operation: Operation, write: Write) -> tuple[str, ...]:
    if operation is Operation.CREATE:
        return ("records",) if write.bulk > 1 else ("record", "idempotency_key")
    return ("id", "version", "idempotency_key", *(("record",) if operation is Operation.UPDATE else ()))


def _used(request: Request) -> set[str]:
    return {name for _, template in request.templates() for name in placeholders(template)}


def _named(where: Where, request: Request, words: Iterable[str]) -> Iterator[Problem]:
    for key, template in request.templates():
        yield from _unknown((*where, key), template, words)


def _unknown(where: Where, template: object, words: Iterable[str]) -> Iterator[Problem]:
    known = tuple(words)
    for name in dict.fromkeys(placeholders(template)):
        if name not in known:
            names = [f"{{{word}}}" for word in known]
            yield Problem(where, f"found the unknown placeholder {{{name}}}{allowed(f'{{{name}}}', names)}")


def _lacking(where: Where, request: Request, word: str) -> Iterator[Problem]:
    if word not in _used(request):
        yield Problem(where, f"found no placeholder {{{word}}}, allowed: this request requires it")
