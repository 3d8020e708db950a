"""Several writes in one request: `$batch`, multipart/mixed with a change set of its own for every write.

A change set is all or nothing, and the batch ends at the first one that fails. Whatever happens inside, the answer as a
whole is 200 or 202. Source: SAP, "Working with SAP Business One Service Layer", "Batch Operations".
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from typing import Final

from requests.structures import CaseInsensitiveDict

from erpflow.connectors.answer import Answer, excerpt
from erpflow.errors import ProtocolError

_EOL: Final = "\r\n"
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Operation:
    """One write: `path` below the service root, percent-encoded."""

    method: str
    path: str
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


def new_boundary() -> str:
    """A line that no value contains."""
    return f"batch_{uuid.uuid4().hex}"


def batch_body(operations: Sequence[Operation], *, root: str, host: str, boundary: str) -> bytes:
    """The body of a batch: one change set for each operation, in their order."""
    lines: list[bytes] = []
    for number, operation in enumerate(operations, start=1):
        inner = f"changeset_{number}_{boundary}"
        head = [
            f"--{boundary}",
            f"Content-Type: multipart/mixed;boundary={inner}",
            "",
            f"--{inner}",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            f"Content-ID: {number}",
            "",
            f"{operation.method} {root}/{operation.path}",
            f"Host: {host}",
            *(f"{name}: {value}" for name, value in operation.headers.items()),
            *(["Content-Type: application/json", f"Content-Length: {len(operation.body)}"] if operation.body else []),
            "",
            "",
        ]
        lines += [_EOL.join(head).encode(), operation.body or b"", f"{_EOL}--{inner}--{_EOL}".encode()]
    return b"".join((*lines, f"--{boundary}--{_EOL}".encode()))


def parts_of_batch(answer: Answer, operations: Sequence[Operation], *, root: str) -> list[Answer]:
    """The answers to the operations, as many as there are. Raises ProtocolError when nothing tells what was done."""
    message = _multipart(answer)
    found = [
        _answer(answer, part, operation, root=root)
        for part, operation in zip(_http_parts(message), operations, strict=False)
    ]
    complete = len(found) == len(operations) or (found and found[-1].status >= 400)
    if not complete or len(list(_http_parts(message))) > len(operations):
        raise ProtocolError(
            f"SAP Business One was sent a batch of {len(operations)} and answered {len(found)} of them without saying "
            f"why. The answer begins: {excerpt(answer.body)}",
            maybe_done=True,
        )
    return found


def _multipart(answer: Answer) -> Message:
    kind = answer.headers.get("Content-Type", "")
    message = BytesParser().parsebytes(
        b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n" + answer.body
    )
    if not message.is_multipart() or not answer.body.rstrip().endswith(f"--{message.get_boundary()}--".encode()):
        raise ProtocolError(
            f"SAP Business One answered {answer.method} {answer.path} with {kind or 'no type'} in place of the parts "
            f"of a batch. It begins: {excerpt(answer.body)}",
            maybe_done=True,
        )
    return message


def _http_parts(message: Message) -> Iterator[Message]:
    return (part for part in message.walk() if part.get_content_type() == "application/http")


def _answer(outer: Answer, part: Message, operation: Operation, *, root: str) -> Answer:
    payload = part.get_payload(decode=True)
    raw = payload if isinstance(payload, bytes) else b""
    head, *body = _BLANK_LINE.split(raw.lstrip(), maxsplit=1)
    first, *rest = head.decode("latin-1").splitlines() or [""]
    words = first.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise ProtocolError(
            f"A part of SAP Business One's answer to a batch is no answer. It begins: {excerpt(raw)}", maybe_done=True
        )
    pairs = (line.partition(":") for line in rest)
    return Answer(
        method=operation.method,
        path=f"{root}/{operation.path}",
        status=int(words[1]),
        headers=CaseInsensitiveDict({name.strip(): value.strip() for name, _, value in pairs}),
        body=b"".join(body).strip(),
        latency=outer.latency,
        correlation_id=outer.correlation_id,
        authenticated=outer.authenticated,
    )
