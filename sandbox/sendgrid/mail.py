"""What SendGrid finds wrong with a mail. Source: Twilio's OpenAPI of mail/send; texts where the sheet has them.

The wording of most messages is UNVERIFIED; the fields are those of the OpenAPI.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from sandbox.sendgrid.account import Account

MOST = 1_000
UNIQUE = "Each email address in the personalization block should be unique between to, cc, and bcc."
EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")
KNOWN = {
    "personalizations", "from", "reply_to", "reply_to_list", "subject", "content", "attachments", "template_id",
    "headers", "categories", "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings",
    "tracking_settings",
}  # fmt: skip
LATEST_S = 72 * 3600

Problem = tuple[str, str | None]


def problems(account: Account, mail: Any) -> list[Problem]:
    """Every reason to refuse a mail, each with the path of its field."""
    if not isinstance(mail, dict):
        return [("Bad Request", None)]
    unknown = sorted(set(mail) - KNOWN)
    if unknown:
        return [(f"Additional property {unknown[0]} is not allowed", unknown[0])]
    return [
        *_addresses(mail), *_template(account, mail), *_content(mail), *_attachments(mail), *_labels(mail),
        *_scheduled(account, mail),
    ]  # fmt: skip


def _addresses(mail: dict[str, Any]) -> Iterator[Problem]:
    if not _is_address(mail.get("from")):
        yield "The from object must be provided for every email send. It must have an email address.", "from.email"
    if mail.get("reply_to") is not None and not _is_address(mail["reply_to"]):
        yield "The reply_to object must have a valid email address.", "reply_to.email"
    blocks = mail.get("personalizations")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= MOST:
        yield "The personalizations field is required and must have at least one personalization.", "personalizations"
        return
    for number, block in enumerate(blocks):
        if not isinstance(block, dict):
            yield "Bad Request", f"personalizations.{number}"
            continue
        yield from _block(f"personalizations.{number}", block)


def _block(where: str, block: dict[str, Any]) -> Iterator[Problem]:
    if not block.get("to"):
        yield (
            "The to array is required for all personalization objects, and must have at least one email.",
            f"{where}.to",
        )
    seen: set[str] = set()
    for name in ("to", "cc", "bcc"):
        listed = block.get(name)
        if listed is None:
            continue
        if not isinstance(listed, list) or not listed:
            yield f"The {name} array, when used, must have at least one email.", f"{where}.{name}"
            continue
        for number, address in enumerate(listed):
            if not _is_address(address):
                yield "Does not contain a valid address.", f"{where}.{name}.{number}.email"
            elif address["email"].lower() in seen:
                yield UNIQUE, where
            else:
                seen.add(address["email"].lower())
    if len(seen) > MOST:
        yield "The total number of recipients of a personalization is limited to 1000.", where
    if not _is_texts(block.get("custom_args", {})):
        yield "The custom_args values must be strings.", f"{where}.custom_args"


def _is_address(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("email"), str) and bool(EMAIL.fullmatch(value["email"]))


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def _template(account: Account, mail: dict[str, Any]) -> Iterator[Problem]:
    if mail.get("template_id") is not None and mail["template_id"] not in account.templates:
        yield "The template_id must be a valid template id. You provided an unknown one.", "template_id"


def _content(mail: dict[str, Any]) -> Iterator[Problem]:
    blocks = [block for block in mail.get("personalizations") or () if isinstance(block, dict)]
    if mail.get("template_id") is None:
        if not mail.get("subject") and not all(block.get("subject") for block in blocks):
            yield "The subject is required. You can get around this requirement with a template.", "subject"
        if not mail.get("content"):
            yield "Unless a valid template_id is provided, the content parameter is required.", "content"
    types = []
    for number, part in enumerate(mail.get("content") or ()):
        if not isinstance(part, dict) or not part.get("value") or not isinstance(part.get("type"), str):
            yield "The content value must be a string at least one character in length.", f"content.{number}.value"
            continue
        types.append(part["type"])
    if "text/plain" in types[1:]:
        yield "If present, text/plain must be first, followed by text/html, then everything else.", "content"


def _attachments(mail: dict[str, Any]) -> Iterator[Problem]:
    for number, attached in enumerate(mail.get("attachments") or ()):
        where = f"attachments.{number}"
        if not isinstance(attached, dict) or not isinstance(attached.get("content"), str):
            yield "The attachment content is required.", f"{where}.content"
            continue
        try:
            base64.b64decode(attached["content"], validate=True)
        except (binascii.Error, ValueError):
            yield "The attachment content must be base64 encoded.", f"{where}.content"
        if not attached.get("filename"):
            yield "The attachment filename is required.", f"{where}.filename"
        if attached.get("disposition") not in (None, "attachment", "inline"):
            yield "The disposition must be inline or attachment.", f"{where}.disposition"


def _labels(mail: dict[str, Any]) -> Iterator[Problem]:
    categories = mail.get("categories") or []
    if len(categories) > 10 or len(set(map(str, categories))) != len(categories):
        yield "You can specify up to 10 unique categories per message.", "categories"
    if any(not isinstance(each, str) or len(each) > 255 for each in categories):
        yield "A category must be a string of at most 255 characters.", "categories"
    arguments = mail.get("custom_args") or {}
    if not _is_texts(arguments):
        yield "The custom_args values must be strings.", "custom_args"
    elif sum(len(name.encode()) + len(value.encode()) for name, value in arguments.items()) > 10_000:
        yield "The custom_args must not exceed 10000 bytes.", "custom_args"


def _scheduled(account: Account, mail: dict[str, Any]) -> Iterator[Problem]:
    at = mail.get("send_at")
    if at is not None and (not isinstance(at, int) or at > account.now() + LATEST_S):
        yield "The send_at must be a unix timestamp of at most 72 hours ahead.", "send_at"
