"""Keys of wording, mask and length of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.config.keys.fields import MOST, Int, Names, Section, key


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Wording, mask and length of rows."""

    chat_template: str | None
    chat_template_jinja: str | None
    default_system_message: str | None
    train_on_inputs: bool
    sequence_len: int
    excess_length_strategy: Literal["drop", "truncate", "raise"]
    # None: the special token that a template writes after a turn.
    eot_tokens: tuple[str, ...] | None = None


class TokenKeys(Section):
    """How rows become tokens."""

    chat_template: str | None = key(None, "train", "The wording of conversations: a name, `jinja`, or `tokenizer_default`.")
    chat_template_jinja: str | None = key(None, "train", "The template itself, for `chat_template: jinja`.")
    default_system_message: str | None = key(None, "train", "System text for conversations without one.")
    train_on_inputs: bool = key(False, "train", "Train on the whole row, not on the answers alone.")
    eot_tokens: Names | None = key(None, "train", "The tokens that end a turn; what the template writes after one where it is not given.")
    sequence_len: Int = key(512, "train", "Longest row, and size of a packed row, in tokens.", ge=8, le=MOST)
    excess_length_strategy: Literal["drop", "truncate", "raise"] = key("drop", "train", "What is done with rows over `sequence_len`.")

    def token_settings(self) -> TokenSettings:
        """How rows become tokens."""
        return TokenSettings(
            chat_template=self.chat_template,
            chat_template_jinja=self.chat_template_jinja,
            default_system_message=self.default_system_message,
            train_on_inputs=self.train_on_inputs,
            sequence_len=self.sequence_len,
            excess_length_strategy=self.excess_length_strategy,
            eot_tokens=self.eot_tokens,
        )
