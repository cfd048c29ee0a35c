"""Names for new objects, in the forms that OpenAI's clients know."""

import secrets
import string

ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """For example `ftjob-` and 24 letters and digits: 142 bits, so that no id is guessed."""
    return prefix + random_text(24)


def random_text(length: int) -> str:
    number = secrets.randbelow(len(ALPHABET) ** length)  # asked for once: each asking is a call of the system
    letters = []
    for _ in range(length):
        number, index = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[index])
    return "".join(letters)
