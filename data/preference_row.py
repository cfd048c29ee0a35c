"""One preference row, as the user wrote it: an input and two answers, of which the first is the better one."""

from pydantic import BaseModel, ConfigDict

from data.row import Message, Row


class PreferenceRow(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    input: Row
    preferred_output: list[Message]
    non_preferred_output: list[Message]

    def chosen(self) -> Row:
        return self.with_output(self.preferred_output)

    def rejected(self) -> Row:
        return self.with_output(self.non_preferred_output)

    def with_output(self, output: list[Message]) -> Row:
        """The row that ends on one of the outputs; only that output is learned, whatever weights say."""
        answer = [message.model_copy(update={"weight": None}) for message in output]
        return self.input.model_copy(update={"messages": [*_as_context(self.input.messages), *answer]})

    def rejected_as_context(self) -> Row:
        """The row that ends on the worse answer and learns nothing."""
        messages = [*self.input.messages, *self.non_preferred_output]
        return self.input.model_copy(update={"messages": _as_context(messages)})


def _as_context(messages: list[Message]) -> list[Message]:
    return [message.model_copy(update={"weight": 0 if message.role == "assistant" else None}) for message in messages]
