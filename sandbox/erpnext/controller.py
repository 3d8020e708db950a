"""What a DocType adds to the general way of saving; the defaults add nothing."""

from sandbox.erpnext.site import Call
from sandbox.erpnext.table import Doc


class Controller:
    """The business rules of one DocType, called by the document functions at the points the framework has."""

    cancels_despite: frozenset[str] = frozenset()  # DocTypes whose links do not stand in the way of a cancel
    delete_hint: str | None = None  # advice that follows a refusal to delete

    def prepare(self, call: Call, doc: Doc) -> None:
        """Before links are checked and the name is given: what ERPNext looks up first."""

    def name(self, call: Call, doc: Doc) -> str | None:
        """The new document's name, where the DocType has its own rule."""
        return None

    def validate(self, call: Call, doc: Doc, before: Doc | None) -> None:
        """Before the general checks; fills computed columns. `before` is None on insert."""

    def after_insert(self, call: Call, doc: Doc) -> None:
        """In the same transaction, once the document is stored."""

    def on_update(self, call: Call, doc: Doc, before: Doc | None) -> None:
        """After each save of a draft or submitted document."""

    def on_submit(self, call: Call, doc: Doc) -> None:
        """After docstatus went from 0 to 1."""

    def on_cancel(self, call: Call, doc: Doc) -> None:
        """After docstatus went from 1 to 2."""

    def on_trash(self, call: Call, doc: Doc) -> None:
        """Before a delete, and before the check for links."""

    def after_rename(self, call: Call, doc: Doc, new_name: str) -> None:
        """Columns that follow the name; the document is stored afterwards."""


PLAIN = Controller()
