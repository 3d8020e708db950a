"""Mail that other programs have sent, with the caller's own account at SendGrid."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field, JsonValue

from erpflow.api.bodies import Body
from erpflow.api.callers import Running
from erpflow.api.idempotency import IdempotentRoute
from erpflow.api.vendors.outcomes import Asked, BusinessKey, SentMessage, send
from erpflow.api.vendors.whose import WhichConnection
from erpflow.connectors import sendgrid_mail
from erpflow.connectors.sendgrid import SendGrid
from erpflow.connectors.sendgrid_mail import Mail
from erpflow.vocabulary import Channel

router = APIRouter(tags=["messages"], route_class=IdempotentRoute)

LARGEST_TEXT = 1024 * 1024
LARGEST_CONTENT = 2 * 1024 * 1024
"""Characters; the whole request has 2 MiB at most."""

Text = Annotated[str | None, Field(min_length=1, max_length=LARGEST_TEXT)]


class EmailAddress(Body):
    """An address, and the name that is shown with it."""

    email: str = Field(max_length=320)
    name: str | None = Field(default=None, max_length=200)

    def plain(self) -> sendgrid_mail.Address:
        """As the connector has it."""
        return sendgrid_mail.Address(self.email, self.name)


class EmailAttachment(Body):
    """A file: `content` in base64 on one line. `content_id` is what the html shows an inline one by (cid:…)."""

    filename: str = Field(min_length=1, max_length=255)
    content: str = Field(min_length=1, max_length=LARGEST_CONTENT, description="base64, without line breaks")
    type: str | None = Field(default=None, max_length=200, examples=["application/pdf"])
    inline: bool = False
    content_id: str | None = Field(default=None, max_length=200)

    def plain(self) -> sendgrid_mail.Attachment:
        """As the connector has it."""
        return sendgrid_mail.Attachment(**self.model_dump())


class Email(Body):
    """A mail: `subject` with `text`, `html` or both; or `template_id` with `dynamic_data`. All get the same."""

    to: list[EmailAddress] = Field(min_length=1, max_length=1_000)
    cc: list[EmailAddress] = Field(default=[], max_length=1_000)
    bcc: list[EmailAddress] = Field(default=[], max_length=1_000)
    sender: EmailAddress | None = Field(default=None, alias="from", description="Left out: the connection's")
    reply_to: EmailAddress | None = None
    subject: str | None = Field(default=None, min_length=1, max_length=998)
    text: Text = None
    html: Text = None
    template_id: str | None = Field(default=None, description="A dynamic template: d- and 32 hexadecimal digits")
    dynamic_data: dict[str, JsonValue] = Field(default={}, description="What the template is filled with")
    attachments: list[EmailAttachment] = Field(default=[], max_length=50)
    categories: list[str] = Field(default=[], max_length=10)
    custom_args: dict[str, str] = Field(default={}, description="Comes back in every event of the mail")
    click_tracking: bool = Field(default=False, description="Rewrites links; never with links that are signed")
    key: BusinessKey = None

    def plain(self) -> Mail:
        """As the connector has it."""
        return Mail(
            to=tuple(each.plain() for each in self.to),
            cc=tuple(each.plain() for each in self.cc),
            bcc=tuple(each.plain() for each in self.bcc),
            sender=self.sender.plain() if self.sender else None,
            reply_to=self.reply_to.plain() if self.reply_to else None,
            subject=self.subject,
            text=self.text,
            html=self.html,
            template_id=self.template_id,
            dynamic_data=self.dynamic_data,
            attachments=tuple(each.plain() for each in self.attachments),
            categories=tuple(self.categories),
            custom_args=self.custom_args,
            click_tracking=self.click_tracking,
        )


@router.post("/send", status_code=HTTPStatus.ACCEPTED)
def send_email(
    request: Request,
    caller: Running,
    body: Email,
    connection_id: WhichConnection = None,
) -> SentMessage:
    """Send a mail once. 202: SendGrid took it; 422: it would not, and says why; 504: nobody knows.

    The same `key` (or `Idempotency-Key`) with the same content answers what became of the first and sends nothing; with
    another content it is 409.
    """
    mail = body.plain()
    asked = Asked(Channel.EMAIL, mail, mail.recipients, mail.template_id, body.key, connection_id)
    return send(request, caller, asked, SendGrid, lambda client, reference: client.send(mail, reference=reference))
