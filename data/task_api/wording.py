"""The words scenarios are made of: task titles, personas, and request phrases, each with a held-out part.

Titles are split once, for good: no title of a test row is ever seen in training. A phrase bank has phrases shared by
both splits and phrases that only test rows use; test rows use a shared one only around a held-out title.
"""

from itertools import product
from random import Random
from typing import NamedTuple

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_TITLE_BANKS: list[tuple[str, str]] = [
    (
        "Buy|Order|Pick up",
        "oat milk|printer paper|light bulbs|cat food|train tickets|paint brushes|garden soil|coffee beans|fresh flowers"
        "|a birthday card|new batteries|picture frames|rye bread|moving boxes|a phone charger|winter gloves",
    ),
    (
        "Call|Email|Thank|Visit",
        "the plumber|the dentist|the landlord|Aunt Rosa|the school office|Mr Okafor|the insurance agent|the bank"
        "|the new neighbours|Grandpa|the piano teacher|Dr Lindqvist|the travel agent|the book club",
    ),
    (
        "Fix|Check|Replace|Clean",
        "the kitchen tap|the bike chain|the smoke alarm|the garage door|the front brakes|the oven light"
        "|the water filter|the office chair|the shower head|the garden hose|the back window|the coffee machine"
        "|the door lock",
    ),
    (
        "Write|Review|Send|Print",
        "the budget report|the meeting notes|the lease contract|the product brief|the thank-you letter|the tax form"
        "|the travel plan|the press release|the lab protocol|the course outline|the guest list|the sales figures",
    ),
    (
        "Book|Confirm|Cancel",
        "the hotel room|the team lunch|the flight to Oslo|the tennis court|the haircut|the guided tour|the rental van"
        "|the eye test|the concert seats|the yoga class|the table for six|the airport taxi|the vet appointment",
    ),
    (
        "Prepare|Tidy|Paint|Measure",
        "the guest room|the attic|the balcony|the storage shelf|the tool shed|the hallway|the reading corner"
        "|the front porch|the stock room|the picnic table",
    ),
    (
        "Water|Move|Photograph|Label",
        "the tomato plants|the lemon tree|the herb pots|the fern|the rose bed|the seedlings|the orchids"
        "|the window boxes|the cactus|the apple trees|the bonsai|the strawberry patch",
    ),
]

_TITLES = [
    f"{verb} {thing}" for verbs, things in _TITLE_BANKS for verb, thing in product(verbs.split("|"), things.split("|"))
]
Random("titles").shuffle(_TITLES)
_NUM_TRAIN_TITLES = len(_TITLES) * 3 // 5
TRAIN_TITLES, HELD_OUT_TITLES = tuple(_TITLES[:_NUM_TRAIN_TITLES]), tuple(_TITLES[_NUM_TRAIN_TITLES:])


class Persona(NamedTuple):
    prompt: str
    done: str
    """Opens every answer that follows a successful call."""
    greetings: tuple[str, ...]
    closings: tuple[str, ...]


PERSONAS = (
    Persona("You are Tilda, a friendly household assistant.", "Done:", ("", "Hi Tilda! "), ("", " Thanks!")),
    Persona("You are the planning desk of a repair workshop. Be brief.", "Roger:", ("",), ("", " Over.")),
    Persona(
        "You are Otto, aide to a busy editor. Be courteous.",
        "Certainly:",
        ("", "Good day, Otto. "),
        ("", " Much obliged."),
    ),
    Persona(
        "You are a study coach for a student's to-do list.",
        "All set:",
        ("", "Hey coach, quick one. "),
        ("", " Cheers!"),
    ),
)


class Bank(NamedTuple):
    """`shared` phrases are for both splits, `held_out` ones for test rows alone."""

    shared: tuple[str, ...]
    held_out: tuple[str, ...]


