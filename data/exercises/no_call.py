"""Exercises that end without a call: the answer stands in the text, no tool serves the wish, or too little is said."""

from random import Random

from data.exercises.scene import Exercise, Scene, Stage
from data.exercises.wording import request
from data.mock_tools.names import label, singular, words_of
from data.mock_tools.schema_values import draw_arguments
from data.mock_tools.value_words import plain_words
from data.row import JsonObject

_FACTS = (
    *("locker number", "badge number", "room number", "desk number", "parking space", "gate number", "seat number"),
    *("platform", "floor", "extension", "queue ticket", "shelf number", "table number", "bay number", "key box"),
    *("house number", "team number", "lane", "aisle", "row"),
)
_TELL = (
    "My {fact} is {value}, and {other} has {fact} {value2}. What is my {fact}?",
    "For the record: the {fact} of {other} is {value2}, mine is {value}. Which one is mine?",
    "{other} was given {fact} {value2} and I got {value}. Remind me, what is my {fact}?",
    "Yesterday I was moved from {fact} {value2} to {value}, {other} told me. What is my {fact} now?",
)
# A wish and the words that a tool which might serve it would have in its name or description.
_BEYOND = (
    ("Can you iron my {colour} shirt before {city}?", "iron laundry clothes shirt"),
    ("Please water the {colour} plants in my {city} flat.", "water plant garden irrigation"),
    ("Could you walk my dog {name} tonight?", "walk dog pet"),
    ("Fix the flat tyre of my {colour} bicycle, please.", "tyre tire bicycle bike repair fix"),
    ("Please cut my hair before I see {name}.", "hair salon barber cut"),
    ("Can you paint the fence {colour} this weekend?", "paint fence wall"),
    ("Carry my {colour} suitcase up to the fourth floor.", "carry luggage suitcase"),
    ("Please hand this {colour} umbrella to {name} in person.", "hand umbrella deliver delivery"),
    ("Could you taste the soup and tell {name} if it needs salt?", "taste soup food cook recipe"),
    ("Tune the {colour} piano in our {city} studio.", "tune piano instrument"),
)
_CANNOT = (
    "I am sorry, none of my tools can do that.",
    "I cannot do that: I have no tool for it.",
    "That is beyond what my tools can do.",
)
_ASK_BACK = ("Which {label} should I use?", "Please tell me the {label}.", "I need the {label} for that. What is it?")


def no_call(stage: Stage, rng: Random) -> Exercise:
    """Asking back needs a required argument, and a wish no tool serves needs one that none speaks of."""
    scene = Scene(stage, rng)
    beyond = [wish for wish, words in _BEYOND if not set(words.split()) & _vocabulary(stage.tools)]
    asking = [tool for tool in stage.usable.values() if _required(tool)]
    draw = rng.random()
    if asking and draw < 0.4:
        _ask_back(scene, rng.choice(asking))
    elif beyond and draw < 0.6:
        wish = rng.choice(beyond)
        scene.transcript.ask(wish.format(**{name: plain_words([name], rng) for name in ("colour", "city", "name")}))
        scene.transcript.say(rng.choice(_CANNOT))
    else:
        _from_the_text(scene)
    return Exercise(scene.transcript.messages, [])


def _ask_back(scene: Scene, tool: JsonObject) -> None:
    """A required argument is not said, and nothing else says it."""
    arguments, missing = draw_arguments(tool, scene.rng), scene.rng.choice(_required(tool))
    del arguments[missing]
    name = tool["function"]["name"]
    scene.transcript.ask(request(scene.wish(name), arguments, scene.rng))
    scene.transcript.say(scene.rng.choice(_ASK_BACK).format(label=label(missing)))


def _from_the_text(scene: Scene) -> None:
    rng = scene.rng
    known = _vocabulary(scene.stage.tools)
    fact = rng.choice([fact for fact in _FACTS if not known & set(fact.split())] or _FACTS)
    value, value2 = rng.sample(range(10, 1000), 2)
    other = plain_words(["name"], rng)
    scene.transcript.ask(rng.choice(_TELL).format(fact=fact, value=value, value2=value2, other=other))
    scene.transcript.say(f"Your {fact} is {value}.")


def _required(tool: JsonObject) -> list[str]:
    """Required arguments whose value the schema leaves open."""
    parameters = tool["function"].get("parameters") or {}
    properties, closed = parameters.get("properties", {}), {"const", "default", "enum"}
    return [key for key in parameters.get("required") or [] if not closed & set(properties.get(key, {}))]


def _vocabulary(tools: list[JsonObject]) -> set[str]:
    texts = [f"{tool['function']['name']} {tool['function'].get('description') or ''}" for tool in tools]
    return {singular(word) for text in texts for word in words_of(text)}
