"""The text of a section as an answer: cut into blocks, without what only points elsewhere, within bounds, its fences whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

MIN_WORDS, MAX_WORDS = 15, 600
# Of a long section at least this much stays when its end is cut off.
_MIN_KEPT_WORDS = 120
_LEAST_DATA_LINES = 10
# "Example:", "And what it looks like in action:": a lead and no sentence of its own.
_MOST_LEAD_WORDS = 10

_FENCE = re.compile(r"^(?P<indent>\s*)(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)$")
_IMAGE = re.compile(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])")
_LINKED_IMAGE = re.compile(r"\[\s*!\[[^\]]*\]\([^)]*\)\s*\]\([^)]*\)")
_LINK = re.compile(r"(?<!!)\[([^\[\]]+)\](?:\(([^()\s]*(?:\([^()]*\))?[^()\s]*)(?:\s+\"[^\"]*\")?\)|\[[^\]]*\])")
# What a reader of documents writes behind a link's text where the target is a file beside the document or a place in it.
_TARGET = re.compile(r" \((?:\.{0,2}/)?(?:[\w./%-]*\.(?:md|rst|html?|txt|adoc|ipynb)(?:#[^()\s]*(?:\([^()\s]*\))?[^()\s]*)?|#[^()\s]+)\)")
_BARE_TARGET = re.compile(r"\s?\(\(#[^()\s]+\)\)")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(
    r"</?(?:a|br|p|div|img|span|center|b|i|em|strong|details|summary|sup|sub|hr|kbd|table|tr|td|th|tbody|thead)\b[^>]*>", re.I
)
_REFERENCE = re.compile(r"^\s*\[[^\]]+\]:\s+\S+.*$")
_DIRECTIVE = re.compile(r"^\s*\.\. [\w-]+::?.*$|^\s*:[a-z-]+:(?: .*)?$|^\{%.*%\}$|^:::.*$")
_ROLE = re.compile(r":[a-z]+(?::[a-z]+)?:`~?([^`<]+?)(?:\s*<[^`>]*>)?`")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+")
_TABLE = re.compile(r"^\s*\|.*\|\s*$")
_SENTENCES = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<!vs\.)\s+(?=[\"'`(*\[]?[A-Z`\d])")
# A sentence that only points to another place, or makes no sense without it.
_POINTING = re.compile(
    r"\b(?:see|described|shown|listed|mentioned|discussed|explained|documented|covered|given|introduced|defined)\s+(?:\w+\s+){0,3}?"
    r"(?:below|above|here|later|earlier|previously)\b|\b(?:the\s+)?(?:next|previous|following|preceding|above|last)\s+"
    r"(?:section|chapter|page|paragraph|example|tutorial|part|figure)s?\b|\bin\s+(?:this|the)\s+(?:section|chapter|page|"
    r"tutorial|guide|article)\b|"
    r"^(?:please\s+)?(?:see|read|check out|refer to|visit|consult|have a look at|take a look at|jump to|go to|"
    r"continue to|click (?:here|on|through))\b|"
    r"^for\s+(?:some\s+|a\s+|an\s+|the\s+)?(?:more|further|additional|full|complete|other|better|gentle|detailed|in-depth)\b.*"
    r"\b(?:see|read|refer|visit|check|consult)\b|\brefer to the /?[\w/-]+ (?:section|chapter|page|guide|docs|documentation)\b|"
    r"\bsee\s+(?:the\s+)?(?:also\s+)?(?:\S+\s+){0,5}(?:section|documentation|docs|guide|page|chapter)\b|\bfigure \d|"
    r"\btable \d|^back to top|"
    r"\b(?:example|code|snippet|command)s?\s+(?:above|below)\b|\babove\s+(?:example|code|snippet|command)s?\b|"
    r"^the content is the same as what\b|^earlier,|"
    # "The decorator you wrote earlier", "why we called it above": a tutorial that somebody reads from its beginning.
    r"\bthe\s+(?:[\"'`]?\w+[\"'`]?\s+)?(?:task|function|class|method|view|file|query|script|table|lists?|diagram|image|output)\s+above\b|"
    r"\b(?:you|we)(?:'ve)?\s+(?:already\s+|just\s+)?(?:wrote|written|made|created|called|defined|added|saw|seen|used|did|set up|built|"
    r"configured|started|returned|introduced)\b[^.]*\b(?:earlier|above|previously|before(?=[.,;]|$)|in the (?:last|previous))\b|"
    r"\b(?:you|we)(?:'ve|\s+have)?\s+learned\s+about\b|"
    # What only announces: "Here is a brief overview", "There are four common ways to do it."
    r"^here(?:'s| is| are)\s+(?:an?|some|the)\s+(?:(?:brief|short|quick)\s+)?(?:overview|summary|introduction|look)\b|"
    r"^there\s+are\s+(?:\w+\s+){1,4}ways\b[^:]*\.$|"
    r"\bthis\s+(?:document|page|chapter|section|guide|article|tutorial|example)\b|^(?:added|changed|new|deprecated) in version [\w.]+$|"
    r"^\W*(?:next|previous|prev|home|up|edit this page|view source)\W*$|\bread on\b|\bas we saw\b|\bwe(?:'ll| will) (?:see|"
    r"look|cover|discuss)\b|\bbrings us to\b",
    re.IGNORECASE,
)
# "(see discussion on this mode below)", "; see SIZE format below", and sentences that do nothing else.
_POINTING_ASIDE = re.compile(
    r"\s*\((?:see|cf\.?)\b(?=[^()]*(?:\b(?:below|above|sections?|discussion|note|chapter)\b|\[\d+\]))[^()]*(?:\([^()]*\)[^()]*)*\)"
    r"|[;,]\s+(?:please\s+)?see\b(?=[^.;\n]*(?:\b(?:below|above|sections?|discussion)\b|\[\d+\]))(?:[^.;()]|\.(?=\w))*(?=[.;]|$)",
    re.IGNORECASE,
)
_POINTING_ELSEWHERE = re.compile(
    r"\bsee\s+(?:the\s+)?(?:\S+\s+){0,8}?(?:below|above|sections?)\b|"
    r"\b(?:described|explained|listed|mentioned|discussed) (?:below|above)\b",
    re.IGNORECASE,
)
_POINTING_ALONE = re.compile(r"^(?:(?:NOTE|CAUTION|WARNING):?\s+)?(?:please\s+)?see\b", re.IGNORECASE)
# "Are not documented by the help page. For more see documenting-arguments." as the end of an item.
_FOR_MORE = re.compile(
    r"^\s+see (?:below|above)\b[^.]*\.$|(?<=[.!?])\s+(?:for\s+(?:more|details)\b[^.]*\bsee|see(?:\s+also)?)\s+[^.]+\.?$", re.IGNORECASE
)
# A manual's mark of a footnote: "partial clone[1]".
_FOOTNOTE = re.compile(r"(?<=[a-z)])\[\d{1,2}\]")
_WEAK_START = re.compile(
    r"^(?:\d+\.\s*\n|however|but|also|then|next|moreover|furthermore|additionally|similarly|likewise|instead|otherwise|and|or|so|thus|"
    r"therefore|finally|again|another|as (?:above|before)|in addition|these|those|such|both)\b",
    re.IGNORECASE,
)
# A line of code that stands in no fence: the reader of the document did not know it for code.
_BARE_CODE = re.compile(
    r"^(?:@\w+(?:\.\w+)*\(|(?:async )?def \w+\(.*:$|class \w+.*:$|import \w+$|from \w\S* import |func \w+\(|\w+\(.*\) \{$|const \w+ =|"
    r"let \w+ =|\w+ = \w+\(.*\)$|#include |\s*\$ \w|\s*[\w*]+ [\w*]*(?: = |\().*;$)",
    re.MULTILINE,
)
_POINTS_BACK = re.compile(r"\b(?:this|these|it|its|that|those|they|such)\b", re.IGNORECASE)
_LEANS_BACK = re.compile(r"(?:while|but|however,?|although|since|because|if)?\s*(?:this|these|those|that|it|they|such)\b", re.IGNORECASE)
_UNFINISHED = re.compile(
    r"\b(?:todo|tbd|fixme|coming soon|work in progress|lorem ipsum|to be (?:written|done|documented)|under construction|"
    r"(?:documentation|docs|more information) (?:will be added|will follow|coming))\b",
    re.I,
)
_LICENSE = re.compile(
    r"permission is hereby granted|licensed under the|without warrant(?:y|ies)|all rights reserved|redistribution and use", re.I
)
_TEMPLATE = re.compile(r"\{%-?\s*(?:for|if|elif|else|end\w+|set|block|include|macro)\b")
_HISTORY = re.compile(r"\|\s*Version\s*\|\s*Changes?\s*\|")
_CHANGE = re.compile(
    r"#\d{2,}\b|\bby @[\w-]+|\((?:thanks|@)|^\s*[-*]\s*(?:fix(?:e[sd])?|add(?:ed|s)?|remove[sd]?|deprecate[sd]?|bump(?:ed)?)\b", re.I | re.M
)


class Unsuited(Exception):
    """Why a section is no answer: a reason code and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list or table, or a fence with its marks; `language` is the fence's, None for what is no fence."""

    text: str
    language: str | None = None

    @property
    def is_fence(self) -> bool:
        return self.language is not None

    @property
    def words(self) -> int:
        """Words of prose; a fence has none."""
        return 0 if self.is_fence else len(self.text.split())


