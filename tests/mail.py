"""A mail server for the tests: speaks as much SMTP as a client needs, and keeps what it is sent."""

from __future__ import annotations

import email
import socketserver
import threading
from dataclasses import dataclass, field
from email.message import Message
from types import TracebackType


@dataclass
class MailServer:
    """Serves on a free port of the loopback while its `with` block runs. `refuse`: the answer to every MAIL FROM."""

    refuse: str | None = None
    got: list[Message] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    def __enter__(self) -> MailServer:
        server = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                _serve(self, server)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def bodies(self) -> list[str]:
        """The HTML of every message, decoded."""
        return [
            part.get_payload(decode=True).decode()  # type: ignore[union-attr]  # decoded bytes
            for message in self.got
            for part in message.walk()
            if part.get_content_type() == "text/html"
        ]


def _serve(session: socketserver.StreamRequestHandler, server: MailServer) -> None:
    def say(line: str) -> None:
        session.wfile.write(f"{line}\r\n".encode())

    recipients: list[str] = []
    say("220 ready")
    while line := session.rfile.readline().decode().strip():
        verb = line.split(":")[0].split()[0].upper()
        if verb == "MAIL" and server.refuse:
            say(server.refuse)
        elif verb == "RCPT":
            recipients.append(line.partition(":")[2].split()[0].strip("<>"))
            say("250 ok")
        elif verb == "DATA":
            say("354 go on")
            server.got.append(email.message_from_bytes(_data(session)))
            server.recipients.append(recipients)
            recipients = []
            say("250 taken")
        elif verb == "QUIT":
            say("221 bye")
            return
        else:
            say("250 ok")


def _data(session: socketserver.StreamRequestHandler) -> bytes:
    lines: list[bytes] = []
    while (line := session.rfile.readline()) not in {b".\r\n", b""}:
        lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
    return b"".join(lines)
