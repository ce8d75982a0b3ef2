"""Rules on what an answer says. They read prose: what stands in a block of code, or between backticks, may say anything.

Phrases are those that data sets of instructions are filtered by (Alpaca-cleaned, Vicuna's clean-up), held against real answers.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from luthier.config.row_sections import CleanSection
from luthier.core.records import Message
from luthier.data.clean.view import View, split_code, texts, without_inline_code
from luthier.data.clean.words import words
from luthier.data.rows.grams import normalised

_AS_A_MODEL = re.compile(
    r"\b(?:as|i am|i['’]m|being) (?:just |only )?an? (?:ai|artificial intelligence|large|language)(?: \w+)?"
    r" (?:language )?(?:model|assistant)\b"
)
_KNOWLEDGE = re.compile(
    r"\b(?:my (?:knowledge|training)(?: data)? (?:cut-?off|only goes)|as of my (?:last|latest) (?:knowledge |training )?update)\b"
)
_OPENER = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|definitely|okay|ok|great(?: question)?|no problem|got it|happy to help|gladly"
    r"|i(?:['’]d be|['’]m| am| would be) (?:happy|glad) to help(?: you)?(?: with that)?|i hope (?:this|that) helps"
    r"|let me know if you (?:have|need) (?:any(?: other| more)? (?:questions|help)|anything else)"
    r"|is there anything else(?: i can help you with)?)"
)
_HERE = r"(?:here(?:['’]s| is| are| you go)|below (?:is|are)|the following (?:is|are))"
_ONLY_OPENER = re.compile(rf"(?:{_OPENER}[\s!.,:;-]*)*(?:{_HERE}(?: \w[\w'-]*){{0,9}}[\s!.:]*)?", re.IGNORECASE)
_LONGEST_OPENER = 160

_ELLIPSIS = re.compile(r"[^\W_],?\s?(?:\.\.\.|…)[\"'”’)]?$")
_CONTINUED = re.compile(
    r"(?:\((?:to be )?continued?(?: (?:in|on)[^)]{0,40})?\)|\[(?:to be )?continued?\]|to be continued\W*|\[\s?(?:\.\.\.|…)\s?\]"
    r"|[\[(<](?:output |text |response )?truncated[\])>])$",
    re.IGNORECASE,
)
_OPEN_ENDS = words("open_ends")
_ELLIPSIS_WORDS = 8
_OPEN_END_WORDS = 12
_SENTENCE = re.compile(r"[A-Z][^\n]*")

# Whole answers, normalised.
_VAGUE = frozenset(
    """it depends|n a|todo|to do|tbd|fixme|wip|see above|see below|as above|same as above|idk|i don t know|i do not know|i m not sure