def blocks(text: str) -> list[Block]:
    """The blocks of Markdown-like text in their order; `Unsuited` where a fence is not closed."""
    found: list[Block] = []
    waiting: list[str] = []
    lines = _COMMENT.sub("", text).split("\n")
    position = 0
    while position < len(lines):
        line = lines[position]
        opening = _FENCE.match(line)
        if opening is None:
            if line.strip():
                waiting.append(line)
            else:
                _end(found, waiting)
            position += 1
            continue
        end = _closing(lines, position, opening["mark"])
        if not opening["indent"].strip() and len(opening["indent"]) >= 2 and waiting:
            # A fence within a list item stays in it.
            waiting += lines[position : end + 1]
        else:
            _end(found, waiting)
            found.append(Block("\n".join(lines[position : end + 1]), opening["info"].strip()))
        position = end + 1
    _end(found, waiting)
    return found


def _closing(lines: Sequence[str], start: int, mark: str) -> int:
    for index in range(start + 1, len(lines)):
        closing = lines[index].strip()
        if closing.startswith(mark) and set(closing) == {mark[0]}:
            return index
    raise Unsuited("unbalanced_fence", f"the fence in line {start + 1} of the section is not closed")


def _end(found: list[Block], waiting: list[str]) -> None:
    if waiting:
        found.append(Block("\n".join(waiting)))
        waiting.clear()


