"""Commit messages as a person would say them: trailers, prefixes and numbers of issues taken off, and what is no message told apart."""

from __future__ import annotations

import re

from luthier.retrieval.records import Commit

_CONVENTIONAL = re.compile(
    r"^(?:build|chore|ci|docs?|feat|feature|fix|perf|refactor|revert|style|tests?|wip|hotfix|bugfix)(?:\([^)]*\))?!?:\s*", re.IGNORECASE
)
_AREA = re.compile(r"^\[[^\]]{1,30}\]\s*")
_ISSUE = re.compile(
    r"\s*\(\s*(?:(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|see|refs?|re|via|issue|pr|gh)[\s:]*)?(?:[\w./-]*#\d+|"
    r"[A-Z]{2,10}-\d+)(?:\s*,\s*[\w./-]*#\d+)*\s*\)"
    r"|\s*[,;-]?\s*\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|refs?|see)\b:?\s+(?:issue\s+)?(?:[\w./-]*#\d+|"
    r"[A-Z]{2,10}-\d+)(?:\s*(?:,|and)\s*[\w./-]*#\d+)*"
    r"|^\s*(?:[\w./-]*#\d+|[A-Z]{2,10}-\d+)[\s:,-]+|\s+[\w./-]*#\d+\s*$",
    re.IGNORECASE,
)
_TRAILER = re.compile(
    r"^(?:signed-off-by|co-authored-by|reviewed-by|acked-by|tested-by|reported-by|suggested-by|helped-by|cc|change-id|bug|issue|"
    r"reviewed-on|pr-url|refs?|fixes|closes|see|link|differential revision|test plan|reviewers|subscribers|git-svn-id|cherry picked from|"
    r"\(cherry picked from|generated with|🤖)\b[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_VERSION = re.compile(
    r"^(?:(?:bump|release|prepare|cut|tag|set|update|upgrade|start|begin|back to)\b.*\b)?(?:version|release|"
    r"v)?\s*v?\d+\.\d+(?:\.\d+)*\S*(?:\s+release)?$|"
    r"^bump\b|^(?:update|upgrade)s?\s+(?:dependenc(?:y|ies)|deps|packages|lock ?file|changelog|submodules?)\b|^release\b|\bversion bump\b|"
    r"^(?:update|upgrade)\s+\S+\s+(?:from\s+\S+\s+)?to\s+v?\d|^(?:update|edit|prepare)\s+(?:the\s+)?changelog\b|^begin\b.*\bcycle\b",
    re.IGNORECASE,
)
_EMPTY = re.compile(
    r"^(?:wip|fix(?:es|ed|up)?!?|typos?|fix (?:a )?typos?.*|squash!.*|fixup!.*|amend!.*|update[sd]?|changes?|misc|cleanup|"
    r"clean up|temp|tmp|test|tests?|"
    r"save|stuff|work|more|minor|initial commit|first commit|init|initial import|small (?:fix|change)(?:es|s)?|updates?|"
    r"minor (?:fix|change|tweak)(?:es|s)?|"
    r"(?:add|fix|update|improve|change)s? (?:stuff|things|it|this|code|files?|some files?|comments?|tests?|docs?|"
    r"readme(?:\.\w+)?|bugs?|issues?|errors?)|"
    r"address(?:es|ed)? (?:review|pr|code review|feedback).*|review (?:comments|feedback|changes).*|apply (?:review )?suggestions.*|"
    r"(?:run |apply )?(?:black|prettier|gofmt|rustfmt|linter?|isort|format(?:ting|ter)?)(?: fix(?:es)?)?|"
    r"lint(?:ing)? fix(?:es)?|merge\b.*|revert\b.*)\W*$",
    re.IGNORECASE,
)
_BOT = re.compile(
    r"\[bot\]|dependabot|renovate|greenkeeper|pre-commit-ci|github-actions|\[skip ci\]|\[ci skip\]|\bautomated\b|\bauto-?generated\b", re.I
)
_LISTED = re.compile(r"^\s*[-*+]\s+", re.MULTILINE)

MIN_WORDS = 3


class NoMessage(Exception):
    """Why a commit's message is not one to learn from: a reason code and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def subject_of(commit: Commit) -> str:
    """The commit's subject without prefixes, numbers of issues and the full stop; `NoMessage` where it tells nothing."""
    whole = f"{commit.subject}\n{commit.body}"
    if _BOT.search(commit.subject) or re.search(r"^(?:signed-off-by|co-authored-by):.*\[bot\]", whole, re.IGNORECASE | re.MULTILINE):
        raise NoMessage("bot_commit", "a program wrote the message")
    if re.match(r"merge\b", commit.subject, re.IGNORECASE):
        raise NoMessage("merge", "the commit merges")
    if re.match(r"(?:revert\b|reapply\b)", commit.subject, re.IGNORECASE) or "This reverts commit" in commit.body:
        raise NoMessage("revert", "the commit takes another one back")
    text = _AREA.sub("", _CONVENTIONAL.sub("", commit.subject.strip())).strip()
    text = _CONVENTIONAL.sub("", _ISSUE.sub("", text)).strip(" .;:,-")
    if _VERSION.search(text):
        raise NoMessage("version_bump", f"`{commit.subject}` changes a version or dependencies")
    if _EMPTY.match(text) or len(text.split()) < MIN_WORDS:
        raise NoMessage("vague_message", f"`{commit.subject}` does not tell what was done")
    if commit.subject.rstrip().endswith(("…", "...")) or text.count("`") % 2 or text.count('"') % 2:
        raise NoMessage("cut_message", f"`{commit.subject}` is cut off")
    return text[0].upper() + text[1:] if text[0].isalpha() and text.split()[0].islower() else text


def body_of(commit: Commit) -> str:
    """What the message says below its subject, without trailers; empty where there is nothing."""
    text = _TRAILER.sub("", commit.body)
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text)]
    kept = [part for part in paragraphs if re.search(r"[^\W\d_]{3}", part) and not re.fullmatch(r"\S*https?://\S+|[-=~*\s]+", part)]
    return "\n\n".join(_ISSUE.sub("", part) if not _LISTED.search(part) else part for part in kept).strip()
