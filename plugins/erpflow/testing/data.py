"""The contract about what is in the records, and about single ones."""

# ruff: noqa: S101  (a suite of tests, shipped to be subclassed)

from __future__ import annotations

import pytest

from erpflow.connectors.registry import connector_class
from erpflow.errors import ConfigError, ProtocolError
from erpflow.testing.base import Connect, ContractBase
from erpflow.testing.reading import read_all
from erpflow.testing.vendor import VendorDouble
from erpflow.vocabulary import RemoteId


class DataContract(ContractBase):
    """Text comes as it is, and what makes no sense is named."""

    def test_one_record_is_read_by_its_id(self, connect: Connect, vendor: VendorDouble, entity: str) -> None:
        (created,) = vendor.create(entity, 1)
        connector = connect()
        record = connector.read_one(entity, created)
        assert record is not None and str(record[connector.spec.entities[entity].key]) == created

    def test_a_record_that_is_not_there_is_none(self, connect: Connect, entity: str) -> None:
        assert connect().read_one(entity, RemoteId("no-such-record-7f3a")) is None

    def test_an_unknown_entity_is_named_with_the_known_ones(self, connect: Connect, some_entity: str) -> None:
        with pytest.raises(ConfigError, match=some_entity):
            read_all(connect(), f"{some_entity}x")

    def test_hostile_text_comes_back_as_it_is(
        self, connect: Connect, vendor: VendorDouble, some_entity: str, hostile_text: str
    ) -> None:
        name, field = vendor.write_text(some_entity, hostile_text)
        connector = connect()
        reading = read_all(connector, some_entity)
        key = connector.spec.entities[some_entity].key
        assert [record[field] for record in reading.records if str(record[key]) == name] == [hostile_text]
        one = connector.read_one(some_entity, name)
        assert one is not None and one[field] == hostile_text

    @pytest.mark.parametrize("raw", [b"", b"{", b"<html></html>", b"null", b"[" * 100_000, b"\xff\xfe", b'"text"'])
    def test_splitting_what_was_never_landed_is_a_protocol_error(self, some_entity: str, raw: bytes) -> None:
        with pytest.raises(ProtocolError):
            connector_class(self.system).split(some_entity, raw)

    @pytest.mark.parametrize("text", ["", "yesterday", "0000-00-00 00:00:00", "9" * 5000, "2026-02-30", "\0"])
    def test_a_time_that_is_none_is_none(self, text: str) -> None:
        assert connector_class(self.system).instant(text, zone="UTC") is None
