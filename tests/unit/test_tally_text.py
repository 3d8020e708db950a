"""Tally's characters: what is sent arrives whole, what it sends becomes legal, whatever pieces it comes in."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from erpflow.connectors.tally_text import encoded, escaped, legal, unescaped
from erpflow.errors import ProtocolError

SENDABLE = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\ufffe\uffff\r"))


def pieces(body: bytes, *, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def parsed(body: bytes, *, size: int = 7) -> str:
    """The text of the outermost element."""
    return unescaped(etree.fromstring(b"".join(legal(pieces(body, size=size)))).text or "")


@pytest.mark.parametrize("reference", ["&#4;", "&#04;", "&#0004;", "&#x4;", "&#X04;", "\x04"])
@pytest.mark.parametrize("charset", ["utf-16-le", "utf-8"])
def test_the_mark_before_reserved_values_is_kept_however_it_is_written(reference: str, charset: str) -> None:
    for size in (1, 2, 3, 5, 1000):
        assert parsed(f"<A>{reference} Primary</A>".encode(charset), size=size) == "\x04 Primary"


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF16_LE])
def test_utf_16_is_told_by_its_bytes_with_and_without_a_mark(mark: bytes) -> None:
    assert parsed(mark + "<A>दिल्ली ₹ 🎈</A>".encode("utf-16-le"), size=3) == "दिल्ली ₹ 🎈"
    assert parsed("<A>₹</A>".encode("utf-8-sig")) == "₹"


def test_line_breaks_and_tabs_are_no_control_characters() -> None:
    assert parsed(b"<A>one&#10;two&#13;&#9;three</A>") == "one\ntwo\r\tthree"


def test_other_control_characters_are_kept_and_those_that_no_text_can_hold_are_not() -> None:
    assert parsed(b"<A>a&#1;b&#31;c\x02d&#0;e&#xD800;f&#x110000;g</A>") == "a\x01b\x1fc\x02de\ufffdf\ufffdg"


@given(SENDABLE, st.integers(1, 40))
def test_what_is_sent_comes_back_through_every_cut(text: str, size: int) -> None:
    body = f"<A>{escaped(text)}</A>".encode("utf-16-le")
    kept = "".join(char for char in text if not 0xFDD0 <= ord(char) <= 0xFDEF)
    assert parsed(body, size=size) == kept.strip(" \t\r\n") or kept != text


def test_an_attribute_survives_too() -> None:
    name = 'O\'Brien & <Söhne> "GmbH"\nKochi'
    body = f'<A NAME="{escaped(name)}"/>'.encode("utf-16-le")
    assert etree.fromstring(b"".join(legal([body]))).get("NAME") == name


def test_a_prefix_that_nobody_declared_is_part_of_the_name() -> None:
    (child,) = etree.fromstring(b"".join(legal(pieces(b"<A><UDF:REGION.LIST>x</UDF:REGION.LIST></A>", size=3))))
    assert child.tag == "UDF_REGION.LIST"


@pytest.mark.parametrize("body", ['<!DOCTYPE A [<!ENTITY x "y">]><A>&x;</A>', "<!DOCTYPE html><html></html>"])
@pytest.mark.parametrize("size", [1, 4, 5000])
def test_entities_are_refused_before_the_parser_sees_them(body: str, size: int) -> None:
    with pytest.raises(ProtocolError, match="document type"):
        list(legal(pieces(body.encode("utf-16-le"), size=size)))


def test_a_request_begins_with_its_mark_so_that_the_answer_can_hold_every_character() -> None:
    assert encoded("<A>₹</A>") == b"\xff\xfe" + "<A>₹</A>".encode("utf-16-le")


@pytest.mark.parametrize("text", ["\x00", "half \ud800", "\uffff"])
def test_what_no_request_can_carry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        escaped(text)
