"""Documents of a page, made here: what the sandbox's Textract reads in them is their text."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

INVOICE = (
    "Vendor: ACME d.o.o.",
    "Invoice No.: INV-2026-001",
    "Invoice date: 19.01.2026",
    "- Widget | 2 | 50,00 | 100,00",
    "Subtotal: 100,00 €",
    "Tax: 22,00 €",
    "Total: 122,00 €",
)


def pdf(lines: Sequence[str] = INVOICE, *, pages: int = 1) -> bytes:
    """A PDF that shows the lines, uncompressed."""
    shown = b"\n".join(b"(%s) Tj" % line.encode().replace(b"(", rb"\(").replace(b")", rb"\)") for line in lines)
    kids = b"".join(b"<< /Type /Page /Parent 2 0 R >>\n" for _ in range(pages))
    return b"%PDF-1.4\n<< /Type /Pages >>\n" + kids + b"stream\n" + shown + b"\nendstream\n%%EOF\n"


def png(lines: Sequence[str] = INVOICE) -> bytes:
    """A PNG of one white pixel, with the lines as a comment."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    comment = b"lines\0" + "\n".join(lines).encode() + b"\0"
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"tEXt", comment), chunk(b"IDAT", zlib.compress(b"\0\xff")))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")
