"""Attachments: upload by multipart, private download."""

from hashlib import md5
from pathlib import PurePosixPath
from typing import Any

from sandbox.erpnext.errors import throw
from sandbox.erpnext.forms import Arguments
from sandbox.erpnext.render import as_dict
from sandbox.erpnext.site import Call


def upload_file(call: Call, arguments: Arguments) -> dict[str, Any]:
    """Store the uploaded file and its File document.

    Raises FrappeError when the request has no file, or the user may not create one.
    """
    site = call.site
    if arguments.upload is None:
        raise throw("There is no file in the request")
    if not call.may("create", "File"):
        raise throw("Not permitted", exc_type="PermissionError", status=403)
    file_name, content = arguments.upload
    name = PurePosixPath(file_name).name
    private = int(arguments.values.get("is_private") or 0)
    url = f"/{'private/' if private else ''}files/{name}"
    stamp = site.clock.stamp()
    doc = site.new_doc("File")
    doc.update({"name": site.hash_name(), "owner": call.user, "creation": stamp, "modified": stamp})
    doc.update({"modified_by": call.user, "file_name": name, "is_private": private, "file_url": url})
    doc.update({"file_type": PurePosixPath(name).suffix[1:].upper() or None, "file_size": len(content)})
    doc["content_hash"] = md5(content, usedforsecurity=False).hexdigest()
    doc["attached_to_doctype"] = arguments.values.get("doctype")
    doc["attached_to_name"] = arguments.values.get("docname")
    site.files[url] = content
    site.store(doc)
    return as_dict(doc)
