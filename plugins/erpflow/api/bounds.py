"""Bodies are bounded in size and in time before anything reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from erpflow.api import problems

LARGEST = 2 * 1024 * 1024
"""Bytes. Source: API.md, webhooks; what takes more says so (`app.LARGEST_BODIES`)."""

PATIENCE_S = 20.0
"""For a whole body; whoever dribbles longer holds a connection, not a worker."""

Refuse = Callable[[HTTPStatus, str, dict[str, str]], Response]
"""The answer to a body that is not taken: its status, why, and headers that go with it."""


def as_problem(status: HTTPStatus, why: str, headers: dict[str, str]) -> Response:
    """As every error of the API."""
    return problems.answer(status, status.name.lower(), why, headers=headers)


class BoundedBodies:
    """Reads a request's body whole, then hands it on; answers 413 when it is too large, 408 when it takes too long.

    A compressed body is refused (415): nobody has to unpack what a stranger packed.
    """

    def __init__(
        self, app: ASGIApp, *, largest: int = LARGEST, patience_s: float = PATIENCE_S, refuse: Refuse = as_problem
    ) -> None:
        self.app = app
        self.refuse = refuse
        self.largest = largest
        self.patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refused = self._refused(headers)
        body = b""
        if refused is None:
            try:
                async with asyncio.timeout(self.patience_s):
                    body, refused = await self._read(receive)
            except TimeoutError:
                refused = HTTPStatus.REQUEST_TIMEOUT, f"The body did not arrive within {self.patience_s:.0f} seconds."
        if refused is not None:
            status, detail = refused
            # What is still to come is not read: the connection cannot be used again.
            gone = {"Connection": "close"}
            await self.refuse(status, detail, gone)(scope, receive, send)
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)

    def _refused(self, headers: dict[bytes, bytes]) -> tuple[HTTPStatus, str] | None:
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send the body as it is, without Content-Encoding."
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self.largest:
            return self._too_large()
        return None

    async def _read(self, receive: Receive) -> tuple[bytes, tuple[HTTPStatus, str] | None]:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b"", (HTTPStatus.BAD_REQUEST, "The body ended before it was whole.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.largest:
                return b"", self._too_large()
            if not message.get("more_body", False):
                return b"".join(parts), None

    def _too_large(self) -> tuple[HTTPStatus, str]:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {self.largest:,} bytes."
