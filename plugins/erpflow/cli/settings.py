"""Settings of a connection as a person gives them: what the connector names, kept in the connection's extra."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from erpflow.errors import ConfigError, suggestion

if TYPE_CHECKING:
    from erpflow.connectors.base import ConnectorSpec


def read_settings(texts: Sequence[str], spec: ConnectorSpec) -> dict[str, str]:
    """What `NAME=VALUE` texts say; an empty value is there, and means that the setting is taken away.

    A setting that holds a secret is given as `NAME` alone and asked for: at a terminal unseen, else as the next line of
    standard input. Raises ConfigError for a name that the connector does not know (with the nearest), and for a secret
    on the command line, where other users of the machine and the shell's history see it.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in spec.settings:
            raise ConfigError(f'{spec.title} has no setting "{name}"{suggestion(name, spec.settings)}')
        if name in found:
            raise ConfigError(f"The setting {name} is given twice. Give it once.")
        if name in spec.secret_settings:
            value = _secret(name, given=bool(equals))
        elif not equals:
            raise ConfigError(f"The setting {name} has no value. Write {name}=VALUE, or {name}= to take it away.")
        found[name] = value.strip()
    return found


def _secret(name: str, *, given: bool) -> str:
    if given:
        raise ConfigError(
            f"The setting {name} holds a secret, and a command line is seen by others. Write {name} without a value: "
            "it is asked for, or read from standard input."
        )
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True))
    value = sys.stdin.readline().strip()
    if not value:
        raise ConfigError(f"The setting {name} was to be read from standard input, and nothing came.")
    return value
