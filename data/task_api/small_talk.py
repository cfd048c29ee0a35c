"""Requests that no tool should answer, close in wording to those that one should, and the short answers to them."""

from typing import NamedTuple

from data.task_api.wording import Bank

CITIES = (
    *("Oslo", "Porto", "Leeds", "Ghent", "Lyon", "Riga", "Bilbao", "Gdansk", "Nantes", "Quito"),
    *("Lima", "Fes", "Basel", "Hobart", "Seoul", "Tampa", "Delft", "Cusco", "Split", "Nairobi"),
    *("Turin", "Graz", "Cork", "Bergen", "Malaga", "Tartu", "Zadar", "Perth", "Kyoto", "Dakar"),
    *("Izmir", "Lagos", "Bruges", "Osaka", "Denver", "Leipzig", "Galway", "Pune", "Trieste", "Utrecht"),
)
PEOPLE = (
    *("Ines", "Marek", "Yusuf", "Priya", "Amara", "Jonas", "Mei", "Rafael", "Sofia", "Dmitri"),
    *("Ivo", "Salma", "Pedro", "Greta", "Anil", "Chloe", "Tariq", "Ewa", "Hugo", "Naledi"),
    *("Hanna", "Tomas", "Wanjiru", "Leo", "Kenji", "Fatima", "Oscar", "Lucia", "Bram", "Noor"),
    *("Carla", "Emeka", "Sanna", "Viktor", "Leila", "Paulo", "Astrid", "Rohan", "Milena", "Otis"),
)


class Topic(NamedTuple):
    answer: str
    questions: Bank


CANNOT_HELP = Topic(
    "I can only manage your tasks, so I cannot help with that.",
    Bank(
        (
            "What is the weather in {city} tomorrow?",
            "Send an email to {person} about my plan to {lower}.",
            "Book me a flight to {city} for tomorrow.",
            "Call {person} and say that I am late.",
            "Find the phone number of {person}.",
            "Add 20 euros to the account of {person}.",
            "Show me the news from {city}.",
            "Put a dinner with {person} into my diary.",
            "Set an alarm for tomorrow.",
            "Make an appointment with the doctor of {person}.",
            "Write to {person} that dinner is ready.",
            "Turn on some music from {city}.",
            "Who is the mayor of {city}?",
            "Pay the rent to {person}.",
            "Reserve a table in {city} for {person} and me.",
        ),
        (
            "Will it rain in {city} today?",
            "Text {person} that I will {lower}.",
            "Order a taxi to {city} for me.",
            "Show me the photos from {city}.",
            "Set a meeting with {person} in my calendar app.",
            "Play the playlist that {person} made.",
        ),
    ),
)
GOOD_NEWS = Topic(
    "Well done! Nothing on your list is meant by that, so I leave it as it is.",
    Bank(
        (
            "I finished reading a novel last night.",
            "I completed my first marathon in {city}.",
            "I finished a long walk in {city}.",
            "I am done with the move to {city}.",
            "I am done with rainy days.",
            "I finished my coffee with {person}.",
            "{person} and I completed a puzzle.",
            "{person} finished school today.",
            "I have done a lot of swimming in {city}.",
            "My year in {city} is finished now.",
        ),
        ("I am finally through with my exams.", "I finished a lovely walk in {city}."),
    ),
)
NO_CALL_TOPICS = (
    Topic(
        "Start with a verb and name one outcome, for example the thing to buy or the person to call.",
        Bank(
            (
                "How do I write a good task title?",
                'Is "{title}" a good title for a task?',
                "What makes a task title clear?",
                "How should I word a new task?",
            ),
            (
                'Would you say "{title}" is a clear task title?',
                "Any tips for naming tasks?",
                "How long should a task title be?",
            ),
        ),
    ),
    Topic(
        "Use high only for what cannot wait, medium for this week, low for the rest.",
        Bank(
            ("When should a task be high priority?", "How do I choose a priority?", "What is low priority good for?"),
            ("Which tasks deserve high priority in general?", "How do people usually set priorities?"),
        ),
    ),
    Topic(
        "I can add, change, complete and list tasks.",
        Bank(
            (
                "What can you do with my tasks?",
                "Can you complete tasks?",
                "Are you able to change due dates?",
                "Which kinds of requests can you handle?",
                "Can you list tasks by priority?",
            ),
            (
                "Do you know how to rename tasks?",
                "What are you able to do for my list?",
                "Could you mark tasks as done if I asked?",
            ),
        ),
    ),
    CANNOT_HELP,
    Topic(
        "Glad to hear it. Tell me when I can do something for your list.",
        Bank(
            (
                "I love a short to-do list.",
                "Today was a good day, {person} helped me to {lower}.",
                "{person} says that a done list is better than a to-do list.",
                "Finishing things feels great.",
            ),
            (
                "Nothing beats an empty list.",
                "{person} likes to {lower}, can you believe it?",
                "My sister {person} never writes tasks down.",
                "What a productive week.",
            ),
        ),
    ),
    GOOD_NEWS,
)

# Requests with something missing: the assistant must ask, not guess.
ASK_BACK_TOPICS = (
    Topic(
        "What should the title of the task be?",
        Bank(
            (
                "Add a task.",
                "Create a new task, due tomorrow.",
                "Put something on my list.",
                "New task, high priority.",
            ),
            ("Jot down a task.", "One more task, due today.", "Enter a low-priority task."),
        ),
    ),
    Topic(
        "Which task do you mean?",
        Bank(
            ("Mark the task as done.", "Complete it.", "Make it high priority.", "Move the task to tomorrow."),
            ("Check off the task.", "Shift it to tomorrow.", "Set that one to low priority."),
        ),
    ),
    Topic(
        "What should the new due date be?",
        Bank(
            ("Move {ref} to another day.", "Change the due date of {ref}.", "Reschedule {ref}."),
            ("Shift {ref}.", "Give {ref} a different deadline."),
        ),
    ),
    Topic(
        "Which priority should it have: low, medium or high?",
        Bank(("Change the priority of {ref}.", "Give {ref} another priority."), ("{ref} needs a different priority.",)),
    ),
    Topic(
        "What should the new title be?",
        Bank(("Rename {ref}.", "Change the title of {ref}."), ("{ref} needs a better title.",)),
    ),
)

# Questions that the task list in the system message, or the answer just given, already holds.
ASK_DUE = Bank(("When is {ref} due?", "What is the due date of {ref}?"), ("By when must {ref} be done?",))
ASK_PRIORITY = Bank(("What is the priority of {ref}?", "How important is {ref}?"), ("Which priority does {ref} have?",))
ASK_STATUS = Bank(("Is {ref} done?", "Is {ref} still open?"), ("Have I completed {ref} yet?",))
ASK_NEW_ID = Bank(("Which id did it get?", "What is its id?"), ("Under which id can I find it?",))
