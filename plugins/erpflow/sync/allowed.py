"""What a push may do at the vendor: what the mapping wants of it, as far as the vendor takes it."""

from __future__ import annotations

from erpflow.connectors.base import EntitySpec
from erpflow.mapping.model import Mapping
from erpflow.vocabulary import Deletes, Operation


def allowed_writes(mapping: Mapping, spec: EntitySpec) -> frozenset[Operation]:
    """The operations. A soft delete is an update at the vendor, whether or not it knows deletes."""
    known = spec.writes
    if mapping.deletes.push is Deletes.SOFT and Operation.UPDATE in known:
        known |= {Operation.DELETE}
    return mapping.writes & known