|i am not sure|not sure|no idea|no comment|nothing to say|placeholder|not available|no answer|no response|your answer here|answer here
|insert answer here|ask someone else|google it|rtfm|read the manual|check the documentation|see the documentation|see documentation
|good question""".replace("\n", "").split("|")
)
_LONGEST_VAGUE = 60
# Single signs are answers: `*` matches any characters.
_NO_ANSWERS = frozenset(("...", "…", "---", "—", "??", "???"))
_FILLER = re.compile(r"\W*lorem ipsum\b", re.IGNORECASE)

_AS_AN = r"as an? [^.\n]{0,40}?, ?"
_REFUSAL = re.compile(
    r"\W*(?:(?:i['’]?m |i am |we['’]?re |we are )?(?:(?:so|very|really|terribly|deeply) )?sorry\W+(?:but |however )?"
    rf"(?:{_AS_AN})?|unfortunately\W+|i apologi[sz]e\W+(?:but )?|my apologies\W+(?:but )?|{_AS_AN})?"
    r"(?:i|we)(?: (?:simply|really|just))? ?(?:can['’]?t|can ?not|won['’]?t|will not|['’]?m (?:not able|unable)|am (?:not able|unable)"
    r"|are (?:not able|unable)|['’]re unable|could(?: not|n['’]t)|must decline|have to decline|do(?: not|n['’]t) feel comfortable)\b"
    r"(?: (?:to|with|that|your|this))*\s*(?:assist|help|fulfil|fulfill|comply|provide|answer|do (?:that|this)|create|write|generate|produce"
    r"|offer|support|engage|discuss|share|complete|give|recommend|promote|participate|respond|process|accommodate|continue|[.,;!]|$)",
    re.IGNORECASE,
)
_LONGEST_REFUSAL = 600

_TOKENS = re.compile(
    r"<\|(?:im_start|im_end|im_sep|endoftext|startoftext|eot_id|eom_id|start_header_id|end_header_id|begin_of_text|end_of_text|user|assistant|system"
    r"|end|python_tag|fim_prefix|fim_middle|fim_suffix|endofprompt|end_of_turn|channel|message|tool_call)\|>"
    r"|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>|<｜[^<>\n]{1,30}｜>|\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|(?m:^### ?(?:Response|Instruction|Human|Assistant|Input|User): ?$)"
    r"|(?m:^### ?(?:Response|Human|Assistant|User):)|(?m:^(?:USER|ASSISTANT|HUMAN): )"
)
# Strikes text through in HTML, where one that opens is in front of it.
_END_TOKEN = re.compile(r"</s>\s*(?:$|\n|<s>)")
# One of these stands in every text that holds a token.
_SIGNS = ("<", "[", "###", "SER: ", "ANT: ", "MAN: ")
_QUOTES = "\"'`"

_LOOP_WORDS = 12
_LOOP_SHARE = 0.5
_SAME_WORD = 6
_SAME_LINES = 5
_SAME_LINE_CHARACTERS = 10
_PHRASE_WORDS = 4
_PHRASE_SHARE = 0.25
_LEAST_PHRASES = 40
_PACKED_CHARACTERS = 400
_PACKED_SHARE = 0.06


def boilerplate(view: View, _settings: CleanSection) -> str | None:
    """Phrases of an assistant where an answer should stand: as a language model, or an opening with nothing behind it."""
    if view.is_raw or view.has_calls:
        return None
    lowered = view.prose.lower()
    if ("model" in lowered or "assistant" in lowered) and (_AS_A_MODEL.search(lowered) and not _AS_A_MODEL.search(view.request.lower())):
        return "it speaks as a language model"
    if ("cut" in lowered or "update" in lowered or "goes" in lowered) and _KNOWLEDGE.search(lowered):
        return "it speaks of the end of its own training"
    if len(view.answer) <= _LONGEST_OPENER and view.prose is view.answer:
        stripped = view.answer.strip()
        if stripped[-1:] in ":!.," and _ONLY_OPENER.fullmatch(stripped) and len(stripped.split()) > 1:
            return "it is an opening and nothing else"
        if stripped.rstrip("!.").lower() in ("sure", "certainly", "of course", "absolutely"):
            return "it is an opening and nothing else"
    return None


def truncated(view: View, _settings: CleanSection) -> str | None:
    """An end in the middle: an open block of code, dots, a note that something follows, a sentence that breaks off."""
    if view.is_raw:
        return None
    if view.is_open:
        return "a block of code is not closed"
    text = view.answer.rstrip()
    last = text[-1:]
    if last in ".…])>*\"'”’" and (_CONTINUED.search(text[-80:]) or (_ELLIPSIS.search(text[-8:]) and _is_sentence(text, _ELLIPSIS_WORDS))):
        return "it ends with dots, or with a note that it goes on"
    if (last.isalpha() or last == ",") and view.prose is view.answer:
        word = text[text.rfind(" ") + 1 :].lower()
        if (last == "," or word in _OPEN_ENDS) and _is_sentence(text, _OPEN_END_WORDS):
            return "it ends in the middle of a sentence"
    return None


def _is_sentence(text: str, least_words: int) -> bool:
    """Whether the last line of `text` is prose of that many words: it, or a sentence in it, begins with a capital."""
    line = text[text.rfind("\n") + 1 :]
    words = line.split()
    return (
        len(words) >= least_words
        and bool(_SENTENCE.search(line))
        and sum(word.strip(",;.…").isalpha() for word in words) > 0.7 * len(words)
    )


def vague_answer(view: View, _settings: CleanSection) -> str | None:
    """Answers that say nothing."""
    if view.is_raw or view.has_calls:
        return None
    answer = view.answer.strip()
    if len(answer) <= _LONGEST_VAGUE:
        plain = normalised(answer)
        if answer in _NO_ANSWERS or (plain and plain in _VAGUE):
            return "it says nothing"
    if answer and len(answer) == len(view.request.strip()) and answer == view.request.strip():
        return "it is the request itself"
    if answer[:14].lstrip("<p> \n").lower().startswith("lorem") and _FILLER.match(answer.lstrip("<p> \n")):
        return "it is filler text"
    return None


def refusal(view: View, _settings: CleanSection) -> str | None:
    """Answers that decline, and say little more; not those to rows of tool calls that say that none of the tools fits."""
    if view.row.fields.tools and "tools" in view.answer.lower():
        return None
    if view.is_raw or view.has_calls or not view.prose or len(view.answer) > _LONGEST_REFUSAL or view.prose is not view.answer:
        return None
    head = view.answer[:200].lower()
    return "it declines to answer" if ("i" in head or "we" in head) and _REFUSAL.match(view.answer[:400]) else None


def template_token(view: View, _settings: CleanSection) -> str | None:
    """Tokens of chat templates in prose; quoted ones are spoken of, and are no leak."""
    if view.is_raw:
        return None
    for number, text in _turns(view):
        if not [sign for sign in _SIGNS if sign in text]:
            continue
        prose = without_inline_code(split_code(text).prose)
        if any(not _is_quoted(prose, found) for found in _TOKENS.finditer(prose)):
            return f"turn {number} holds a token of a chat template"
        if "</s>" in prose and "<s" not in prose.lstrip()[2:] and _END_TOKEN.search(prose):
            return f"turn {number} holds a token of a chat template"
    return None


def _turns(view: View) -> Iterator[tuple[int, str]]:
    message: Message
    for number, message in enumerate(view.row.fields.messages, 1):
        for text in texts(message):
            yield number, text


def _is_quoted(text: str, found: re.Match[str]) -> bool:
    start, end = found.span()
    return text[start - 1 : start] in tuple(_QUOTES) and text[end : end + 1] in tuple(_QUOTES)


def repetition(view: View, _settings: CleanSection) -> str | None:
    """Answers that go in circles. Of raw text only what hardly any code reaches: thirty times smaller when packed."""
    if view.is_raw:
        text = max((message.content for message in view.row.fields.messages), key=len, default="")
        return "it repeats itself" if len(text) >= _PACKED_CHARACTERS and _packs_to(text, _PACKED_SHARE / 2) else None
    prose = view.prose
    if len(prose) >= 2 * _SAME_LINES * _SAME_LINE_CHARACTERS and _has_same_lines(prose):
        return "a line stands there over and over"
    if prose.count(" ") < _LOOP_WORDS - 1:
        return None
    words = prose.lower().split()
    if len(set(words)) >= _LOOP_SHARE * len(words):
        return None
    if _has_same_words(words):
        return "a word stands there over and over"
    phrases = [tuple(words[start : start + _PHRASE_WORDS]) for start in range(len(words) - _PHRASE_WORDS + 1)]
    if len(phrases) >= _LEAST_PHRASES and len(set(phrases)) < _PHRASE_SHARE * len(phrases):
        return "a phrase stands there over and over"
    return "it repeats itself" if len(prose) >= _PACKED_CHARACTERS and _packs_to(prose, _PACKED_SHARE) else None


def _has_same_lines(text: str) -> bool:
    before, count = "", 0
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped:
            continue
        count = count + 1 if stripped == before else 1
        before = stripped
        if count >= _SAME_LINES and len(stripped) >= _SAME_LINE_CHARACTERS and any(character.isalpha() for character in stripped):
            return True
    return False


def _has_same_words(words: list[str]) -> bool:
    before, count = "", 0
    for word in words:
        count = count + 1 if word == before else 1
        before = word
        if count >= _SAME_WORD and sum(character.isalpha() for character in word) > 1:
            return True
    return False


def _packs_to(text: str, share: float) -> bool:
    data = text.encode("utf-8", "replace")
    return len(zlib.compress(data, 6)) < share * len(data)