def answer(body: str, min_words: int = MIN_WORDS) -> str:
    """A section's text as an answer that stands alone; `Unsuited` with the reason where it cannot, or has under `min_words` words."""
    if _UNFINISHED.search(body):
        raise Unsuited("unfinished", "the section says of itself that it is not finished")
    lines = [line for line in body.split("\n") if line.strip()]
    if len(lines) >= _LEAST_DATA_LINES and sum(len(line.split()) == 1 for line in lines) > len(lines) / 2 and "```" not in body:
        raise Unsuited("data", "most lines are one word: a list for a program")
    if _LICENSE.search(body):
        raise Unsuited("license_text", "the section speaks of a license")
    given = _without_history(blocks(body))
    if any(_TEMPLATE.search(re.sub(r"`[^`]*`", "", block.text)) for block in given if not block.is_fence):
        raise Unsuited("template", "the section holds marks that a template engine fills in")
    kept = _kept(given)
    if any(_BARE_CODE.search(block.text) for block in kept if not block.is_fence and not is_list_or_table(block.text)):
        raise Unsuited("code_without_fence", "code stands among the prose of the section")
    kept = _without_loose_ends(kept)
    words = sum(block.words for block in kept)
    if words < min_words:
        left = f"{words} words of prose are left without code, tables of contents and pointers elsewhere, {min_words} are the least"
        raise Unsuited("too_short", f"{left}; a few sentences under the heading on what it shows would make it a row")
    kept = _within(kept)
    text = "\n\n".join(block.text for block in kept)
    prose = [block.text for block in kept if not block.is_fence]
    items = [line for block in prose for line in block.splitlines() if _ITEM.match(line)]
    if len(items) >= 3 and len(_CHANGE.findall("\n".join(prose))) >= len(items) / 2:
        raise Unsuited("changelog", "the section lists changes")
    if not any(re.search(r"[.!?:](?:\s|$|[)\"'`*])", part) for part in prose):
        raise Unsuited("no_sentence", "the section has no whole sentence")
    opening = " ".join(text.split()[:8])
    lost_its_start = bool(given) and " ".join(given[0].text.split())[:20] != " ".join(text.split())[:20]
    if _WEAK_START.match(text) or (lost_its_start and (text[:1].islower() or text.startswith("```") or _POINTS_BACK.search(opening))):
        raise Unsuited("loose_start", f"the section begins as if something went before: {opening}")
    return text


