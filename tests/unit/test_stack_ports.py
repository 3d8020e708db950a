"""Ports: a taken one is noticed, and the sentence about it names a way out."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from erpflow.errors import ConfigError
from stack import ports


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])  # noqa: S104
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port on which somebody listens, on the loopback address or on all."""
    with socket.socket() as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not ports.is_free(taken)


def test_a_taken_port_is_refused_with_another_one_to_use(taken: int) -> None:
    with pytest.raises(ConfigError, match=rf"Port {taken} is taken .* make demo ARGS='--port \d+'"):
        ports.exactly(taken)


def test_the_search_goes_on_behind_a_taken_port(taken: int) -> None:
    found = ports.first_free(taken)

    assert found != taken
    assert ports.is_free(found)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match="is not a port"):
        ports.exactly(port)


def test_a_free_port_is_free() -> None:
    assert ports.is_free(ports.free_port())
