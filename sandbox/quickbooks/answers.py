"""Answers as the vendor writes them: JSON for those who ask for it, XML for everybody else."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec
from starlette.responses import Response

from sandbox.quickbooks.clock import answer_time
from sandbox.quickbooks.company import Company
from sandbox.quickbooks.faults import Refused

ENCODER = msgspec.json.Encoder(decimal_format="number")
DECODER = msgspec.json.Decoder(float_hook=Decimal)
XML_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


def answer(company: Company, content: Mapping[str, Any], *, wants_json: bool, status: int = 200) -> Response:
    """The content with the time it was answered at."""
    at = answer_time(company.clock.now())
    if wants_json:
        return Response(ENCODER.encode({**content, "time": at}), status, media_type="application/json")
    inner = "".join(_element(name, value) for name, value in content.items())
    text = f'{XML_HEAD}<IntuitResponse xmlns="http://schema.intuit.com/finance/v3" time="{at}">{inner}</IntuitResponse>'
    return Response(text, status, media_type="application/xml")


def refuse(company: Company, refused: Refused, *, wants_json: bool) -> Response:
    if wants_json:
        return answer(company, {"Fault": refused.fault()}, wants_json=True, status=refused.status)
    error = refused.error
    inner = (
        f"<Error code={quoteattr(error['code'])}><Message>{escape(error['Message'])}</Message>"
        f"<Detail>{escape(error['Detail'])}</Detail></Error>"
    )
    at = answer_time(company.clock.now())
    text = (
        f'{XML_HEAD}<IntuitResponse xmlns="http://schema.intuit.com/finance/v3" time="{at}">'
        f"<Fault type={quoteattr(refused.kind)}>{inner}</Fault></IntuitResponse>"
    )
    return Response(text, refused.status, media_type="application/xml")


def _element(name: str, value: Any) -> str:
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, Mapping):
        return f"<{name}>{''.join(_element(key, item) for key, item in value.items())}</{name}>"
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{escape(shown)}</{name}>"
