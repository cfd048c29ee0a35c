"""Where a scenario plays: a persona, a day, some tasks; and the draws that a scenario makes from the word banks."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Literal, NamedTuple

from data.row import JsonObject
from data.task_api.small_talk import CITIES, PEOPLE
from data.task_api.transcript import Call, Transcript, describe_result
from data.task_api.wording import EXTRA_DUE, EXTRA_PRIORITY, HELD_OUT_TITLES, PERSONAS, TRAIN_TITLES, Bank
from data.task_api.workspace import (
    PRIORITIES,
    Task,
    Weekdays,
    coming_days,
    draw_tasks,
    numbered_tasks,
    render_listed,
    render_numbered,
    render_today,
    weekday,
)

Level = Literal["basic", "full"]
_BARE_TITLE = re.compile(r'(?<!")\{title\}|\{lower\}')


class Setting(NamedTuple):
    """Which rows a scene is for.

    A `full` scene greets, talks of weekdays and words half of the test rows as no training row does. A `basic` one is
    what a model of 135M parameters learns from some hundred rows: plain requests that name tasks by id, the same
    phrases in training and test around other titles, ids, dates, cities and people. Titles stand in quotes, the only
    day named by a word is tomorrow, and half of the rows end with their last calls.
    """

    split: Literal["train", "test", "reworded"]
    """`reworded` is `test` in phrases that no training row uses."""
    level: Level


class When(NamedTuple):
    """A due date as the user says it and as the call must have it."""

    words: str
    due_date: str


class Ref(NamedTuple):
    """A task as the user names it."""

    words: str
    task: Task


class Scene:
    """`listed`: the tasks stand in the system message; otherwise they are in a numbered workspace, which lists on call.

    A `listed` of None tosses a coin. `suits` refuses numbered workspaces that a scenario cannot use.
    """

    def __init__(
        self,
        rng: Random,
        setting: Setting,
        listed: bool | None = None,
        suits: Callable[[list[Task]], bool] = bool,
    ) -> None:
        self.rng, self.setting = rng, setting
        self.is_basic, self.is_test = setting.level == "basic", setting.split != "train"
        self.listed = (not self.is_basic and rng.random() < 0.5) if listed is None else listed
        self._titles = HELD_OUT_TITLES if self.is_test else TRAIN_TITLES
        self._persona = rng.choice(PERSONAS)
        self._today = date(2026, 1, 1) + timedelta(days=rng.randrange(730))
        self._weekdays: Weekdays = "none" if self.is_basic else "coming" if rng.random() < 0.25 else "near"
        tasks, tasks_text = self._draw_workspace(suits)
        self._taken = {task.title for task in tasks}
        self._unnamed = rng.sample(tasks, len(tasks))
        today_text = render_today(self._today, weekdays=self._weekdays)
        self._transcript = Transcript("\n".join([self._persona.prompt, today_text, tasks_text]))

    def choose(self, *values: str) -> str:
        return self.rng.choice(values)

    def priority(self, *, other_than: str | None = None) -> str:
        return self.rng.choice([priority for priority in PRIORITIES if priority != other_than])

    def title(self) -> str:
        """A title that no task of this scene has yet."""
        title = self.rng.choice([title for title in self._titles if title not in self._taken])
        self._taken.add(title)
        return title

    def task(self, *, any_status: bool = False) -> Task:
        """A task, open unless said otherwise, that this scene has not named yet."""
        task = next(task for task in self._unnamed if any_status or task.status == "open")
        self._unnamed.remove(task)
        return task

    def ref(self, *, by_title: bool | None = None, any_status: bool = False) -> Ref:
        """A task by its id or title; in a numbered workspace titles need a look-up, so there the default is the id."""
        task = self.task(any_status=any_status)
        by_title = (self.listed and self.rng.random() < 0.5) if by_title is None else by_title
        if by_title:
            return Ref(self.choose(f'"{task.title}"', f'the "{task.title}" task', f'the task "{task.title}"'), task)
        return Ref(self.choose(task.task_id, f"task {task.task_id}"), task)

    def wrong_id(self, task: Task) -> str:
        """An id that does not exist and that the service's error corrects to this task."""
        hundreds, tens, ones = list(task.task_id.removeprefix("T-"))
        slips = [f"T-{hundreds}{ones}{tens}", f"T-{tens}{hundreds}{ones}", f"T-{hundreds}{tens}{ones}{ones}"]
        self.rng.shuffle(slips)
        # The natural slips can be as close to another task; one of ten more digits at the end never is.
        slips += [task.task_id + digit for digit in "0123456789"]
        return next(slip for slip in slips if f"did you mean {task.task_id} " in self._transcript.not_found(slip))

    def when(self, *, other_than: str | None = None) -> When:
        """Never the date the task has already: such a call would leave no mark on the end state."""
        when = self.spoken_day() if self.rng.random() < 0.6 else self._iso_day()
        return when if when.due_date != other_than else self.when(other_than=other_than)

    def spoken_day(self, *, other_than: str | None = None) -> When:
        """Today, tomorrow or, where the system message lists the coming days, a weekday."""
        when = self._spoken_day()
        return when if when.due_date != other_than else self.spoken_day(other_than=other_than)

    def _iso_day(self) -> When:
        iso = str(self._today + timedelta(days=self.rng.randrange(2, 60)))
        return When(iso, iso)

    def _spoken_day(self) -> When:
        if self._weekdays == "coming" and self.rng.random() < 0.7:
            day = self.rng.choice(coming_days(self._today))
            return When(weekday(day), str(day))
        words, ahead = ("tomorrow", 1) if self.is_basic else self.rng.choice([("today", 0), ("tomorrow", 1)])
        return When(words, str(self._today + timedelta(days=ahead)))

    def extras(self) -> tuple[str, JsonObject]:
        """Optional words on due date and priority, and the arguments they mean: none that the user does not mention."""
        words, arguments = "", JsonObject()
        if self.rng.random() < 0.55:
            when = self.when()
            words += self.choose(*EXTRA_DUE).format(when=when.words)
            arguments["due_date"] = when.due_date
        if self.rng.random() < (0.55 if self.is_basic else 0.4):
            arguments["priority"] = self.priority()
            words += self.choose(*EXTRA_PRIORITY).format(priority=arguments["priority"])
        return words, arguments

    def phrase(self, bank: Bank, **slots: str) -> str:
        """A request from the bank, in words that its setting allows."""
        cities, people = self._half(CITIES), self._half(PEOPLE)
        template = self.choose(*self._phrases(bank, slots))
        text = template.format(city=self.choose(*cities), person=self.choose(*people), **slots)
        return text[0].upper() + text[1:]

    def _phrases(self, bank: Bank, slots: dict[str, str]) -> tuple[str, ...]:
        """In full scenes a test row takes a shared phrase only around something that no training row says."""
        if self.is_basic:
            texts = bank.held_out if self.setting.split == "reworded" else bank.shared
            return tuple(text for text in texts if not _BARE_TITLE.search(text))
        if not self.is_test:
            return bank.shared
        if self.setting.split == "reworded" or self.rng.random() >= 0.5:
            return bank.held_out
        titled = [name for name, value in slots.items() if name in ("title", "lower") or '"' in value]
        shared = tuple(text for text in bank.shared if any(f"{{{name}}}" in text for name in titled))
        return shared or bank.held_out

    def _half(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """In basic scenes cities and people are split like titles: half for training, half for test."""
        middle = len(names) // 2
        return names if not self.is_basic else names[middle:] if self.is_test else names[:middle]

    def ask(self, text: str) -> None:
        if not self.is_basic:
            text = self.choose(*self._persona.greetings) + text + self.choose(*self._persona.closings)
        self._transcript.ask(text)

    def say(self, text: str) -> None:
        self._transcript.say(text)

    def call(self, *calls: Call) -> list[JsonObject]:
        return self._transcript.call(*calls)

    def fail(self, call: Call) -> str:
        return self._transcript.fail(call)

    def finish(self, *calls: Call) -> list[JsonObject]:
        """Make the calls and, in every other basic row and in every full one, report results in the persona's way."""
        results = self.call(*calls)
        if self.is_basic and self.rng.random() < 0.5:
            self._transcript.drop_last_results()
            return results
        parts = [describe_result(call, result) for call, result in zip(calls, results, strict=True)]
        self.say(f"{self._persona.done} {'; '.join(parts)}.")
        return results

    def row(self) -> JsonObject:
        return self._transcript.row()

    def _draw_workspace(self, suits: Callable[[list[Task]], bool]) -> tuple[list[Task], str]:
        if self.listed:
            tasks = draw_tasks(self.rng, self._titles, self._today)
            return tasks, render_listed(tasks)
        while True:
            number = self.rng.randrange(1000, 9999, 2) + self.is_test
            tasks = numbered_tasks(number, self._today)
            if suits(tasks):
                hint = "" if self.is_basic else " Look up ids with list_tasks, status open."
                return tasks, render_numbered(number, self._today) + hint
