"""What a webhook of ERPNext says. Its body is a template that somebody wrote, so only a few names are expected of it:
`doctype`, `name`, `modified` and `event`, at the top.

No header tells the event or the DocType, none says that the body is JSON, and the structure "Form URL-Encoded" sends
JSON all the same. A slow receiver gets everything three times. Seen at Frappe 15.55.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from erpflow.connectors.change_notice import ChangeNotice, object_of, text_of

SIGNATURE_HEADER: Final = "X-Frappe-Webhook-Signature"


def notices(body: bytes, _headers: Mapping[str, str]) -> list[ChangeNotice]:
    """The one document a request is about. Raises PayloadInvalid for a body that is no object.

    `modified` is naive and in the site's zone, which the request does not name: it is part of the key, and no time.
    A delete carries the last state of the document, `modified` too: without the event its key would be a save's.
    """
    found = object_of(body)
    doctype, name, event = (text_of(found.get(key)) for key in ("doctype", "name", "event"))
    modified = text_of(found.get("modified"))
    is_told_apart = bool(name and event and modified)
    return [
        ChangeNotice(
            remote=doctype,
            remote_id=name,
            event_type=event,
            key=f"{doctype or ''}/{name}/{modified}/{event}" if is_told_apart else None,
            problem=None if name else 'The body has no "name". Add "name": {{ doc.name | tojson }} to the template.',
        )
    ]
