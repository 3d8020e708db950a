"""SMS and WhatsApp that other programs have sent, with the caller's own account at MSG91."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from erpflow.api.bodies import Body
from erpflow.api.callers import Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.vendors.outcomes import Asked, BusinessKey, SentMessage, send
from erpflow.api.vendors.whose import WhichConnection
from erpflow.connectors import msg91_messages
from erpflow.connectors.msg91 import Msg91
from erpflow.vocabulary import Channel

router = APIRouter(tags=["messages"], route_class=IdempotentRoute)

Mobile = Annotated[
    str, Field(max_length=40, description="With the country code, digits only", examples=["919900000001"])
]


class SmsRecipient(Body):
    """A number, and what goes into the template for it, by the names between ## in the template (case matters)."""

    mobile: Mobile
    variables: dict[str, str] = Field(default={}, description="30 characters each at most")


class Sms(Body):
    """A template of MSG91 to up to 500 numbers."""

    template_id: str = Field(description="MSG91's own, 24 hexadecimal digits; not the DLT id of 19 digits")
    recipients: list[SmsRecipient] = Field(min_length=1, max_length=msg91_messages.MOST_RECIPIENTS)
    sender: str | None = Field(
        default=None, description="The DLT header. Left out: the connection's, or the template's"
    )
    key: BusinessKey = None

    def plain(self) -> msg91_messages.Sms:
        """As the connector has it."""
        recipients = tuple(msg91_messages.SmsRecipient(each.mobile, each.variables) for each in self.recipients)
        return msg91_messages.Sms(template_id=self.template_id, recipients=recipients, sender=self.sender)


class WhatsAppComponent(Body):
    """A value of a template. `subtype` of a button; `filename` of a document; `parameter_name` of a named variable."""

    value: str = Field(min_length=1, max_length=2_000)
    type: Literal["text", "image", "video", "document"] = "text"
    subtype: Literal["url", "quick_reply"] | None = None
    filename: str | None = Field(default=None, max_length=255)
    parameter_name: str | None = Field(default=None, max_length=64)


class WhatsAppRecipient(Body):
    """A number, and the template's values by their numbered places: `header_1`, `body_1`, `body_2`, `button_1`."""

    mobile: Mobile
    components: dict[str, WhatsAppComponent] = Field(default={}, max_length=100)

    def plain(self) -> msg91_messages.WhatsAppRecipient:
        """As the connector has it."""
        components = {name: msg91_messages.Component(**each.model_dump()) for name, each in self.components.items()}
        return msg91_messages.WhatsAppRecipient(self.mobile, components)


class WhatsApp(Body):
    """A template in one language to up to 500 numbers."""

    template: str = Field(description="Its name at MSG91", examples=["invoice_ready"])
    language: str = "en"
    recipients: list[WhatsAppRecipient] = Field(min_length=1, max_length=msg91_messages.MOST_RECIPIENTS)
    namespace: str | None = Field(default=None, max_length=200, description="Left out: the connection's")
    key: BusinessKey = None

    def plain(self) -> msg91_messages.WhatsApp:
        """As the connector has it."""
        return msg91_messages.WhatsApp(
            template=self.template,
            language=self.language,
            recipients=tuple(each.plain() for each in self.recipients),
            namespace=self.namespace,
        )


@router.post("/sms", status_code=HTTPStatus.ACCEPTED)
def send_sms(
    request: Request,
    caller: Running,
    body: Sms,
    connection_id: WhichConnection = None,
) -> SentMessage:
    """Send an SMS once. 202: MSG91 took it; 422: it would not, and says why; 504: nobody knows.

    The same `key` (or `Idempotency-Key`) with the same content answers what became of the first and sends nothing; with
    another content it is 409.
    """
    sms = body.plain()
    asked = Asked(Channel.SMS, sms, sms.numbers, sms.template_id, body.key, connection_id)
    return send(request, caller, asked, Msg91, lambda client, reference: client.send_sms(sms, reference=reference))


@router.post("/whatsapp", status_code=HTTPStatus.ACCEPTED)
def send_whatsapp(
    request: Request,
    caller: Running,
    body: WhatsApp,
    connection_id: WhichConnection = None,
) -> SentMessage:
    """Send a WhatsApp template once; answers as for an SMS.

    202 is the same for what is delivered and what is dropped in silence, such as templates of the category MARKETING.
    """
    message = body.plain()
    asked = Asked(Channel.WHATSAPP, message, message.numbers, message.template, body.key, connection_id)
    return send(request, caller, asked, Msg91, lambda client, _: client.send_whatsapp(message))
