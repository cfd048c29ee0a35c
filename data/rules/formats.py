"""The values of a JSON Schema `format`: what jsonschema checks only with more packages, or hardly at all."""

import ipaddress
import re
from collections.abc import Callable
from datetime import date, time

from jsonschema import FormatChecker

DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
TIME = re.compile(r"(\d{2}:\d{2}:\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
EMAIL = re.compile(r"[^\s@<>\"(),:;]+@[^\s@<>\"(),:;.]+(\.[^\s@<>\"(),:;.]+)+")
PHONE = re.compile(r"\+[1-9]\d{1,14}", re.ASCII)  # E.164
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+")

FORMATS = FormatChecker(formats=[])


def _is_date(text: str) -> bool:
    return bool(DATE.fullmatch(text)) and bool(date.fromisoformat(text))


def _is_time(text: str) -> bool:
    parts = TIME.fullmatch(text)
    if not parts:
        return False
    offset = parts[3]
    # 23:59:60 is a leap second, which RFC 3339 has and Python has not.
    time.fromisoformat(parts[1].replace(":60", ":59") + ("" if offset in "Zz" else offset))
    return True


def _is_date_time(text: str) -> bool:
    return text[10:11] in ("T", "t") and _is_date(text[:10]) and _is_time(text[11:])


_CHECKS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_date_time,
    "email": lambda text: bool(EMAIL.fullmatch(text)),
    "phone": lambda text: bool(PHONE.fullmatch(text)),
    "uuid": lambda text: bool(UUID_TEXT.fullmatch(text)),
    "uri": lambda text: bool(URI.fullmatch(text)),
    "ipv4": lambda text: ipaddress.IPv4Address(text) is not None,
    "ipv6": lambda text: ipaddress.IPv6Address(text) is not None,
}
# Names that people write for the same thing.
_CHECKS |= {"datetime": _is_date_time, "e-mail": _CHECKS["email"], "phone-number": _CHECKS["phone"]}


def _register(name: str, is_valid: Callable[[str], bool]) -> None:
    FORMATS.checks(name, raises=ValueError)(lambda value: not isinstance(value, str) or is_valid(value))


for _name, _check in _CHECKS.items():
    _register(_name, _check)
