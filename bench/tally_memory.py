"""`python -m bench.tally_memory`: how much memory, and how long, one large answer of Tally takes to read.

A server of this process makes up an answer of so many megabytes in UTF-16, all of it one collection of vouchers; a
process of its own reads it through the connector, as one page after the other, and says what it took.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from erpflow.testing.server import Asked, Reply, ScriptedServer

MEGABYTE: Final = 1_000_000
ROOT: Final = Path(__file__).parents[1]
COMPANY: Final = "Large Books"
GUID: Final = "5d0f0000-1111-2222-3333-444455556666"
ENVELOPE: Final = (
    "<ENVELOPE><HEADER><VERSION>1</VERSION><STATUS>1</STATUS></HEADER><BODY><DESC><CMPINFO><VOUCHER>0</VOUCHER>"
    "</CMPINFO></DESC><DATA><COLLECTION>{}</COLLECTION></DATA></BODY></ENVELOPE>"
)
HEAD, TAIL = (part.encode("utf-16-le") for part in ENVELOPE.split("{}"))


@dataclass(frozen=True, slots=True)
class Taken:
    """What reading took: megabytes at most (resident, of the whole process), seconds, pages, records."""

    peak_mb: float
    seconds: float
    pages: int
    records: int
    largest_page_mb: float


def measure(megabytes: int) -> Taken:
    """Serves an answer of so many megabytes to a process of its own. Raises CalledProcessError when that fails."""
    with ScriptedServer(lambda asked: _answer(asked, megabytes)) as server:
        command = [sys.executable, "-m", "bench.tally_memory", "--read", server.url]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Taken(**json.loads(done.stdout.splitlines()[-1]))


def read(url: str) -> Taken:
    """Reads every page, and forgets it."""
    from erpflow.connectors.account import Account
    from erpflow.connectors.registry import build, connector_class
    from erpflow.connectors.session import build_session
    from erpflow.vocabulary import Window

    session = build_session(connector_class("tally"), Account(url, extra={"company": COMPANY}))
    session.trust_env = False
    connector = build("tally", session, base_url=url, page_size=10**8)  # everything in one answer
    started, pages, records, largest = time.monotonic(), 0, 0, 0
    for page in connector.read("payment", Window()):
        pages, records, largest = pages + 1, records + page.count, max(largest, len(page.raw))
    return Taken(
        round(_peak() / MEGABYTE, 1), round(time.monotonic() - started, 2), pages, records, round(largest / MEGABYTE, 1)
    )


def _peak() -> int:
    """Bytes. Linux lets a process begin with the peak of its parent, where only the kernel's own page tells better."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _answer(asked: Asked, megabytes: int) -> Reply:
    text = asked.body.decode("utf-16") if asked.body else ""
    if "<TYPE>Voucher</TYPE>" in text:
        return Reply(wire=_vouchers(megabytes * MEGABYTE))
    rows = {
        "Company": f'<COMPANY NAME="{COMPANY}"><GUID>{GUID}</GUID><ALTMSTID> 9</ALTMSTID><ALTVCHID> 99999999</ALTVCHID>'
        "</COMPANY>",
        "VoucherType": '<VOUCHERTYPE NAME="Receipt"><PARENT>&#4; Primary</PARENT></VOUCHERTYPE>',
    }
    body = next((row for kind, row in rows.items() if f"<TYPE>{kind}</TYPE>" in text), '<GROUP NAME="x"></GROUP>')
    kind = {"Content-Type": "text/xml; charset=utf-16"}
    return Reply(body=HEAD + body.encode("utf-16-le") + TAIL, headers=kind)


def _vouchers(total: int) -> Callable[[socket.socket], None]:
    """So many bytes of vouchers, made while they are sent."""
    count = max(1, (total - len(HEAD) - len(TAIL)) // len(_voucher(0)))

    def wire(connection: socket.socket) -> None:
        length = len(HEAD) + len(TAIL) + count * len(_voucher(0))
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode())
        connection.sendall(HEAD)
        for start in range(0, count, 50):
            connection.sendall(b"".join(_voucher(number) for number in range(start, min(start + 50, count))))
        connection.sendall(TAIL)

    return wire


def _voucher(number: int) -> bytes:
    entries = "".join(
        f"<ALLLEDGERENTRIES.LIST><LEDGERNAME>Ledger {entry:03d} &amp; Sons</LEDGERNAME><ISDEEMEDPOSITIVE>No"
        "</ISDEEMEDPOSITIVE><LEDGERFROMITEM>No</LEDGERFROMITEM><AMOUNT>100.00</AMOUNT><SERVICETAXDETAILS.LIST>      "
        "</SERVICETAXDETAILS.LIST><BILLALLOCATIONS.LIST><NAME>INV/1</NAME><BILLTYPE>Agst Ref</BILLTYPE><AMOUNT>100.00"
        "</AMOUNT></BILLALLOCATIONS.LIST></ALLLEDGERENTRIES.LIST>"
        for entry in range(8)
    )
    return (
        f'<VOUCHER REMOTEID="{GUID}-{number:08x}" VCHTYPE="Receipt"><GUID TYPE="String">{GUID}-{number:08x}</GUID>'
        f'<ALTERID TYPE="Number"> {number + 1:08d}</ALTERID><DATE TYPE="Date">20260401</DATE><VOUCHERTYPENAME>Receipt'
        "</VOUCHERTYPENAME><PARTYLEDGERNAME>Ledger 000 &amp; Sons</PARTYLEDGERNAME><NARRATION>&#4; किराया ₹ paid"
        f"</NARRATION>{entries}</VOUCHER>"
    ).encode("utf-16-le")


def main() -> None:
    """Prints what it took."""
    parser = argparse.ArgumentParser(prog="python -m bench.tally_memory", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--read", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    taken = read(options.read) if options.read else measure(options.megabytes)
    print(json.dumps({name: getattr(taken, name) for name in taken.__dataclass_fields__}))


if __name__ == "__main__":
    main()
