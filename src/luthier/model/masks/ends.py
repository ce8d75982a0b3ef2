"""The tokens that end turns, and which of them are trained: `train_on_eos`, `train_on_eot` and `eot_tokens`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.core.records import TurnEnds

# What is trained where a row says nothing: the end of every trained turn.
AS_TURNS = TurnEnds("turn", "turn")


@dataclass(frozen=True, slots=True)
class EndTokens:
    """A tokenizer's special tokens as texts: `special` all of them, `eos` the end-of-text token, `after_answers` what ends an answer.

    `eot` are the tokens that count as end of turn; without them any special token after an answer does, and after other turns `eos` and
    `after_answers`.
    """

    special: tuple[str, ...]
    eos: str
    after_answers: tuple[str, ...] = ()
    eot: tuple[str, ...] | None = None

    def at_end(self, text: str, is_answer: bool) -> str:
        """The special token that ends a turn whose text, without white space behind it, is `text`; empty where none does."""
        known = self.special
        if self.eot is None and not is_answer:
            known = (self.eos, *self.after_answers)
        return max((token for token in known if token and text.endswith(token)), key=len, default="")

    def is_end_of_turn(self, token: str) -> bool:
        """Whether `token` counts as an end of turn; without `eot_tokens` every end does, the end-of-text token too, as in Axolotl."""
        return self.eot is None or token in self.eot


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """The token that ends turn number `turn`, and whether the turn is trained."""

    turn: int
    token: str
    is_trained: bool


def trained_ends(found: Sequence[TurnEnd], tokens: EndTokens, ends: TurnEnds) -> set[int]:
    """The turns whose ends are trained; `found` are all ends in order.

    `train_on_eos` holds for the end-of-text token, `train_on_eot` for ends of turns; a token that is both is trained where either says so.
    `last` is the last end of its kind among trained turns, or among all turns where the other rule is `all`. So it is in Axolotl 0.19
    (`_tokenize_single_prompt` of `prompt_strategies/chat_template.py`), but for `none`, which is Luthier's own.
    """
    seen = found if "all" in (ends.eos, ends.eot) else [end for end in found if end.is_trained]
    trained: set[int] = set()
    for rule, kind in (
        (ends.eos, [end for end in seen if end.token == tokens.eos]),
        (ends.eot, [end for end in seen if tokens.is_end_of_turn(end.token)]),
    ):
        if rule == "last":
            trained |= {end.turn for end in kind[-1:]}
        elif rule in ("turn", "all"):
            trained |= {end.turn for end in kind if rule == "all" or end.is_trained}
    return trained
