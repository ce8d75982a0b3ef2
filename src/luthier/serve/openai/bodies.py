"""Bodies of OpenAI's API, as far as they are answered here: a field that would be ignored is refused with its name.

The names and meanings are those of https://platform.openai.com/docs/api-reference/chat and /completions.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from luthier.core.records import JsonObject, Message, ToolCall
from luthier.serve.door.nesting import of_some_depth

# More than the largest context here holds; an engine that reads a prompt answers nobody meanwhile.
MOST_TEXT_CHARACTERS = 1_000_000
# OpenAI's own bounds.
MOST_STOPS, MOST_STOP_CHARACTERS, MOST_LIKELY, MOST_CHOICES = 4, 256, 20, 8
MOST_MESSAGES, MOST_PARTS, MOST_TOOLS = 2_000, 2_000, 128

T = TypeVar("T")


class Body(BaseModel):
    """The base of every body: an unknown field is an error, and no number is taken from a text."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TextPart(Body):
    """A part of a message's content. Pictures and sound are not understood here."""

    type: Literal["text"]
    text: str = Field(max_length=MOST_TEXT_CHARACTERS)


class CalledFunction(Body):
    """What a call calls; `arguments` is a JSON object as text."""

    name: str = Field(min_length=1, max_length=200)
    arguments: str = Field(max_length=MOST_TEXT_CHARACTERS)

    @field_validator("arguments")
    @classmethod
    def _is_an_object(cls, text: str) -> str:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError("a JSON object as text is meant") from error
        if not isinstance(value, dict):
            raise ValueError("a JSON object as text is meant")
        of_some_depth(value)
        return text


class WrittenCall(Body):
    """A tool call of an earlier turn."""

    id: str = Field(max_length=200)
    type: Literal["function"] = "function"
    function: CalledFunction


class ChatMessage(Body):
    """One turn; `developer` is another word for `system`."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, Field(max_length=MOST_TEXT_CHARACTERS)] | Annotated[list[TextPart], Field(max_length=MOST_PARTS)] | None = None
    name: str | None = Field(default=None, max_length=200)
    tool_calls: list[WrittenCall] | None = Field(default=None, max_length=MOST_TOOLS)
    tool_call_id: str | None = Field(default=None, max_length=200)
    # What the official client sends back of an answer that it was given.
    refusal: None = None
    annotations: list[Any] | None = Field(default=None, max_length=0)
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _says_something(self) -> ChatMessage:
        if self.content is None and not self.tool_calls:
            raise ValueError("a message has content or tool calls")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only the assistant calls tools")
        return self

    @property
    def characters(self) -> int:
        """How long it is."""
        parts = [self.content] if isinstance(self.content, str) else [part.text for part in self.content or ()]
        return sum(map(len, parts)) + sum(len(call.function.arguments) for call in self.tool_calls or ())

    def to_message(self) -> Message:
        """The turn as a model is asked with it."""
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content or ())
        calls = tuple(ToolCall(call.function.name, json.loads(call.function.arguments), call.id) for call in self.tool_calls or ())
        role = "system" if self.role == "developer" else self.role
        return Message(role, content, calls, tool_call_id=self.tool_call_id, name=self.name)


class ToolFunction(Body):
    """A tool that the model may call; `parameters` is a JSON schema."""

    name: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=MOST_TEXT_CHARACTERS)
    parameters: dict[str, Any] | None = None
    # Answers are not held to a schema here.
    strict: Literal[False] | None = None

    @field_validator("parameters")
    @classmethod
    def _has_some_depth(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        return of_some_depth(schema)


class Tool(Body):
    """A tool in OpenAI's form."""

    type: Literal["function"]
    function: ToolFunction

    def to_json(self) -> JsonObject:
        """The tool as templates take it."""
        return self.model_dump(exclude_none=True)


class StreamOptions(Body):
    """`include_usage` sends the token counts in a last piece of their own."""

    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


