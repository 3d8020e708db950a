"""Where each field comes from, as the mappings that ship say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from erpflow.mapping.compile import compile_pull
from erpflow.mapping.lineage import FieldLineage, Filled, Origin, pull_lineage, push_lineage, record_fields
from erpflow.mapping.load import find_mappings, load_mapping, parse_mapping
from erpflow.mapping.model import Local, Mapping
from erpflow.mapping.paths import parse_path
from erpflow.vocabulary import Direction

MAPPINGS = Path(__file__).parents[2] / "include" / "mappings"
SHIPPED = find_mappings(MAPPINGS)
ENTITIES = {
    "customer": Local(table="app.customers", key="id"),
    "product": Local(table="app.products", key="id"),
}


def mapping_of(name: str, *, direction: Direction | None = None) -> Mapping:
    found = load_mapping(MAPPINGS / f"{name}.yaml")
    return found if direction is None else found.model_copy(update={"direction": direction})


def declared(fields: str, **parts: object) -> Mapping:
    import yaml

    data = {
        "system": "shop",
        "entity": "order",
        "direction": "bidirectional",
        "remote": {"object": "Orders", "key": "id"},
        "local": {"table": "app.orders"},
        "fields": yaml.safe_load(fields),
        **parts,
    }
    return parse_mapping(data, name="order")


def pulled(mapping: Mapping, column: str, *, table: int = 0) -> FieldLineage:
    return {field.field: field for field in pull_lineage(mapping, entities=ENTITIES)[table].fields}[column]


def pushed(mapping: Mapping, field: str) -> FieldLineage:
    (filled,) = push_lineage(mapping)
    return {found.field: found for found in filled.fields}[field]


def names(filled: Filled) -> list[str]:
    return [field.field for field in filled.fields]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_column_that_a_pull_writes_has_its_lineage(path: Path) -> None:
    mapping = load_mapping(path)
    if mapping.direction is Direction.PUSH:
        assert pull_lineage(mapping, entities=ENTITIES) == ()
        return
    program = compile_pull(mapping)
    table, *lines = pull_lineage(mapping, entities=ENTITIES)
    assert (table.table, names(table)) == (mapping.local.table, list(program.columns))
    assert [(one.table, names(one)) for one in lines] == [
        (child.table, [child.parent, *child.columns]) for child in program.children
    ]
    for field in table.fields:
        assert bool(field.origins) == (not field.how.startswith("the constant"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_field_that_a_push_writes_has_its_lineage_and_no_other(path: Path) -> None:
    mapping = load_mapping(path)
    if mapping.direction is Direction.PULL:
        assert push_lineage(mapping) == ()
        return
    (vendor,) = push_lineage(mapping)
    assert vendor.table is None
    written = {column for field in vendor.fields for origin in field.origins for column in [origin.field]}
    sent = {spec.local for spec in mapping.fields if spec.pushes() and spec.local}
    assert sent <= written
    assert len(names(vendor)) == len(set(names(vendor)))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_a_pull_reads_are_paths_of_the_record_and_not_names_that_templates_give(path: Path) -> None:
    mapping = load_mapping(path)
    given = {name for use in mapping.record for name in use.names}
    read = {text for use in mapping.record for _, paths in use.reads for text in paths}
    for text in record_fields(pull_lineage(mapping, entities=ENTITIES)):
        assert parse_path(text.replace("[]", ""))
        assert text not in given - read


def test_a_column_that_is_taken_as_it_is_has_nothing_to_explain() -> None:
    assert pulled(declared("[{local: number, remote: id}]"), "number") == FieldLineage("number", (Origin("id"),))
    assert pulled(mapping_of("erpnext/order"), "currency").how == '"SAR" where there is none'


def test_paths_that_are_tried_in_turn_are_all_origins_and_the_transforms_are_told_in_their_order() -> None:
    assert pulled(mapping_of("erpnext/customer"), "contact_person") == FieldLineage(
        "contact_person",
        (Origin("contact_person"), Origin("customer_primary_contact")),
        how="the first of contact_person, customer_primary_contact that has a value; trim, empty_to_null",
    )


def test_arguments_of_transforms_types_and_defaults_are_told() -> None:
    assert pulled(mapping_of("sap_b1/order"), "number").how == "prefix(B1-)"
    assert pulled(mapping_of("erpnext/product"), "price").how == "read as number with 2 decimals"
    status = pulled(mapping_of("erpnext/order"), "status").how
    assert status.startswith("read as one of draft, on_hold, to_pay")
    assert status.endswith('; "draft" where there is none')


def test_a_constant_comes_from_nowhere() -> None:
    assert pulled(mapping_of("quickbooks/order"), "status") == FieldLineage(
        "status", (), how='the constant "completed"'
    )


def test_a_look_up_of_an_entity_takes_the_key_of_the_row_that_the_reference_finds() -> None:
    order = mapping_of("erpnext/order")
    assert pulled(order, "customer_id") == FieldLineage(
        "customer_id",
        (Origin("customer", only_finds=True), Origin("id", "app.customers")),
        how="looked up among the records of the entity customer",
    )
    unknown = {field.field: field for field in pull_lineage(order, entities={})[0].fields}["customer_id"]
    assert unknown.origins == (Origin("customer"),)


def test_a_look_up_in_a_table_is_told_as_the_join_it_is() -> None:
    invoice = pulled(mapping_of("tally/payment"), "invoice_id")
    assert invoice.origins[1:] == (Origin("number", "app.invoices", only_finds=True), Origin("id", "app.invoices"))
    assert all(origin.only_finds for origin in invoice.origins[:-1])
    assert invoice.how.endswith("looked up in app.invoices by number")


def test_lines_are_paths_inside_their_list_and_belong_to_the_row_of_their_record() -> None:
    order = mapping_of("erpnext/order")
    assert pulled(order, "quantity", table=1).origins == (Origin("items[].qty"),)
    assert pulled(order, "order_id", table=1).origins == (Origin("name"),)
    assert pulled(order, "product_id", table=1).origins == (
        Origin("items[].item_code", only_finds=True),
        Origin("id", "app.products"),
    )


def test_what_a_record_template_gives_comes_from_all_that_it_reads() -> None:
    net = pulled(mapping_of("sap_b1/order"), "net_total")
    assert Origin("DocTotal") in net.origins
    assert Origin("VatSumFc") in net.origins
    assert net.how == "given by the record template b1_document; read as number with 2 decimals"


def test_a_batch_template_may_change_any_column() -> None:
    from erpflow.mapping.templates import find_templates

    templates = find_templates(MAPPINGS / "templates")
    data = {
        "system": "shop",
        "entity": "customer",
        "remote": {"object": "Customers", "key": "id"},
        "local": {"table": "app.customers"},
        "batch": "fill_currency",
        "fields": [{"local": "name", "remote": "name"}, {"local": "currency", "remote": "money", "transform": "upper"}],
    }
    mapping = parse_mapping(data, name="customer", templates=templates)
    assert pulled(mapping, "name").how == "then the batch template fill_currency"
    assert pulled(mapping, "currency").how == "upper; then the batch template fill_currency"


def test_a_push_goes_to_the_first_path_and_back_through_the_transforms_that_have_a_way_back() -> None:
    assert pushed(mapping_of("erpnext/customer"), "customer_name").origins == (Origin("name", "app.customers"),)
    product = mapping_of("erpnext/product", direction=Direction.BIDIRECTIONAL)
    assert pushed(product, "disabled") == FieldLineage(
        "disabled",
        (Origin("is_active", "app.products"),),
        how="written as boolean; back through negate, one_zero; true where there is none",
    )


def test_fields_of_a_push_that_only_pull_are_not_in_it() -> None:
    (vendor,) = push_lineage(mapping_of("erpnext/customer"))
    assert "email_id" not in names(vendor)


def test_lines_that_are_pushed_come_from_their_own_table() -> None:
    order = mapping_of("erpnext/order", direction=Direction.BIDIRECTIONAL)
    assert pushed(order, "items[].qty").origins == (Origin("quantity", "app.order_items"),)


def test_a_look_up_in_a_table_is_pushed_as_the_join_the_other_way_round() -> None:
    mapping = declared(
        "[{local: warehouse_id, remote: wh, type: lookup, lookup: {table: app.warehouses, match: code, take: id}}]"
    )
    assert pushed(mapping, "wh").origins == (
        Origin("warehouse_id", "app.orders", only_finds=True),
        Origin("id", "app.warehouses", only_finds=True),
        Origin("code", "app.warehouses"),
    )


def test_what_a_record_template_takes_back_comes_from_every_column_that_feeds_it() -> None:
    from erpflow.mapping.templates import find_templates

    templates = find_templates(MAPPINGS / "templates")
    data = {
        "system": "shop",
        "entity": "person",
        "direction": "bidirectional",
        "remote": {"object": "People", "key": "id"},
        "local": {"table": "app.contacts"},
        "record": {"full_name": {"reads": {"full_name": "Person.name"}}},
        "fields": [{"local": "first_name", "remote": "first_name"}, {"local": "last_name", "remote": "last_name"}],
    }
    mapping = parse_mapping(data, name="person", templates=templates)
    assert pushed(mapping, "Person.name") == FieldLineage(
        "Person.name",
        (Origin("first_name", "app.contacts"), Origin("last_name", "app.contacts")),
        how="back through the record template full_name",
    )
    assert pulled(mapping, "first_name").origins == (Origin("Person.name"),)
