"""Where a vendor's page of consent sends the browser back to: a server on this machine, for as long as one consent."""

from __future__ import annotations

import html
import secrets
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from erpflow.errors import AuthFailed, ConfigError

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})
_REQUEST_S: Final = 5.0
"""A browser that opens a connection and says nothing does not hold the consent up for longer."""


def is_loopback(redirect_uri: str) -> bool:
    """Whether a browser on this machine would come back to this machine."""
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def parameters_of(pasted: str) -> dict[str, str]:
    """What the address of a browser says that was sent back; of its query alone too. Raises ConfigError."""
    text = pasted.strip()
    found = dict(parse_qsl(urlsplit(text).query if "://" in text else text.lstrip("?")))
    if not found.keys() & {"code", "error"}:
        raise ConfigError(
            "That is not the address the vendor sent the browser to: it holds no code. Start again, and after you "
            "agreed copy the whole address from the browser's address bar, even if the page does not load."
        )
    return found


class LoopbackServer:
    """Waits for the browser at a loopback address; for `state` alone, so that no other page can answer in its place."""

    def __init__(self, redirect_uri: str) -> None:
        """Raises ConfigError when the port is taken."""
        parts = urlsplit(redirect_uri)
        self._path = parts.path or "/"
        self._found: dict[str, str] | None = None
        self._state = ""
        try:
            self._server = HTTPServer(("127.0.0.1", parts.port or 80), self._handler())
        except OSError as error:
            raise ConfigError(
                f"Nothing can listen at {redirect_uri} ({error.strerror}). Name another port with --redirect-uri, one "
                "that the app is registered with at the vendor, or use --paste."
            ) from None

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait(self, state: str, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> Mapping[str, str]:
        """The parameters of the redirect that answers `state`. Raises AuthFailed when none comes in so many seconds."""
        self._state = state
        deadline = clock() + seconds
        while self._found is None and (left := deadline - clock()) > 0:
            self._server.timeout = left
            self._server.handle_request()
        if self._found is None:
            raise AuthFailed(
                f"Nobody agreed within {seconds / 60:.0f} minutes. Start again; if the browser is on another machine, "
                "with --paste."
            )
        return self._found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        waiting = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _REQUEST_S

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                if parts.path != waiting._path:
                    self._say(404, "There is nothing here.")
                elif not secrets.compare_digest(query.get("state", "").encode(), waiting._state.encode()):
                    self._say(400, "This is not the answer to the consent that erpflow waits for.")
                else:
                    waiting._found = query
                    self._say(200, "erpflow has got the vendor's answer. You can close this page.")

            def _say(self, status: int, sentence: str) -> None:
                body = (
                    f"<!doctype html><meta charset=utf-8><title>erpflow</title><p>{html.escape(sentence)}</p>".encode()
                )
                self.send_response_only(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Referrer-Policy", "no-referrer")  # the address holds the code
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return None  # the address holds the code

        return Handler
