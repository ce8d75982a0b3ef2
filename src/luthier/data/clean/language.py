"""The natural language of a request: told by its script and by the words that every sentence of a language is held together with.

Of our own, for the packages that tell languages always name one, and are wrong on every third request of five words; here a text that
is too short, or that is mostly code, is not told and passes.
"""

from __future__ import annotations

import re
from collections import Counter

from luthier.config.row_sections import CleanSection
from luthier.data.clean.view import View, split_code, without_inline_code
from luthier.data.clean.words import sentence_words

# Words of a Latin or Cyrillic script that hold sentences together, the more frequent ones of each language.
# Words that hold sentences together, by language.
_WORDS = sentence_words()
# Scripts that tell the language, or the few languages that it may be. Kana counts before Han: Japanese has both.
_SCRIPTS = (
    ("[぀-ヿ]", ("ja",)),
    ("[가-힯]", ("ko",)),
    ("[一-鿿]", ("zh", "ja")),
    ("[Ѐ-ӿ]", ("bg", "ru", "uk")),
    ("[؀-ۿ]", ("ar", "fa", "ur")),
    ("[ऀ-ॿ]", ("hi", "mr", "ne")),
    ("[Ͱ-Ͽ]", ("el",)),
    ("[֐-׿]", ("he",)),
    ("[฀-๿]", ("th",)),
    ("[ঀ-৿]", ("bn",)),
    ("[஀-௿]", ("ta",)),
    ("[Ⴀ-ჿ]", ("ka",)),
    ("[԰-֏]", ("hy",)),
)
LANGUAGES = frozenset((*_WORDS, *(language for _, languages in _SCRIPTS for language in languages)))
# Fewer words are no sentence; a language is told where three of its words stand in a text and are a fifth of all, and it passes over a
# rival that has two thirds of them or fewer. On 30,479 descriptions of commands in English (tldr) none is told to be another language.
LEAST_WORDS = 4
LEAST_HITS = 3
LEAST_SHARE = 1 / 5
LEAD = 1.5
# Letters of a script of which a foreign name or two may stand in any text.
LEAST_SCRIPT_SHARE = 0.3

_COMPILED = tuple((re.compile(pattern), languages) for pattern, languages in _SCRIPTS)
_LANGUAGES_OF: dict[str, tuple[str, ...]] = {
    word: tuple(language for language, known in _WORDS.items() if word in known) for word in sorted(frozenset().union(*_WORDS.values()))
}
_LETTERS = re.compile(r"[^\W\d_]+")
# A word with its hyphens: `non-empty` is not Italian. `module's` counts as `module`, `l'homme` as `homme`.
_WORD = re.compile(r"(?:[^\W\d_]{1,2}['’])?([^\W\d_]{2,}(?:-[^\W\d_]+)*)(?:['’][^\W\d_]+)?")
# What is no prose though no backticks stand around it: addresses, paths, options, placeholders.
_NO_PROSE = re.compile(r"[/\\=<>{}\[\]()_$|;]|^-|\.\w")


def language(view: View, settings: CleanSection) -> str | None:
    """A request in a language that `natural_languages` does not name."""
    if not settings.natural_languages or not view.request:
        return None
    told = languages_of(view.request)
    if not told or not told.isdisjoint(settings.natural_languages):
        return None
    return f"the request is told to be in `{'`, `'.join(sorted(told))}`"


def languages_of(text: str) -> frozenset[str]:
    """The languages (ISO 639-1) of which `text` is one; empty where that cannot be told."""
    prose = without_inline_code(split_code(text).prose)
    if not prose.isascii():
        letters = sum(map(len, _LETTERS.findall(prose)))
        for expression, languages in _COMPILED:
            if len(expression.findall(prose)) > LEAST_SCRIPT_SHARE * letters > 0:
                return _by_words(prose, languages) if "ru" in languages else frozenset(languages)
    return _by_words(prose, ())


def _by_words(prose: str, among: tuple[str, ...]) -> frozenset[str]:
    prose = " ".join(word for word in prose.split() if not _NO_PROSE.search(word))
    words = [word.lower() for word in _WORD.findall(prose) if not word.isupper()]
    if len(words) < LEAST_WORDS:
        return frozenset(among)
    hits = Counter(language for word in dict.fromkeys(words) for language in _LANGUAGES_OF.get(word, ()) if not among or language in among)
    best = max(hits.values(), default=0)
    if best < LEAST_HITS or best < LEAST_SHARE * len(set(words)):
        return frozenset(among)
    return frozenset(language for language, count in hits.items() if count * LEAD > best)
