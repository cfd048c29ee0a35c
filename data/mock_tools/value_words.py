"""Values as users say them: from the schema's own examples, from what an argument is called, or plain words."""

import re
from random import Random

# "(e.g., USA, UK, Canada)", "e.g. 100", "for example: red, green"
_EXAMPLES = re.compile(r"(?:e\.\s?g\.?|for example|such as)[,:]?\s+([^()]+?)(?:\)|\. |\.?$)", re.IGNORECASE)
_SPLIT = re.compile(r",\s*(?:or\s+|and\s+)?|\s+or\s+|\s+and\s+")
_MOST_WORDS = 4  # of an example; more is a sentence

_PERSON = {"author", "customer", "user", "username", "person", "recipient", "owner", "first", "last", "full", "patient"}
_NAMED = {
    ("city", "location", "destination", "origin", "place", "town"): (
        "Lisbon|Oslo|Nairobi|Kyoto|Toronto|Lima|Prague|Hanoi|Dublin|Austin|Ghent|Cape Town|Leeds|Porto|Quito|Riga"
    ),
    ("country", "nationality"): "Portugal|Norway|Kenya|Japan|Canada|Peru|Vietnam|Ireland|Chile|Latvia|Ghana|Nepal",
    ("name", *sorted(_PERSON)): (
        "Maria Santos|Ivo Novak|Aiko Tanaka|Omar Haddad|Lena Fischer|Chidi Okafor|Ruth Cohen|Tom Becker|Priya Nair"
        "|Sven Larsen|Ana Lima|Noor Rahman|Pablo Ruiz|Mei Chen|Zoe Martin|Kofi Mensah"
    ),
    ("quantity", "amount", "count", "number", "price", "total", "size", "age", "duration"): (
        "1|2|3|4|5|6|7|8|9|10|12|15|18|20|24|25|30|36|40|48|50|60|75|80|90|100"
    ),
    ("language",): "English|Spanish|French|German|Polish|Japanese|Swahili|Hindi|Portuguese|Dutch",
    ("currency",): "EUR|USD|GBP|JPY|CHF|CAD|SEK|PLN|BRL|INR",
    ("color", "colour"): "red|blue|green|yellow|black|white|orange|purple|grey|teal",
    ("message", "text", "content", "note", "notes", "description", "comment", "body", "reason", "feedback"): (
        "please call me back|the parcel arrived broken|see you on Monday|the printer on floor two is out of paper"
        "|thank you for the quick help|we need two more chairs|the code did not work|running ten minutes late"
        "|the invoice is missing a page|all tests have passed|the meeting room is too small|bring your own laptop"
    ),
    ("title", "subject", "topic", "query", "keyword", "search"): (
        "quarterly report|garden plan|winter tyres|team offsite|street food|solar panels|old maps|travel insurance"
        "|coffee beans|data privacy|jazz history|city bikes|leap years|sourdough|tide tables|board games"
    ),
}  # fmt: skip
_PLAIN = (
    "amber|birch|cedar|delta|ember|falcon|granite|harbour|indigo|juniper|kestrel|lantern|meadow|nectar|onyx|pebble"
    "|quartz|raven|saffron|timber|umber|violet|willow|yarrow|zephyr|anchor|beacon|canyon|dune|estuary|fjord|glacier"
)
FORMATS = {
    "date": ("date", "day", "deadline", "due"), "time": ("time", "hour"), "email": ("email", "mail"),
    "phone": ("phone", "telephone", "mobile"), "uri": ("url", "link", "website", "uri"),
}  # fmt: skip


def examples_in(description: str) -> list[str]:
    """What a description gives as examples.

    >>> examples_in("The country (e.g., USA, UK, Canada)")
    ['USA', 'UK', 'Canada']
    """
    found = []
    for listed in _EXAMPLES.findall(description):
        for part in _SPLIT.split(listed):
            text = part.strip(" '\"`.;:…")
            if text and len(text.split()) <= _MOST_WORDS and text.lower() != "etc":
                found.append(text)
    return found


def plain_words(words: list[str], rng: Random) -> str:
    """A value for an argument of this name; a `library_name` is no person's."""
    if words[1:] and words[-1] == "name" and not _PERSON & set(words):
        return f"{rng.choice(_PLAIN.split('|'))} {' '.join(words[:-1])}".title()
    for names, values in _NAMED.items():
        if values and set(names) & set(words):
            return rng.choice(values.split("|"))
    return rng.choice(_PLAIN.split("|"))


def format_for(words: list[str]) -> str:
    """The format that an argument of this name has although its schema does not say so; "" for none."""
    return next((name for name, hints in FORMATS.items() if set(hints) & set(words)), "")


def id_text(subject: list[str], rng: Random) -> str:
    """An id that shows what it is of: ORD-4821 for an order."""
    return f"{''.join(subject)[:3].upper()}-{rng.randrange(1000, 10000)}"


def formatted(name: str, rng: Random) -> str | None:
    """A text of a JSON Schema format; None for one that is not known here."""
    day = f"{rng.randrange(2026, 2028)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"
    clock = f"{rng.randrange(7, 21):02}:{rng.choice(['00', '15', '30', '45'])}:00"
    word = rng.choice(_PLAIN.split("|"))
    match name:
        case "date":
            return day
        case "time":
            return f"{clock}Z"
        case "date-time" | "datetime":
            return f"{day}T{clock}Z"
        case "email" | "e-mail" | "idn-email":
            return f"{word}{rng.randrange(10, 100)}@example.com"
        case "phone" | "phone-number":
            return f"+1555{rng.randrange(10**6, 10**7)}"
        case "uuid":
            digits = f"{rng.getrandbits(128):032x}"
            return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        case "uri" | "url" | "uri-reference" | "iri":
            return f"https://example.com/{word}/{rng.randrange(10, 1000)}"
        case "ipv4":
            return f"192.0.2.{rng.randrange(1, 255)}"
        case "ipv6":
            return f"2001:db8::{rng.randrange(1, 65535):x}"
        case "hostname" | "idn-hostname":
            return f"{word}.example.com"
        case _:
            return None
