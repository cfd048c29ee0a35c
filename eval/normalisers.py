"""What is made alike before two argument values are compared, each only where the suite or the schema declares it."""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from dateutil import parser as dateutil_parser

from data.user_error import UserError
from eval.json_values import canonical_text
from eval.settings import Normaliser

# Two moments with no part but minutes and seconds in common: what a text leaves open differs between them.
_DEFAULTS = datetime(2000, 1, 1, 0), datetime(2005, 2, 2, 1)


def normalised(value: Any, names: Sequence[Normaliser], phone_region: str = "") -> Any:
    """The value with every text in it made alike, in the order of `names`. A text that does not read as what a
    normaliser is for (a date, a phone number) stays as it is."""
    if isinstance(value, dict):
        return {key: normalised(inner, names, phone_region) for key, inner in value.items()}
    if isinstance(value, list):
        items = [normalised(inner, names, phone_region) for inner in value]
        return sorted(items, key=_sort_key) if "unordered" in names else items
    for name in names:
        if isinstance(value, str):
            value = _phone(value, phone_region) if name == "phone" else _OF_TEXT[name](value)
    return value


def _punctuation(text: str) -> str:
    return "".join(sign for sign in text if not unicodedata.category(sign).startswith("P"))


def _number(text: str) -> Any:
    try:
        number = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return number if isinstance(number, int | float) and not isinstance(number, bool) else text


def _date(text: str) -> str:
    try:
        return _iso(datetime.fromisoformat(text), has_time=len(text) > len("2026-03-14"))
    except ValueError:
        pass
    try:
        moments = [dateutil_parser.parse(text, default=default) for default in _DEFAULTS]
        day_first = dateutil_parser.parse(text, default=_DEFAULTS[0], dayfirst=True)
    except (ValueError, OverflowError):
        return text
    # 03/04/2026 is March here and April there: not to be guessed.
    is_complete = moments[0].date() == moments[1].date() == day_first.date()
    return _iso(moments[0], has_time=moments[0].hour == moments[1].hour) if is_complete else text


def _iso(moment: datetime, *, has_time: bool) -> str:
    if not has_time:
        return moment.date().isoformat()
    return (moment.astimezone(UTC) if moment.tzinfo else moment).isoformat()


def _phone(text: str, region: str) -> str:
    try:
        import phonenumbers  # only suites that declare it need it
    except ImportError as error:
        fix = "install phonenumbers"
        raise UserError("normaliser `phone` needs the package phonenumbers", where="normalise", fix=fix) from error
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(number):
        return text
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _bfcl(text: str) -> str:
    """`standardize_string` of bfcl-eval 2026.3.23: "-5" is "5" in it, and "10.5" is "105"."""
    return re.sub(r"[ ,./\-_*^]", "", text).lower().replace("'", '"')


def _sort_key(value: Any) -> str:
    """1 and 1.0 are the same JSON number, so they sort to the same place."""
    return canonical_text(json.loads(canonical_text(value), parse_float=_plain_number))


def _plain_number(text: str) -> float | int:
    number = float(text)
    return int(number) if number.is_integer() else number


_OF_TEXT: dict[Normaliser, Callable[[str], Any]] = {
    "case": str.casefold,
    "whitespace": lambda text: " ".join(text.split()),
    "punctuation": _punctuation,
    "unicode": lambda text: unicodedata.normalize("NFKC", text),
    "number": _number,
    "date": _date,
    "unordered": lambda text: text,
    "bfcl": _bfcl,
}