# {title} is copied word for word, {lower} is the title as it reads inside a sentence; {extra} is due date and priority.
CREATE = Bank(
    (
        'Add "{title}" to my list{extra}.',
        'Create a task called "{title}"{extra}.',
        "New task: {title}{extra}.",
        'Put "{title}" on the list{extra}.',
        'Please note down "{title}"{extra}.',
        "Remind me to {lower}{extra}.",
        "I have to {lower}{extra}, put that on my list.",
        'Can you make a task "{title}"{extra}?',
        "To do: {title}{extra}.",
        'Write down "{title}"{extra}.',
        'I need a task "{title}"{extra}.',
        'Make a task named "{title}"{extra}.',
        'Could you put "{title}" on my list{extra}?',
        'Please save "{title}" as a task{extra}.',
    ),
    (
        'Jot down "{title}"{extra}.',
        'Could you enter "{title}" in my tasks{extra}?',
        "One more task: {title}{extra}.",
        "Don't let me forget to {lower}{extra}.",
    ),
)
EXTRA_DUE = (", due {when}", " by {when}", ", due by {when}")
EXTRA_PRIORITY = (", {priority} priority", ", with {priority} priority", ", priority {priority}")
COMPLETE = Bank(
    (
        "Complete {ref}.",
        "Mark {ref} as done.",
        "I finished {ref}.",
        "Tick off {ref}.",
        "Please close {ref}, it is finished.",
        "{ref} is done.",
        "Cross off {ref}.",
        "I have done {ref}.",
        "Mark {ref} complete.",
        "Close {ref}.",
        "{ref} is finished now.",
    ),
    ("Check off {ref}.", "I am through with {ref}, mark it done.", "Set {ref} to done."),
)
RESCHEDULE = Bank(
    (
        "Move {ref} to {when}.",
        "Change the due date of {ref} to {when}.",
        "Reschedule {ref} to {when}.",
        "Make {ref} due {when}.",
        "Push {ref} to {when}.",
        "{ref} is now due {when}.",
        "Set the due date of {ref} to {when}.",
        "Put {ref} off to {when}.",
    ),
    ("Shift {ref} to {when}.", "The deadline of {ref} should be {when}.", "Postpone {ref} until {when}."),
)
REPRIORITISE = Bank(
    (
        "Set {ref} to {priority} priority.",
        "Change the priority of {ref} to {priority}.",
        "Make {ref} {priority} priority.",
        "Give {ref} {priority} priority.",
        "{ref} is {priority} priority now.",
        "Change {ref} to {priority} priority.",
        "I want {ref} at {priority} priority.",
    ),
    ("Mark {ref} as {priority} priority.", "The priority of {ref} should be {priority}."),
)
RENAME = Bank(
    ('Rename {ref} to "{title}".', 'Change the title of {ref} to "{title}".', 'Retitle {ref} as "{title}".'),
    ('The title of {ref} should be "{title}".', 'Call {ref} "{title}" from now on.'),
)
LIST = Bank(
    (
        *("Show me {which}.", "List {which}.", "Give me {which}.", "Can I see {which}?", "Please pull up {which}."),
        *("What are {which}?", "I need {which}.", "Get me {which}."),
    ),
    ("Display {which}.", "I would like to see {which}.", "Read out {which}.", "Let me look at {which}."),
)
# `all my tasks` sends no filter; each other word in the phrase is one filter.
LISTINGS: tuple[tuple[str, dict[str, str]], ...] = (
    ("all my tasks", {}),
    ("my open tasks", {"status": "open"}),
    ("my done tasks", {"status": "done"}),
    *((f"my {priority}-priority tasks", {"priority": priority}) for priority in ("high", "medium", "low")),
    *(
        (f"my {status} {priority}-priority tasks", {"status": status, "priority": priority})
        for status, priority in product(("open", "done"), ("high", "medium", "low"))
    ),
)
COMPLETE_TWO = Bank(
    (
        *("Complete {ref} and {ref2}.", "Mark {ref} and {ref2} as done.", "I finished both {ref} and {ref2}."),
        *("{ref} and {ref2} are done.", "Cross off {ref} and {ref2}.", "Close {ref} and {ref2}, they are finished."),
    ),
    ("Check off {ref} and {ref2}.", "Set {ref} and {ref2} to done."),
)
CREATE_TWO = Bank(
    (
        'Add "{title}" and "{title2}" to my list.',
        'Create two tasks: "{title}" and "{title2}".',
        'Put "{title}" and "{title2}" on the list.',
        'Write down "{title}" and "{title2}".',
        'New tasks: "{title}" and "{title2}".',
        'I need the tasks "{title}" and "{title2}".',
    ),
    ('Jot down "{title}" and also "{title2}".', 'Two more tasks: "{title}" and "{title2}".'),
)
COMPLETE_AND_CREATE = Bank(
    (
        'Mark {ref} as done and add "{title}" to my list.',
        'I finished {ref}. Also create a task "{title}".',
        '{ref} is done. Please write down "{title}".',
    ),
    ('Check off {ref} and jot down "{title}".',),
)
COMPLETE_AND_MOVE = Bank(
    ("Mark {ref} as done and move {ref2} to {when}.", "I finished {ref}. Also reschedule {ref2} to {when}."),
    ("Check off {ref} and shift {ref2} to {when}.",),
)
CREATE_DONE = Bank(
    (
        'Add "{title}" to my list and then mark it as done.',
        'Create a task "{title}" and complete it, I already did that.',
        'Put "{title}" on the list, then tick it off.',
        'I need a task "{title}" that you then close.',
        'Write down "{title}" and cross it off.',
        'Make a task "{title}", it is done already, so complete it.',
    ),
    ('Jot down "{title}" and check it off right away.',),
)
COMPLETE_ALL = Bank(
    ("Complete all my open {priority}-priority tasks.", "Mark every open {priority}-priority task as done."),
    ("Check off each open {priority}-priority task.", "Set all open {priority}-priority tasks to done."),
)
# What users say instead of the three priorities; a first call with such a word fails, the retry has the right one.
PRIORITY_WORDS: tuple[tuple[str, str], ...] = (
    ("urgent", "high"),
    ("critical", "high"),
    ("normal", "medium"),
    ("minor", "low"),
)


def lower_first(title: str) -> str:
    """The title as it reads inside a sentence: only the first word is lowered, names keep their capitals."""
    return title[0].lower() + title[1:]


def title_in(request: str, title: str) -> str:
    """The title exactly as the request writes it."""
    return title if title in request else lower_first(title)
