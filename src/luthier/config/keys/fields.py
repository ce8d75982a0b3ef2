"""What the parts of the schema are made of: the base of its sections, a key with its stages, and the types of values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Stage = Literal["data", "train", "evaluate", "export", "none"]

# No size or count is larger; what is, is a slip of the finger.
MOST = 1 << 30


def _no_boolean(value: Any) -> Any:
    """Python takes True for 1; a run file that says `true` where a number is meant is wrong."""
    if isinstance(value, bool):
        raise ValueError("a number is meant, not true or false")
    return value


def one_or_many(value: Any) -> Any:
    """A list of one where one text or mapping is written in place of a list."""
    return [value] if isinstance(value, str | dict) else value


Int = Annotated[int, BeforeValidator(_no_boolean)]
Float = Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False)]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(one_or_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


def key(default: Any, stage: Stage | tuple[Stage, ...], description: str, **limits: Any) -> Any:
    """A schema field with its stage (or stages) and its one-sentence description."""
    stages: list[Any] = [stage] if isinstance(stage, str) else list(stage)
    return Field(default=default, description=description, json_schema_extra={"stages": stages}, **limits)


class Section(BaseModel):
    """The base of every part of the schema: frozen, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


def kind_of(value: Any) -> str:
    """`mapping` or `name`: which of the two a key that takes both was given."""
    return "mapping" if isinstance(value, dict | Section) else "name"


def stages_of(info: Any) -> tuple[Stage, ...]:
    """The stages that a pydantic field names."""
    return tuple(info.json_schema_extra["stages"])
