"""Words of names as programs write them, and which arguments name a thing by its id."""

import re

# Unicode letters other than A-Z count as small ones.
_WORDS = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+|\d+")
_ID_WORDS = {"id", "uuid", "code", "number", "key", "token", "reference", "ref"}


def words_of(name: str) -> list[str]:
    """`getMenuItems` and `get_menu_items` alike.

    >>> words_of("getHTTPMenuItems2")
    ['get', 'http', 'menu', 'items', '2']
    """
    return [word.lower() for word in _WORDS.findall(name)] or [name]


def label(name: str) -> str:
    return " ".join(words_of(name))


def subject_of(name: str) -> list[str]:
    """What an id names: ["menu", "item"] for `menu_item_id`; [] for an argument that is no such id."""
    *subject, last = words_of(name)
    return [singular(word) for word in subject] if last in _ID_WORDS else []


def singular(word: str) -> str:
    """Good enough to tell that `items` are of an `item`."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word
