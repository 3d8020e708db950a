"""A sync config out of a mapping file: what the file says of direction, conflicts and frequency, for one connection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from erpflow.mapping.load import load_mapping
from erpflow.store import configs

if TYPE_CHECKING:
    from erpflow.mapping.model import Mapping
    from erpflow.store.configs import SyncConfig
    from erpflow.store.pull import Connection
    from erpflow.vocabulary import ConnectionId


def configure(connection: Connection, connection_id: ConnectionId, mapping: Mapping, *, path: str) -> SyncConfig:
    """Make the sync config of a mapping's entity, or bring it up to date. `path` is relative to the mappings folder."""
    return configs.upsert_config(
        connection,
        connection_id,
        mapping.entity,
        direction=mapping.direction,
        conflict=mapping.conflict,
        every=mapping.every,
        mapping_path=path,
    )


def ensure_config(
    connection: Connection, connection_id: ConnectionId, entity: str, *, system: str, mappings: Path
) -> SyncConfig:
    """The sync config of an entity; a mapping file without one gets one, for the file is what the user edits.

    `mappings`: the folder of mapping files. Raises ConfigError when there is neither.
    """
    path = f"{system}/{entity}.yaml"
    if entity in configs.entities(connection, connection_id) or not (mappings / path).is_file():
        return configs.get_config(connection, connection_id, entity)
    return configure(connection, connection_id, load_mapping(mappings / path), path=path)
