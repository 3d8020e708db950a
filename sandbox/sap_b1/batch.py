"""`$batch`: parts one after the other until one fails, change sets all or nothing, and 200 or 202 over it all."""

import re
from collections.abc import Iterator
from dataclasses import replace

from sandbox.sap_b1.company import Company
from sandbox.sap_b1.errors import malformed
from sandbox.sap_b1.service import Asked, Reply, answer
from sandbox.sap_b1.sessions import User

BOUNDARY = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
ROOT = re.compile(r"^(?:https?://[^/]+)?/b1s/v[12]/")
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    412: "Precondition Failed",
}
EOL = b"\r\n"


class Failed(Exception):
    """A part of a change set failed: the whole set is taken back."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def run(company: Company, asked: Asked, user: User) -> Reply:
    """The whole batch. Raises ServiceError for a body that is no batch."""
    found = BOUNDARY.search(asked.headers.get("content-type", ""))
    if found is None:
        raise malformed("A batch is multipart/mixed with a boundary.")
    outer = b"batchresponse_sandbox"
    body = b""
    for headers, content in parts_of(asked.body, found[1]):
        part, ok = run_part(company, asked, user, headers, content)
        body += b"--" + outer + EOL + part + EOL
        if not ok:
            break
    body += b"--" + outer + b"--" + EOL
    return Reply(
        202 if asked.version == "v1" else 200, body, {"content-type": f"multipart/mixed;boundary={outer.decode()}"}
    )


def run_part(company: Company, asked: Asked, user: User, headers: str, content: bytes) -> tuple[bytes, bool]:
    """The answer to a part, and whether the batch goes on."""
    inner = BOUNDARY.search(headers) if "multipart/mixed" in headers.lower() else None
    if inner is None:
        reply = answer(company, request_of(content, asked), user)
        return written(reply), reply.status < 400
    boundary = b"changesetresponse_sandbox"
    try:
        with company.transaction():
            replies = [
                (number, succeeded(answer(company, request_of(part, asked), user)))
                for number, part in numbered_parts(content, inner[1], version=asked.version)
            ]
    except Failed as failed:
        return written(failed.reply), False
    parts = b"".join(b"--" + boundary + EOL + written(reply, number=number) + EOL for number, reply in replies)
    head = b"Content-Type: multipart/mixed;boundary=" + boundary + EOL + EOL
    return head + parts + b"--" + boundary + b"--" + EOL, True


def numbered_parts(content: bytes, boundary: str, *, version: str) -> Iterator[tuple[str, bytes]]:
    for headers, part in parts_of(content, boundary):
        number = re.search(r"(?im)^content-id:\s*(\S+)", headers)
        if part.lstrip().startswith(b"GET "):
            raise malformed("A change set may not hold a GET.")
        if number is None and version == "v2":
            raise malformed("A part of a change set needs a Content-ID.")
        yield (number[1] if number else "", part)


def parts_of(body: bytes, boundary: str) -> Iterator[tuple[str, bytes]]:
    """The parts between boundaries: their headers, and what follows the blank line."""
    marker = b"--" + boundary.encode()
    chunks = (b"\r\n" + body).split(b"\r\n" + marker)
    if len(chunks) < 3 or not chunks[-1].startswith(b"--"):
        raise malformed("The batch does not end with its boundary.")
    for chunk in chunks[1:-1]:
        head, blank, content = chunk.removeprefix(EOL).partition(EOL + EOL)
        if not blank:
            raise malformed("A part of the batch has no content.")
        yield head.decode("latin-1"), content


def request_of(content: bytes, asked: Asked) -> Asked:
    """The request inside a part."""
    head, _, body = content.partition(EOL + EOL)
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) < 2 or not ROOT.match(words[1]):
        raise malformed(f"{first[:60]!r} is no request.")
    path, _, query = ROOT.sub("", words[1]).partition("?")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    length = headers.get("content-length")
    body = body[: int(length)] if length and length.isdigit() else body
    return replace(asked, method=words[0], path=path, query=query, headers=headers, body=body)


def succeeded(reply: Reply) -> Reply:
    if reply.status >= 400:
        raise Failed(reply)
    return reply


def written(reply: Reply, *, number: str = "") -> bytes:
    head = [
        "Content-Type: application/http",
        f"Content-Length: {len(reply.body)}",
        "Content-Transfer-Encoding: binary",
        *([f"Content-ID: {number}"] if number else []),
        "",
        f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Error')}",
        *(f"{name.title()}: {value}" for name, value in reply.headers.items()),
        "",
        "",
    ]
    return "\r\n".join(head).encode() + reply.body + EOL
