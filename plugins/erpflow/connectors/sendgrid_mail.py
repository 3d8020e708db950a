"""One mail: what it is made of, what SendGrid would refuse of it, and how it is written on the wire.

Everything in one personalization: all recipients get the same. Whoever sends each something else sends several mails.
Source: Twilio's OpenAPI of mail/send; caps and texts in docs/systems/sendgrid.md.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from erpflow.connectors.messaging import problem, refuse_if, too_long
from erpflow.errors import FieldProblem

MOST_RECIPIENTS: Final = 1_000
MOST_CATEGORIES: Final = 10
LONGEST_CATEGORY: Final = 255
CUSTOM_ARGS_BYTES: Final = 10_000
ATTACHED_BYTES: Final = 10 * 1024 * 1024
"""All attachments of a mail, unpacked. SendGrid takes 30 MB of everything and advises 10."""
LARGEST_BYTES: Final = 30 * 1024 * 1024
LONGEST_SUBJECT: Final = 998
"""A line of a mail. Source: RFC 5322, 2.1.1."""
LONGEST_ADDRESS: Final = 254
"""Source: RFC 5321, 4.5.3.1.3, less the angle brackets."""
REFERENCE: Final = "erpflow_message"
"""The custom argument that names our own row of the outbox; it comes back in every event of the mail."""

_ADDRESS: Final = re.compile(r"[^\s@<>()\[\],;:\"\\]{1,64}@[^\s@<>()\[\],;:\"\\]+\.[^\s@<>()\[\],;:\"\\.]+")
_DYNAMIC_TEMPLATE: Final = re.compile(r"d-[0-9a-fA-F]{32}")
_MIME: Final = re.compile(r"[\w.+-]+/[\w.+-]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Address:
    """An address of mail, and whose it is."""

    email: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along. `content` in base64 on one line; `content_id` of one that is shown in the text."""

    filename: str
    content: str = field(repr=False)
    type: str | None = None
    inline: bool = False
    content_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail with a text of its own, or a template and what to put into it. `sender` None: the connection's own."""

    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    sender: Address | None = None
    reply_to: Address | None = None
    subject: str | None = None
    text: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
    template_id: str | None = None
    dynamic_data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attachments: tuple[Attachment, ...] = ()
    categories: tuple[str, ...] = ()
    custom_args: Mapping[str, str] = field(default_factory=dict)
    click_tracking: bool = False

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it goes to, all of them."""
        return tuple(each.email for each in (*self.to, *self.cc, *self.bcc))

    def check(self) -> None:
        """Raises MessageRejected with everything that SendGrid would refuse."""
        refuse_if((
            *_recipients(self), *_content(self), *_attachments(self), *_labels(self)
        ))  # fmt: skip

    def compose(self, *, sender: Address, reference: str) -> bytes:
        """The body of the request. Raises MessageRejected when the whole is too large."""
        personalization = {
            "to": [_address(each) for each in self.to],
            "cc": [_address(each) for each in self.cc],
            "bcc": [_address(each) for each in self.bcc],
            "dynamic_template_data": dict(self.dynamic_data) if self.template_id else None,
        }
        parts = (("text/plain", self.text), ("text/html", self.html))  # plain text first, or it is a 400
        body = {
            "personalizations": [_given(personalization)],
            "from": _address(self.sender or sender),
            "reply_to": _address(self.reply_to) if self.reply_to else None,
            "subject": self.subject,
            "content": [{"type": kind, "value": value} for kind, value in parts if value],
            "template_id": self.template_id,
            "attachments": [_attachment(each) for each in self.attachments],
            "categories": list(self.categories),
            "custom_args": {**self.custom_args, REFERENCE: reference},
            # A rewritten link leaks where it leads, and a signed one may not survive it (sheet, "Gotchas" 10).
            "tracking_settings": {"click_tracking": {"enable": self.click_tracking, "enable_text": False}},
        }
        raw = msgspec.json.encode(_given(body))
        if len(raw) > LARGEST_BYTES:
            refuse_if([FieldProblem("", "max_length", f"A mail has {LARGEST_BYTES:,} bytes at most, attachments too.")])
        return raw


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: SendGrid refuses an empty list where it takes none at all."""
    return {name: value for name, value in values.items() if value not in (None, [], "", {})}


def _address(address: Address) -> dict[str, str]:
    return {"email": address.email, "name": address.name} if address.name else {"email": address.email}


def _attachment(attached: Attachment) -> dict[str, Any]:
    return _given({
        "content": attached.content,
        "filename": attached.filename,
        "type": attached.type,
        "disposition": "inline" if attached.inline else "attachment",
        "content_id": attached.content_id,
    })  # fmt: skip


# -- what is wrong with a mail ----------------------------------------------------------------------------------------


