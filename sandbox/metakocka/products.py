"""Products: one list, filtered and counted through; and their adding, changing and deleting."""

from typing import Any

from sandbox.metakocka.company import PRICELISTS, TAXES, UNITS, Company, Record
from sandbox.metakocka.refusals import BAD_PARAMETER, BUSINESS_RULE, Refusal, invalid, required
from sandbox.metakocka.wire import listed, number, truth

MOST = 1000
REMOVE = "$REMOVE_STRING_VALUE$"
TEXTS = {"code": 50, "count_code": 30, "name": 200, "name_desc": 700, "barcode": 50, "unit": 20}
FLAGS = ("service", "sales", "activated", "purchasing", "eshop_sync", "work")
NUMBERS = ("weight", "gross_weight", "height", "width", "depth", "min_stock", "minimal_order_quantity", "unit_factor")
STATES = {"sales": "sales", "purchase": "purchasing", "service": "service", "work": "work", "active": "activated",
          "eshop_sync": "eshop_sync"}  # fmt: skip
LIKE = {"count_code": "count_code", "code": "code", "title": "name"}
STEP = ("amount_from", "amount_to", "discount", "price", "price_with_tax", "lowest_price_30_days")


def product_list(company: Company, given: Record) -> Record:
    """A page of the products that fit; the head repeats what was asked."""
    limit, offset = page_of(given, most=MOST)
    fitting = [each for each in company.products.values() if _fits(each, given)]
    rows = [shown(company, each, given) for each in fitting[offset : offset + limit]]
    head = {name: value for name, value in given.items() if name not in ("secret_key", "limit", "offset")}
    head.pop("company_id", None)
    return {**head, "limit": limit, "offset": offset, "product_list_count": len(rows), "product_list": rows}


def product_add(company: Company, given: Record) -> Record:
    for name in ("code", "name", "unit"):
        if not given.get(name):
            raise required(name)
    product = _values(given) | {"mk_id": company.new_id()}
    product.setdefault("count_code", company.number("PA-"))
    for name in ("code", "count_code"):
        if company.products_by(name, product[name]):
            raise Refusal(BUSINESS_RULE, f"Product with {name} '{product[name]}' already exists")
    defaults = {"service": False, "sales": False, "activated": True, "purchasing": False, "eshop_sync": False}
    company.products[product["mk_id"]] = {**defaults, **product, "_changed": company.stamp()}
    return {"mk_id": product["mk_id"], "count_code": product["count_code"]}


def product_update(company: Company, given: Record) -> Record:
    product = chosen(company, given)
    values = _values({name: value for name, value in given.items() if value not in (None, "")})
    changed = {**product, **values, "mk_id": product["mk_id"], "_changed": company.stamp()}
    for name in ("name_desc", "barcode"):
        if given.get(name) == REMOVE:
            changed[name] = None
    if "pricelist" in values:  # a price list that is sent replaces the product's steps on it, others stay
        sent = [each["count_code"] for each in values["pricelist"]]
        kept = [each for each in product.get("pricelist", []) if each["count_code"] not in sent]
        changed["pricelist"] = values["pricelist"] + kept
    company.products[product["mk_id"]] = changed
    return {"mk_id": product["mk_id"], "count_code": changed["count_code"]}


def product_delete(company: Company, given: Record) -> Record:
    product = chosen(company, given)
    for document in company.documents.values():
        if any(line["mk_id"] == product["mk_id"] for line in document["product_list"]):
            raise Refusal(BUSINESS_RULE, f"Product {product['code']} is used on document {document['count_code']}")
    drop(company, product["mk_id"])
    return {"mk_id": product["mk_id"], "count_code": product["count_code"]}


def drop(company: Company, mk_id: str) -> None:
    """A product and its stock are gone."""
    del company.products[mk_id]
    company.stock = [row for row in company.stock if row["mk_id"] != mk_id]


def page_of(given: Record, *, most: int) -> tuple[int, int]:
    """Limit and offset, the first no larger than allowed. Raises Refusal."""
    found = []
    for name, default in (("limit", most), ("offset", 0)):
        text = str(given.get(name, default))
        if not text.isdigit():
            raise invalid(name, text)
        found.append(int(text))
    return min(found[0], most), found[1]


def chosen(company: Company, given: Record) -> Record:
    product = company.products.get(str(given.get("mk_id")))
    if product is None and not given.get("mk_id"):
        product = next(iter(company.products_by("count_code", given.get("count_code"))), None)
    if product is None:
        raise Refusal(BAD_PARAMETER, f"Product with mk_id {given.get('mk_id')} not found")
    return product


def shown(company: Company, product: Record, given: Record) -> Record:
    """A product with the parts that were asked for."""
    found = {name: value for name, value in product.items() if name not in ("pricelist", "category_tree_list")}
    if truth(given.get("return_pricelist")):
        with_factor = truth(given.get("show_tax_factor"))
        found["pricelist"] = [_pricelist(each, with_factor=with_factor) for each in product.get("pricelist", [])]
    if truth(given.get("return_category")):
        found["category_tree_list"] = product.get("category_tree_list")
    return found


def _pricelist(each: Record, *, with_factor: bool) -> Record:
    steps = [
        {**step, **({"tax_factor": TAXES[step["tax"]]} if with_factor and step.get("tax") else {})}
        for step in each["price_def"]
    ]
    return {"count_code": each["count_code"], **PRICELISTS[each["count_code"]], "price_def": steps}


def _fits(product: Record, given: Record) -> bool:
    for name, column in STATES.items():
        if given.get(name) not in (None, "") and truth(given[name]) != bool(product.get(column)):
            return False
    if given.get("mk_id") and product["mk_id"] != str(given["mk_id"]):
        return False
    like = truth(given.get("search_with_like"))
    for name, column in LIKE.items():
        wanted = str(given.get(name) or "").lower()
        found = str(product.get(column) or "").lower()
        if wanted and (wanted not in found if like else wanted != found):
            return False
    return True


def _values(given: Record) -> Record:
    """What a request says of a product. Raises Refusal."""
    for name, most in TEXTS.items():
        if len(str(given.get(name) or "")) > most:
            raise invalid(name, f"{str(given[name])[:20]}...")
    if given.get("unit") and given["unit"] not in UNITS:
        raise invalid("unit", given["unit"], UNITS)
    values: Record = {name: str(given[name]) for name in TEXTS if given.get(name) and given[name] != REMOVE}
    values |= {name: truth(given[name]) for name in FLAGS if name in given}
    values |= {name: number(given[name], name) for name in NUMBERS if given.get(name)}
    if "pricelist" in given:
        values["pricelist"] = [_read_pricelist(each) for each in listed(given["pricelist"])]
    return values


def _read_pricelist(each: Any) -> Record:
    code = each.get("count_code") if isinstance(each, dict) else None
    if code not in PRICELISTS:
        raise invalid("pricelist", code, list(PRICELISTS))
    steps = []
    for step in listed(each.get("price_def")):
        if step.get("tax") is not None and step["tax"] not in TAXES:
            raise invalid("tax", step["tax"], list(TAXES))
        numbers = {name: number(step[name], name) for name in STEP if step.get(name) not in (None, "")}
        steps.append({**numbers, **({"tax": step["tax"]} if step.get("tax") else {})})
    return {"count_code": code, "price_def": steps}
