"""Code of HTML, reStructuredText, AsciiDoc and Org as the fenced blocks and backticks that Markdown would have for it.

One form for whoever looks for commands afterwards. What no mark of these languages encloses (literal blocks behind `::`, indented code,
plain `----`) is left as it stands, and is read line by line there.
"""

from __future__ import annotations

import html
import re

from luthier.guard.shown.names import block_name

# A fence that no fence of backticks around it, and hardly a line of code, is.
_FENCE = "~~~~~~~~"
_MARKED = re.compile(
    r"<pre\b|<(?:code|kbd|tt|samp)\b|\.\. (?:code|sourcecode|code-block|prompt)::|#\+begin_|^\[(?:source)?,", re.IGNORECASE | re.MULTILINE
)
_PRE = re.compile(r"<pre\b(?P<attributes>[^<>]{0,500})>", re.IGNORECASE)
_PRE_END = re.compile(r"</pre[ \t]*>", re.IGNORECASE)
_CODE_START = re.compile(r"\s*<code\b([^<>]{0,500})>", re.IGNORECASE)
_LANGUAGE = re.compile(
    r"(?:language-|lang-|highlight-source-|highlight-|brush:[ \t]*|lang=[\"']?|data-lang(?:uage)?=[\"'])([\w+.-]{1,30})", re.IGNORECASE
)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_BREAK = re.compile(r"<br[ \t]*/?>", re.IGNORECASE)
_INLINE = re.compile(r"<(?P<tag>code|kbd|tt|samp)\b[^<>]{0,200}>(?P<body>[^<\n`]{3,400})</(?P=tag)>", re.IGNORECASE)
_DIRECTIVE = re.compile(r"(?P<indent>[ \t]*)\.\. (?:code|sourcecode|code-block|prompt)::[ \t]*(?P<name>[\w+.-]*)[^\n]*$")
_OPTION = re.compile(r"[ \t]+:[\w-]+:")
_ORG = re.compile(r"[ \t]*#\+begin_(?P<kind>src|example)\b[ \t]*(?P<name>[\w+.-]*)", re.IGNORECASE)
_ORG_END = re.compile(r"[ \t]*#\+end_(?:src|example)\b", re.IGNORECASE)
_ASCIIDOC = re.compile(r"\[(?:source)?,[ \t]*(?P<name>[\w+.-]+)[^\]\n]*\]\s*$")
_ASCIIDOC_FENCE = re.compile(r"(?:-{4,}|\.{4,})\s*$")


def as_markdown(text: str) -> str:
    """`text` with the code of other languages of markup as Markdown has it; itself where none stands in it."""
    # Most texts hold none of these, and a look for them costs next to nothing.
    if not ("<" in text or "::" in text or "#+" in text or "\n----" in text or "\n...." in text) or _MARKED.search(text) is None:
        return text
    return _of_lines(_of_html(text)) if "<" in text else _of_lines(text)


def _of_html(text: str) -> str:
    parts: list[str] = []
    position = 0
    while (opening := _PRE.search(text, position)) is not None:
        closing = _PRE_END.search(text, opening.end())
        end, after = (closing.start(), closing.end()) if closing is not None else (len(text), len(text))
        parts += [_inline(text[position : opening.start()]), _fenced(opening["attributes"], text[opening.end() : end])]
        position = after
    return "".join((*parts, _inline(text[position:])))


def _fenced(attributes: str, inner: str) -> str:
    code = _CODE_START.match(inner)
    found = _LANGUAGE.search(f"{attributes} {code[1] if code is not None else ''}")
    body = html.unescape(_TAG.sub("", _BREAK.sub("\n", inner))).strip("\n")
    return f"\n{_FENCE}{block_name(found[1]) if found is not None else ''}\n{body}\n{_FENCE}\n"


def _inline(text: str) -> str:
    return _INLINE.sub(lambda found: f"`{html.unescape(found['body'])}`", text)


def _of_lines(text: str) -> str:
    """Blocks of reStructuredText, Org and AsciiDoc, which go by lines, as fenced ones."""
    lines, out, at = text.split("\n"), list[str](), 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if (directive := _DIRECTIVE.match(line)) is not None:
            body, at = _below(lines, at, len(directive["indent"]))
            out += _block(directive["name"], body)
        elif (org := _ORG.match(line)) is not None:
            end = next((number for number in range(at, len(lines)) if _ORG_END.match(lines[number])), len(lines))
            out += _block(org["name"] if org["kind"].lower() == "src" else "", lines[at:end])
            at = end + 1
        elif (asciidoc := _ASCIIDOC.match(line)) is not None and at < len(lines) and _ASCIIDOC_FENCE.match(lines[at]):
            fence = lines[at].strip()
            end = next((number for number in range(at + 1, len(lines)) if lines[number].strip() == fence), len(lines))
            out += _block(asciidoc["name"], lines[at + 1 : end])
            at = end + 1
        else:
            out.append(line)
    return "\n".join(out)


def _below(lines: list[str], at: int, indent: int) -> tuple[list[str], int]:
    """The body of a directive: its options left out, its lines moved to the left; and the line behind it."""
    while at < len(lines) and _OPTION.match(lines[at]):
        at += 1
    first = at
    while at < len(lines) and (not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) > indent):
        at += 1
    body = lines[first:at]
    least = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=0)
    return [line[least:] for line in body], at


def _block(name: str, body: list[str]) -> list[str]:
    return [f"{_FENCE}{block_name(name)}", *"\n".join(body).strip("\n").split("\n"), _FENCE]