def _recipients(mail: Mail) -> Iterator[FieldProblem]:
    fields = {"to": mail.to, "cc": mail.cc, "bcc": mail.bcc}
    if not mail.to:
        yield problem("to", "required", "a mail needs somebody it goes to.")
    if len(mail.recipients) > MOST_RECIPIENTS:
        yield problem("to", "max_length", f"to, cc and bcc together are {MOST_RECIPIENTS:,} addresses at most.")
    seen: dict[str, str] = {}
    for name, addresses in fields.items():
        for number, address in enumerate(addresses):
            where = f"{name}.{number}"
            yield from _wrong_address(where, address)
            first = seen.setdefault(address.email.casefold(), where)
            if first != where:
                what = f"{address.email} is in {first} already. Name each address once in to, cc and bcc."
                yield problem(f"{where}.email", "duplicate", what)
    for name, one in (("from", mail.sender), ("reply_to", mail.reply_to)):
        if one is not None:
            yield from _wrong_address(name, one)


def _wrong_address(where: str, address: Address) -> Iterator[FieldProblem]:
    if len(address.email) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(address.email):
        said = "is no address. Write it like anna@example.com; a name goes into `name`."
        yield problem(f"{where}.email", "email", said, value=address.email[:100])
    if address.name is not None and _CONTROL.search(address.name):
        yield problem(f"{where}.name", "characters", "holds a line break or another control character.")


def _content(mail: Mail) -> Iterator[FieldProblem]:
    try:
        msgspec.json.encode(dict(mail.dynamic_data))
    except (OverflowError, TypeError, UnicodeEncodeError, RecursionError) as error:
        yield problem("dynamic_data", "json", f"cannot be written as JSON ({type(error).__name__}).")
    if mail.template_id is not None:
        yield from _template(mail)
        return
    if mail.dynamic_data:
        yield problem("dynamic_data", "needs", "is for a template. Give template_id, or leave it out.")
    if not (mail.subject or "").strip():
        yield problem("subject", "required", "a mail without a template needs one.")
    if not mail.text and not mail.html:
        yield problem("text", "required", "a mail needs text or html, or a template_id.")
    if mail.subject and _CONTROL.search(mail.subject):
        yield problem("subject", "characters", "holds a line break or another control character.")
    yield from too_long("subject", mail.subject, LONGEST_SUBJECT)


def _template(mail: Mail) -> Iterator[FieldProblem]:
    if not _DYNAMIC_TEMPLATE.fullmatch(mail.template_id or ""):
        said = "is no dynamic template: its id is d- and 32 hexadecimal digits (SendGrid → Dynamic Templates)."
        yield problem("template_id", "format", said, value=(mail.template_id or "")[:100])
    for name in ("subject", "text", "html"):
        if getattr(mail, name):
            said = "comes from the template. Leave it out, or send without template_id."
            yield problem(name, "excluded", said)


def _attachments(mail: Mail) -> Iterator[FieldProblem]:
    total = 0
    for number, attached in enumerate(mail.attachments):
        where = f"attachments.{number}"
        size = _size(attached.content)
        if size is None:
            said = "is not base64 on one line. Leave out line breaks and what stands before a comma (data:…;base64,)."
            yield problem(f"{where}.content", "base64", said)
        elif size == 0:
            yield problem(f"{where}.content", "required", "is empty.")
        total += size or 0
        if not attached.filename.strip() or _CONTROL.search(attached.filename) or "/" in attached.filename:
            yield problem(f"{where}.filename", "format", "is a name such as INV-104.pdf, without a path.")
        if attached.type is not None and not _MIME.fullmatch(attached.type):
            yield problem(f"{where}.type", "format", "is a media type such as application/pdf.")
        if attached.inline and not attached.content_id:
            yield problem(f"{where}.content_id", "required", "an inline attachment needs the id that html shows it by.")
    if total > ATTACHED_BYTES:
        said = (
            f"are {ATTACHED_BYTES // 1024 // 1024} MiB together at most, and these have {total:,} bytes. Send a link."
        )
        yield problem("attachments", "max_length", said)


def _size(content: str) -> int | None:
    """Bytes that a base64 text stands for; None when it is none."""
    try:
        return len(base64.b64decode(content, validate=True))
    except (binascii.Error, ValueError):
        return None


def _labels(mail: Mail) -> Iterator[FieldProblem]:
    if len(mail.categories) > MOST_CATEGORIES:
        yield problem("categories", "max_length", f"{MOST_CATEGORIES} at most, and there are {len(mail.categories)}.")
    for number, category in enumerate(mail.categories):
        where = f"categories.{number}"
        if not category.strip():
            yield problem(where, "required", "is empty.")
        if category in mail.categories[:number]:
            yield problem(where, "duplicate", f'"{category}" is named twice.')
        yield from too_long(where, category, LONGEST_CATEGORY)
    if REFERENCE in mail.custom_args:
        yield problem(
            f"custom_args.{REFERENCE}", "reserved", "is what erpflow calls the message by. Take another name."
        )
    size = len(msgspec.json.encode(dict(mail.custom_args)))
    if size > CUSTOM_ARGS_BYTES - 100:  # ours goes along
        yield problem("custom_args", "max_length", f"{CUSTOM_ARGS_BYTES:,} bytes at most, and these have {size:,}.")
