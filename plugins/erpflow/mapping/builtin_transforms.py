"""The transforms that come with erpflow. Their docstrings are the reference page's words."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime
from decimal import Decimal, DecimalException
from typing import Any

from erpflow.mapping.transforms import transform
from erpflow.mapping.values import EXACT, Refused, to_boolean, to_decimal
from erpflow.yaml_files.complaints import excerpt

LOADED = True

_SPACES = re.compile(r"\s+")
_SILENT = re.compile(
    r"<!--.*?-->|<(script|style|head|template)\b.*?(?:</\1\s*>|\Z)|<!--.*\Z", re.DOTALL | re.IGNORECASE
)
_LINE_END = re.compile(r"<br\b[^<>]*>|</?(?:p|div|li|ul|ol|tr|table|h[1-6]|blockquote)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!?][^<>]*>")
_BLANKS = re.compile(r"[^\S\n]+")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_DIRECTIVE = re.compile(r"%.")
_NOT_DIGIT = re.compile(r"[^0-9]")


def same(value: Any, *args: Any, **kwargs: Any) -> Any:
    """The way back of a transform that only tidies up: the tidy form is written."""
    return value


@transform(reverse=same)
def trim(value: str) -> str:
    """Removes white space at both ends."""
    return value.strip()


@transform(reverse=same)
def upper(value: str) -> str:
    """Capital letters."""
    return value.upper()


@transform(reverse=same)
def lower(value: str) -> str:
    """Small letters."""
    return value.lower()


@transform(reverse=same)
def title(value: str) -> str:
    """Each word with a capital letter, the rest small: `o'neil LTD` becomes `O'neil Ltd`."""
    return _WORD.sub(lambda word: word[0][:1].upper() + word[0][1:].lower(), value)


@transform(reverse=same)
def collapse_spaces(value: str) -> str:
    """Every run of white space becomes one space; none at the ends."""
    return _SPACES.sub(" ", value).strip()


@transform(reverse=same)
def empty_to_null(value: Any) -> Any:
    """An empty text becomes null; so does an empty list or object."""
    return None if value in ("", [], {}) else value


@transform(reverse=same)
def null_if(value: Any, *words: str) -> Any:
    """The given texts become null: `{null_if: ["-", "0000-00-00"]}`."""
    return None if value in words else value


@transform
def strip_html(value: str) -> str:
    """HTML becomes plain text: `<br>`, `<p>` and `<div>` become new lines, entities characters, tags and scripts go."""
    if "<" not in value and "&" not in value:
        return value
    text = _TAG.sub("", _LINE_END.sub("\n", _SILENT.sub("", value)))
    text = _BLANKS.sub(" ", html.unescape(text))
    return "\n".join(line for line in (raw.strip() for raw in text.split("\n")) if line)


def _region_problem(region: str | None = None) -> str | None:
    if region is None:
        return None
    import phonenumbers

    if region in phonenumbers.SUPPORTED_REGIONS:
        return None
    return f"a two-letter country code of phonenumbers, such as SA; found {excerpt(region)}"


@transform(reverse=same, check=_region_problem)
def phone_e164(value: str, region: str = "") -> str | None:
    """A phone number in E.164 form, `+966501234567`; `region` (SA) is the country of numbers without one."""
    import phonenumbers

    if not value.strip():
        return None
    try:
        number = phonenumbers.parse(value, region or None)
    except phonenumbers.NumberParseException as error:
        raise Refused("transform", f"{excerpt(value)} is not a phone number: {error}", value=value) from error
    if not phonenumbers.is_possible_number(number):
        raise Refused("transform", f"{excerpt(value)} is not a possible phone number", value=value)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@transform
def digits(value: str) -> str:
    """Only the digits 0 to 9."""
    return _NOT_DIGIT.sub("", value)


def _length_problem(length: int) -> str | None:
    return None if length >= 1 else "a length of 1 or more"


@transform(check=_length_problem)
def truncate(value: str, length: int) -> str:
    """At most `length` characters; the rest is cut off."""
    return value[:length]


def _replace_back(value: str, old: str, new: str) -> str:
    return value.replace(new, old)


def _replace_problem(old: str, new: str) -> str | None:
    return None if old else "a text that is not empty to replace"


def _replace_returns(old: str, new: str) -> bool:
    return bool(new) and new not in old and old not in new


@transform(reverse=_replace_back, check=_replace_problem, way_back=_replace_returns)
def replace(value: str, old: str, new: str) -> str:
    """Every `old` becomes `new`: `{replace: [",", ""]}`. The way back needs a `new` that is not empty."""
    return value.replace(old, new)


def _separator_problem(separator: str) -> str | None:
    return None if separator else "a separator that is not empty"


def _joined(value: Any, separator: str) -> Any:
    if not isinstance(value, list):
        return value
    if not all(isinstance(item, str | int | Decimal) for item in value):
        raise Refused("transform", f"{excerpt(value)} holds more than texts and numbers", value=value)
    return separator.join(str(item) for item in value)


def _parted(value: str, separator: str) -> list[str]:
    return value.split(separator) if value else []


@transform(reverse=_joined, check=_separator_problem)
def split(value: str, separator: str) -> list[str]:
    """A text becomes a list, cut at `separator` (for type json)."""
    return _parted(value, separator)


@transform(reverse=_parted, check=_separator_problem)
def join(value: Any, separator: str) -> Any:
    """A list of texts or numbers becomes one text with `separator` between."""
    return _joined(value, separator)


def _without_prefix(value: str, text: str) -> str:
    return value.removeprefix(text)


def _without_suffix(value: str, text: str) -> str:
    return value.removesuffix(text)


@transform(reverse=_without_prefix)
def prefix(value: str, text: str) -> str:
    """Puts `text` in front; a push takes it away."""
    return text + value


@transform(reverse=_without_suffix)
def suffix(value: str, text: str) -> str:
    """Puts `text` at the end; a push takes it away."""
    return value + text


_UNITS = {"seconds": 1, "milliseconds": 1000}


def _unit_problem(unit: str = "seconds") -> str | None:
    return None if unit in _UNITS else f"seconds or milliseconds, found {excerpt(unit)}"


def _to_epoch(value: Any, unit: str = "seconds") -> Any:
    if not isinstance(value, datetime):
        return value
    elapsed = value - datetime(1970, 1, 1, tzinfo=UTC)
    micros = (elapsed.days * 86400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds
    found = Decimal(micros) * _UNITS[unit] / 1_000_000
    return int(found) if found == int(found) else found


@transform(reverse=_to_epoch, check=_unit_problem)
def epoch_to_datetime(value: Any, unit: str = "seconds") -> Any:
    """Seconds (or `milliseconds`) since 1970 in UTC become a time."""
    if isinstance(value, datetime) or value == "":
        return value
    micros = to_decimal(value) * 1_000_000 / _UNITS[unit]
    if abs(micros) > 10**18:
        raise Refused("transform", f"{excerpt(value)} {unit} is outside the years 1 to 9999", value=value)
    whole_s, rest = divmod(int(micros), 1_000_000)
    try:
        return datetime.fromtimestamp(whole_s, tz=UTC).replace(microsecond=rest)
    except (OverflowError, ValueError, OSError) as error:
        raise Refused("transform", f"{excerpt(value)} {unit} is outside the years 1 to 9999", value=value) from error


def _form_problem(form: str) -> str | None:
    return None if "%" in form else f"a form such as %d/%m/%Y, found {excerpt(form)}"


def _parsed(value: str, form: str) -> datetime:
    try:
        return datetime.strptime(value, form)  # noqa: DTZ007 - the field's zone is put on where the form has none
    except ValueError as error:
        raise Refused("transform", f"{excerpt(value)} does not have the form {form}", value=value) from error


def _formatted(value: Any, form: str) -> Any:
    if not isinstance(value, date):
        return value
    year = f"{value.year:04d}"  # strftime writes the year 1 as "1", which strptime does not read
    return value.strftime(_DIRECTIVE.sub(lambda found: year if found[0] == "%Y" else found[0], form))


@transform(reverse=_formatted, check=_form_problem)
def date_format(value: Any, form: str) -> Any:
    """Reads a date written in `form` (Python's strptime): `{date_format: "%d/%m/%Y"}`; a push writes it."""
    return _parsed(value, form).date() if isinstance(value, str) and value else value


@transform(reverse=_formatted, check=_form_problem)
def datetime_format(value: Any, form: str) -> Any:
    """Reads a time written in `form` (Python's strptime); a push writes it, in the vendor's zone."""
    return _parsed(value, form) if isinstance(value, str) and value else value


def _negated(value: Any) -> Any:
    return value if value == "" else to_boolean(value) == "f"


@transform(reverse=_negated)
def negate(value: Any) -> Any:
    """True becomes false and false true (1 and 0, yes and no likewise): `disabled` into `is_active`."""
    return _negated(value)


def _as_one_zero(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


@transform(reverse=_as_one_zero)
def one_zero(value: Any) -> Any:
    """The vendor writes 1 and 0 for true and false; a push does too."""
    return value if value == "" else to_boolean(value) == "t"


def _factor_problem(factor: Decimal) -> str | None:
    return None if factor != 0 and Decimal(factor).is_finite() else "a factor other than 0"


def _divides(factor: Decimal) -> bool:
    """Whether 1/factor ends: only then the way back is exact."""
    try:
        quotient = EXACT.divide(Decimal(1), Decimal(factor))
    except DecimalException:
        return False
    return EXACT.multiply(quotient, Decimal(factor)) == 1


def _divided(value: Any, factor: Decimal) -> Any:
    return EXACT.divide(to_decimal(value), Decimal(factor)).normalize(EXACT)


@transform(reverse=_divided, check=_factor_problem, way_back=_divides)
def multiply(value: Any, factor: Decimal) -> Any:
    """A number times `factor`, exactly: `{multiply: 0.01}` for paise, `{multiply: -1}` for the other sign."""
    return value if value == "" else EXACT.multiply(to_decimal(value), Decimal(factor))
