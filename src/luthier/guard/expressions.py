"""Expressions such as those of `find`: what may change places in them, and nothing else.

Tests that only look, joined by `and`, are true or false together whatever their order is, and what holds for the whole expression may stand
anywhere among them. Nothing moves over an action, `-prune`, `-o`, a parenthesis or a word that is not known.
"""

from __future__ import annotations

from luthier.guard.option_table import Expression
from luthier.guard.words import Part, Word, is_one_value, literal_text, plain

_OPERATORS = frozenset(("(", ")", "!", ",", "-a", "-o"))
# What may stand in front of the places that are searched.
_LINKS = frozenset(("-H", "-L", "-P"))


def arranged_expression(words: list[Word], expression: Expression) -> list[Word]:
    """The words of a command, name first, with the tests that commute in order and the operators spelt in one way."""
    position = _start(words, expression)
    if position is None:
        return words
    arranged = words[:position]
    run: list[tuple[str, list[Word]]] = []
    while position < len(words):
        text = _word(words[position], expression)
        is_negated = text == "!" and position + 1 < len(words)
        key = _word(words[position + 1], expression) if is_negated else text
        size = 1 + is_negated + expression.values.get(key, 0)
        test = words[position : position + size]
        moves = key in expression.tests or (key in expression.settings and not is_negated)
        if moves and len(test) == size and all(map(is_one_value, test)):
            spelt: list[Word] = [[Part("text", "!")]] if is_negated else []
            spelt += [[Part("text", key)], *test[1 + is_negated :]]
            # What is set twice holds as it was set last.
            run.append((key if key in expression.settings else f"{key} {is_negated} {plain(test[-1])}", spelt))
            position += size
            continue
        if text == "-a" and run and position + 1 < len(words) and _word(words[position + 1], expression) not in (")", ",", "-a", "-o"):
            position += 1
            continue
        arranged += _in_order(run)
        run = []
        end = _end(words, position, text, expression)
        if end is None:
            return arranged + words[position:]  # Nobody knows what the words after it belong to.
        arranged += [[Part("text", text)], *words[position + 1 : end]]
        position = end
    return arranged + _in_order(run)


def _in_order(run: list[tuple[str, list[Word]]]) -> list[Word]:
    return [word for _, test in sorted(run, key=lambda one: one[0]) for word in test]


def _word(word: Word, expression: Expression) -> str:
    text = literal_text(word) or ""
    return expression.synonyms.get(text, text)


def _start(words: list[Word], expression: Expression) -> int | None:
    """Where the expression begins; None where a word before it may belong to it."""
    for position, word in enumerate(words[1:], 1):
        text = _word(word, expression)
        if text in expression.values or text in _OPERATORS:
            return position
        if (text.startswith("-") and text not in _LINKS) or not is_one_value(word):
            return None
    return len(words)


def _end(words: list[Word], position: int, text: str, expression: Expression) -> int | None:
    """Where an action, operator or other word ends with all that belongs to it; None where that is not known."""
    if text in _OPERATORS:
        return position + 1
    if text not in expression.values:
        return None
    if text not in expression.commands:
        end = position + 1 + expression.values[text]
        return end if end <= len(words) and all(map(is_one_value, words[position:end])) else None
    for place in range(position + 1, len(words)):
        last = literal_text(words[place])
        if last is None and not is_one_value(words[place]):
            return None
        if last == ";" or (last == "+" and literal_text(words[place - 1]) == "{}"):
            return place + 1
    return None
