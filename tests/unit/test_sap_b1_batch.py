"""A batch on the wire: what is sent, and what an answer tells of every part of it."""

from __future__ import annotations

import pytest

from erpflow.connectors.answer import Answer
from erpflow.connectors.sap_b1_batch import Operation, batch_body, parts_of_batch
from erpflow.errors import ProtocolError

TWO = [Operation("PATCH", "Items('A')", b'{"ItemName":"x"}', {"If-Match": 'W/"1"'}), Operation("DELETE", "Items('B')")]
NO_CONTENT = "HTTP/1.1 204 No Content\r\n\r\n"
REFUSED = 'HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n{"error":{"code":"-10","message":"no"}}'


def whole(*parts: str, boundary: str = "b", end: str = "--b--\r\n") -> bytes:
    """A batch answer: each part a change set with one reply, a refused one without."""
    text = ""
    for reply in parts:
        http = f"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{reply}\r\n"
        inner = f"Content-Type: multipart/mixed;boundary=c\r\n\r\n--c\r\n{http}--c--\r\n"
        text += f"--{boundary}\r\n{http if ' 400 ' in reply else inner}"
    return (text + end).encode()


def answered(body: bytes, *, kind: str = "multipart/mixed;boundary=b", count: int = 2) -> list[Answer]:
    outer = Answer("POST", "/b1s/v2/$batch", 200, {"Content-Type": kind}, body, 0.1, "id", False)
    return parts_of_batch(outer, TWO[:count], root="/b1s/v2")


def test_every_write_is_a_change_set_of_its_own_with_a_number() -> None:
    sent = batch_body(TWO, root="/b1s/v2", host="h:50000", boundary="b").decode()
    assert sent.count("Content-Type: multipart/mixed;boundary=changeset_") == 2
    assert "Content-ID: 1\r\n" in sent and "Content-ID: 2\r\n" in sent
    assert "PATCH /b1s/v2/Items('A')\r\nHost: h:50000\r\nIf-Match: W/\"1\"\r\n" in sent
    assert "DELETE /b1s/v2/Items('B')\r\n" in sent
    assert sent.endswith("--b--\r\n")


def test_all_parts_are_answered_in_their_order() -> None:
    created = 'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n{"ItemCode":"Ä 🎈"}'
    first, second = answered(whole(created, NO_CONTENT))
    assert (first.status, first.body.decode(), first.path) == (201, '{"ItemCode":"Ä 🎈"}', "/b1s/v2/Items('A')")
    assert (second.status, second.body, second.method) == (204, b"", "DELETE")


def test_a_failure_ends_the_answers_and_what_follows_was_not_done() -> None:
    (only,) = answered(whole(REFUSED))
    assert (only.status, b'"-10"' in only.body) == (400, True)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>Login</html>", "text/html"),
        (b"", "multipart/mixed;boundary=b"),
        (whole(NO_CONTENT), "multipart/mixed;boundary=b"),
        (whole(NO_CONTENT, NO_CONTENT, NO_CONTENT), "multipart/mixed;boundary=b"),
        (whole(NO_CONTENT, NO_CONTENT)[:-30], "multipart/mixed;boundary=b"),
        (whole(NO_CONTENT, NO_CONTENT, end=""), "multipart/mixed;boundary=b"),
        (whole("gibberish\r\n\r\n", NO_CONTENT), "multipart/mixed;boundary=b"),
    ],
    ids=["a page", "nothing", "too few", "too many", "cut", "no end", "no reply"],
)
def test_an_answer_that_does_not_tell_leaves_everything_unknown(body: bytes, kind: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        answered(body, kind=kind)
    assert raised.value.maybe_done