class ResponseFormat(Body):
    """Plain text is the only format that answers have here."""

    type: Literal["text"]


Stops = Annotated[list[Annotated[str, Field(min_length=1, max_length=MOST_STOP_CHARACTERS)]], Field(max_length=MOST_STOPS)]


class Asked(Body):
    """What both kinds of completion have in common.

    Fields that other servers know and that would change nothing or something else here (`logit_bias`, penalties other than 0) are refused.
    """

    # Left out, it is the server's default one.
    model: str | None = Field(default=None, min_length=1, max_length=400)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int | None = Field(default=None, ge=1, le=MOST_CHOICES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: Annotated[str, Field(min_length=1, max_length=MOST_STOP_CHARACTERS)] | Stops | None = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    user: str | None = Field(default=None, max_length=400)

    @field_validator("temperature", "top_p", "presence_penalty", "frequency_penalty", mode="before")
    @classmethod
    def _whole_numbers_too(cls, value: Any) -> Any:
        """JSON tells 0 and 0.0 apart, which nobody who asks means to."""
        if isinstance(value, bool):
            return value
        return float(value) if isinstance(value, int) and abs(value) < 1 << 53 else value

    @field_validator("logit_bias", mode="before")
    @classmethod
    def _weighs_no_tokens(cls, value: Any) -> Any:
        if value:
            raise ValueError("tokens are not weighed here: leave it out")
        return value

    @field_validator("stream_options")
    @classmethod
    def _options_of_a_stream(cls, options: StreamOptions | None, info: ValidationInfo) -> StreamOptions | None:
        if options is not None and not info.data.get("stream"):
            raise ValueError("`stream_options` go with `stream: true`")
        return options

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts before which the answer ends."""
        return () if self.stop is None else (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)


def _bounded(texts: T, characters: int) -> T:
    if characters > MOST_TEXT_CHARACTERS:
        raise ValueError(f"{MOST_TEXT_CHARACTERS:,} characters at most in all, and it has {characters:,}")
    return texts


class ChatBody(Asked):
    """`POST /v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=MOST_MESSAGES)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    tools: list[Tool] | None = Field(default=None, max_length=MOST_TOOLS)
    # `none` hides the tools; a tool that must be called is not enforced here.
    tool_choice: Literal["auto", "none"] | None = None
    parallel_tool_calls: Literal[True] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=MOST_LIKELY)
    response_format: ResponseFormat | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None

    @field_validator("top_logprobs")
    @classmethod
    def _counts_what_is_asked(cls, count: int | None, info: ValidationInfo) -> int | None:
        if count is not None and not info.data.get("logprobs"):
            raise ValueError("`top_logprobs` goes with `logprobs: true`")
        return count

    @field_validator("messages")
    @classmethod
    def _has_a_length(cls, messages: list[ChatMessage]) -> list[ChatMessage]:
        return _bounded(messages, sum(message.characters for message in messages))

    @property
    def most_tokens(self) -> int | None:
        """The longest answer, where it is asked for."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens


class CompletionBody(Asked):
    """`POST /v1/completions`: a text, or several, to go on with; the model's template is not used."""

    prompt: Annotated[str, Field(max_length=MOST_TEXT_CHARACTERS)] | Annotated[list[str], Field(min_length=1, max_length=64)]
    max_tokens: int | None = Field(default=None, ge=1)
    logprobs: int | None = Field(default=None, ge=0, le=5)
    echo: Literal[False] | None = None
    best_of: Literal[1] | None = None
    suffix: None = None

    @field_validator("prompt")
    @classmethod
    def _has_a_length(cls, prompt: str | list[str]) -> str | list[str]:
        return _bounded(prompt, len(prompt) if isinstance(prompt, str) else sum(map(len, prompt)))

    @property
    def prompts(self) -> list[str]:
        """The texts, in their order."""
        return [self.prompt] if isinstance(self.prompt, str) else list(self.prompt)