def _kept(given: Sequence[Block]) -> list[Block]:
    """The blocks that say something themselves, cleaned: no "See also:" and, where that goes, not the list that it leads to."""
    found: list[Block] = []
    leads_nowhere = False
    for block, after in zip_longest(given, given[1:]):
        cleaned = _cleaned(block)
        is_list = not block.is_fence and is_list_or_table(block.text)
        if (leads_nowhere and is_list) or (cleaned and not cleaned.is_fence and _is_of_links(cleaned.text)):
            leads_nowhere = False
            continue
        lead = block.text.rstrip()
        leads_nowhere = not block.is_fence and lead.endswith(":") and (cleaned is None or not cleaned.text.rstrip().endswith(":"))
        is_plain = after is not None and not after.is_fence and not is_list_or_table(after.text) and after.text[:1].isupper()
        if cleaned is None or (cleaned.words <= _MOST_LEAD_WORDS and cleaned.text.endswith(":") and not cleaned.is_fence and is_plain):
            continue  # "And in action:" before a paragraph leads to what a reader of the page saw, and the text does not hold.
        found.append(cleaned)
    return found


def _is_of_links(text: str) -> bool:
    """Whether a list holds nothing but addresses and places in the documents (`/server`), perhaps with a remark on each."""
    lines = [_ITEM.sub("", line) for line in text.split("\n") if _ITEM.match(line)]
    return bool(lines) and all(
        re.match(r"(?:https?://\S+|/[\w/-]+(?: and /[\w/-]+)*)(?:$|\s+(?:for|to|on|about)\b)", line) for line in lines
    )


def without_pointers(text: str) -> str:
    """A paragraph of prose without the asides, clauses and whole sentences that point to another place of its document."""
    plain = _POINTING_ASIDE.sub("", text)
    if not is_list_or_table(plain) and "\n " not in plain:
        kept = [one for one in _SENTENCES.split(plain) if not (_POINTING_ALONE.match(one.strip()) or _POINTING_ELSEWHERE.search(one))]
        plain = " ".join(kept) if kept else ""
    return _FOOTNOTE.sub("", plain)


def _without_history(given: list[Block]) -> list[Block]:
    """The blocks without a table of the versions in which something changed, and the word above it."""
    tables = {at for at, block in enumerate(given) if not block.is_fence and _HISTORY.match(block.text)}
    words = {at - 1 for at in tables if at and given[at - 1].text.strip().lower() in ("history", "changes")}
    return [block for at, block in enumerate(given) if at not in tables | words]


