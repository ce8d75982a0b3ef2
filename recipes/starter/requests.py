"""Requests in plain English with fresh names in them, grown from `intents.txt`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from recipes.starter.names import MAKERS

CHOICE = re.compile(r"\[([^\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")
OPENINGS = ["please ", "kindly ", "could you ", "would you ", "i wish to ", "help me ", "now ", "you should ", "next, ", "let us "]


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing people ask for: the action's name, its roles with the kind of name each takes, and ways to say it."""

    action: str
    roles: tuple[tuple[str, str], ...]
    phrasings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its intent, the name filled into each role, and the sentence."""

    intent: Intent
    slots: dict[str, str]
    sentence: str


@cache
def intents() -> tuple[Intent, ...]:
    """All intents, in file order. A phrasing that leaves a role unnamed is an error of the file."""
    found: list[tuple[str, tuple[tuple[str, str], ...], list[str]]] = []
    for line in (Path(__file__).parent / "intents.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            action, *roles = line[2:].split()
            found.append((action, tuple(tuple(role.split(":")) for role in roles), []))  # type: ignore[misc]
        elif line and not line.startswith("#"):
            if set(SLOT.findall(line)) != {role for role, _ in found[-1][1]}:
                raise ValueError(f"intents.txt: {line!r} does not name each of {found[-1][1]}")
            found[-1][2].append(line)
    return tuple(Intent(action, roles, tuple(lines)) for action, roles, lines in found)


def draw_slots(random: Random, intent: Intent) -> dict[str, str]:
    return {role: MAKERS[kind](random) for role, kind in intent.roles}


def in_sentence(random: Random, kind: str, name: str) -> str:
    """The name as people write it inside a sentence: sometimes between quotes, always so when it holds a space."""
    if kind in ("text", "pattern") and (" " in name or random.random() < 0.4):
        return random.choice(("'{}'", '"{}"')).format(name)
    return random.choice(("'{}'", '"{}"', "`{}`")).format(name) if random.random() < 0.06 else name


def phrase(random: Random, intent: Intent, slots: dict[str, str]) -> str:
    """One way to ask for the intent with these names."""
    pattern = CHOICE.sub(lambda match: random.choice(match.group(1).split("|")), random.choice(intent.phrasings))
    kinds = dict(intent.roles)
    bare = "'{" in pattern
    sentence = SLOT.sub(
        lambda match: slots[match.group(1)] if bare else in_sentence(random, kinds[match.group(1)], slots[match.group(1)]),
        re.sub(r"  +", " ", pattern).strip(),
    )
    chance = random.random()
    if chance < 0.10:
        sentence = random.choice(OPENINGS) + sentence
    if random.random() < 0.35:
        sentence = sentence[:1].upper() + sentence[1:]
    return sentence + random.choice(("", "", "", "", ".", ".", "?" if chance < 0.10 else "", ", please" if chance > 0.93 else ""))


def draw_request(random: Random, intent: Intent | None = None) -> Request:
    chosen = intent or random.choice(intents())
    slots = draw_slots(random, chosen)
    return Request(chosen, slots, phrase(random, chosen, slots))