def _cleaned(block: Block) -> Block | None:
    """A block without links' targets, pictures, marks of other formats, and sentences that point elsewhere; None where nothing is left."""
    if block.is_fence:
        return block
    if "```" in block.text or "~~~" in block.text:
        return block
    lines = [line for line in block.text.split("\n") if not (_REFERENCE.match(line) or _DIRECTIVE.match(line))]
    text = "\n".join(lines)
    for pattern in (_LINKED_IMAGE, _IMAGE, _TAG):
        text = pattern.sub("", text)
    text = _TARGET.sub("", _ROLE.sub(r"`\1`", _LINK.sub(r"\1", text)))
    text = _FOOTNOTE.sub("", _POINTING_ASIDE.sub("", _BARE_TARGET.sub("", text)))
    if not re.search(r"\w", text):
        return None
    lines = text.split("\n")
    if any(_ITEM.match(line) or _TABLE.match(line) or line.startswith((" ", ">")) for line in lines):
        if not any(re.match(r"\s*\d+[.)]\s", line) for line in lines):
            # Numbered items are spoken of by their numbers: a list that begins with the second is broken.
            lines = [left for line in lines if (left := _FOR_MORE.sub("", line)) or not line.strip()]
            lines = [line for line in lines if not (_ITEM.match(line) and _POINTING.search(_ITEM.sub("", line)))]
        return Block("\n".join(line.rstrip() for line in lines)) if any(re.search(r"\w", line) for line in lines) else None
    sentences = list[str]()
    is_lost = False
    for sentence in _SENTENCES.split(text.strip()):
        # "While this is simple" says something of the sentence before it, which went.
        is_lost = bool(_POINTING.search(sentence.strip())) or (is_lost and bool(_LEANS_BACK.match(sentence.strip())))
        sentences += [] if is_lost else [sentence]
    return Block(" ".join(sentences)) if sentences else None


def _without_loose_ends(kept: list[Block]) -> list[Block]:
    """The blocks without the sentences at the end that announce what is not there."""
    left = list(kept)
    while left and not left[-1].is_fence and left[-1].text.rstrip().endswith(":"):
        whole = without_lead(left.pop().text)
        if whole:
            left.append(Block(whole))
    return left


def without_lead(text: str) -> str:
    """A text without its last sentence, which leads to something that does not follow; empty where that is all there is.

    In a list only the item that leads on loses its last sentence.
    """
    head, newline, last = text.rstrip().rpartition("\n")
    if not is_list_or_table(text):
        head, newline, last = "", "", " ".join(text.split())
    sentences = _SENTENCES.split(last.rstrip())[:-1]
    kept = " ".join(sentences)
    return (head + newline + kept if kept else head).rstrip()


def _within(kept: list[Block]) -> list[Block]:
    """The first blocks up to the limit; `Unsuited` where too little would be left."""
    count, taken = 0, list[Block]()
    for block in kept:
        size = len(block.text.split())
        if count + size > MAX_WORDS:
            taken = _without_loose_ends(taken)
            if sum(len(one.text.split()) for one in taken) < _MIN_KEPT_WORDS:
                raise Unsuited("too_long", f"a block of {size} words does not fit into {MAX_WORDS}")
            return taken
        count += size
        taken.append(block)
    return taken


def last_sentence(text: str) -> str:
    """The last sentence of a paragraph."""
    return _SENTENCES.split(" ".join(text.split()))[-1]


def is_list_or_table(text: str) -> bool:
    """Whether a block is a list, a quote or a table."""
    return any(_ITEM.match(line) or _TABLE.match(line) or line.startswith(">") for line in text.split("\n"))


def items(text: str) -> list[str]:
    """The items of the lists in a text, without their marks and targets."""
    return [_TARGET.sub("", _LINK.sub(r"\1", _ITEM.sub("", line))).strip() for line in text.split("\n") if _ITEM.match(line)]
