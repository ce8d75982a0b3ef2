"""Words of a shell text: quotes, expansions, substitutions, here-documents. One pass, in linear time."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from luthier.guard.syntax.escapes import NO_CHARACTER, continuation, unescaped
from luthier.guard.syntax.nodes import Arithmetic, Part, Process, Redirect, Script, ShellSyntaxError, Substitution, Text, Variable, Word

# What is nested deeper than any real command is refused, so that no input costs much stack.
MAX_DEPTH = 40
# An unquoted `@(a|b)`: any text without a slash, as a star.
ANY_NAME = "\ue004"

_CHUNK = re.compile(r"[^ \t\n;&|<>()$`\"'\\]+")
_ANSI_QUOTED = re.compile(r"\$'((?:[^'\\]++|\\.)*+)'", re.DOTALL)
_IN_DOUBLE_QUOTES = re.compile(r"[^$`\"\\]+")
_IN_HEREDOC = re.compile(r"[^$`\\]+")
_IN_BRACES = re.compile(r"[^$`\"'\\}]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!_-]")
_SIMPLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!_-]")
_OPERATOR = re.compile(r":[-=?+]|[-=?+]|##?|%%?|//?[#%]?|\^\^?|,,?|~~?|:|@")
_WORD_ENDS = frozenset(" \t\n;&|<>()")


class Scanner(ABC):
    """Reads words from `text`; statements are read by its child, `Parser`."""

    def __init__(self, text: str, depth: int = 0) -> None:
        self.text = text
        self.size = len(text)
        self.position = 0
        self.depth = depth
        self.limit = self.size
        self.comments = 0
        self.pending: list[tuple[Redirect, str, bool, bool]] = []

    @abstractmethod
    def script_until(self, closing: str) -> Script:
        """The commands up to `closing`, which is taken too."""

    def fail(self, message: str, position: int | None = None) -> ShellSyntaxError:
        """The error for this place."""
        return ShellSyntaxError(message, self.position if position is None else position, self.position >= self.size)

    def enter(self) -> None:
        """Counts one level of nesting."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nested more than {MAX_DEPTH} deep")

    def skip_blanks(self) -> None:
        """Moves over blanks and line continuations."""
        text, position = self.text, self.position
        while position < self.size:
            character = text[position]
            if character in (" ", "\t"):
                position += 1
            elif character == "\\" and text.startswith("\\\n", position):
                position += 2
            else:
                break
        self.position = position

    def word(self, regex: bool = False) -> Word | None:
        """The word that starts here, None where none does. `regex`: after `=~`, where parentheses and bars belong to the word."""
        start = self.position
        found = _CHUNK.match(self.text, start)
        if found is not None:
            end = found.end()
            if not regex and (end == self.size or self.text[end] in " \t\n;&|)"):
                self.position = end
                return Word([Text(found.group(), False)], start, end)
        parts: list[Part] = []
        while self.position < self.size:
            if not self._word_part(parts, regex):
                break
        return Word(parts, start, self.position) if self.position > start else None

    def _word_part(self, parts: list[Part], regex: bool) -> bool:
        """Adds what stands here to the word; False where the word ends."""
        text, position = self.text, self.position
        character = text[position]
        if character in "<>" and text.startswith("(", position + 1):
            parts.append(self._process())
        elif character == "(" and self._is_extended_glob(parts, regex):
            self._extended_glob()
            parts.append(Text(ANY_NAME, True, source=text[position : self.position]))
        elif regex and character == "|":
            self.position += 1
            parts.append(Text(character, True))
        elif character in _WORD_ENDS:
            return False
        elif character == "\\":
            self._escaped(parts)
        elif character == "'":
            parts.append(Text(self._single_quoted(), True))
        elif character == '"':
            self._double_quoted(parts)
        elif character == "$":
            self._dollar(parts, False)
        elif character == "`":
            parts.append(self._backticks(False))
        else:
            found = _CHUNK.match(text, position)
            assert found is not None
            self.position = found.end()
            parts.append(Text(found.group(), False))
        return True

    def _is_extended_glob(self, parts: list[Part], regex: bool) -> bool:
        if regex:
            return True
        last = parts[-1] if parts else None
        return isinstance(last, Text) and not last.quoted and last.text[-1:] in ("?", "*", "+", "@", "!")

    def _extended_glob(self) -> None:
        """Moves over a balanced group of parentheses."""
        level, text = 0, self.text
        while self.position < self.size:
            character = text[self.position]
            if character == "\\":
                self.position += 1
            elif character == "'":
                self._single_quoted()
                continue
            elif character in "\n`$":
                raise self.fail("a pattern that is not settled")
            level += (character == "(") - (character == ")")
            self.position += 1
            if level == 0:
                return
        raise self.fail("a parenthesis is not closed")

    def _escaped(self, parts: list[Part]) -> None:
        following = self.text[self.position + 1 : self.position + 2]
        if following == "\n":
            self._continue_line(False)
            return
        self.position += 1 + len(following)
        parts.append(Text(following or "\\", True))

    def _continue_line(self, quoted: bool) -> None:
        self.position, is_inside = continuation(self.text, self.position, quoted)
        if is_inside:
            raise self.fail("a line break inside a name")

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.position + 1)
        if end < 0:
            raise self.fail("a quote is not closed")
        inner = self.text[self.position + 1 : end]
        self.position = end + 1
        return inner

    def _double_quoted(self, parts: list[Part]) -> None:
        opening = self.position
        self.position += 1
        parts.append(Text("", True))
        while self.position < self.size:
            character = self.text[self.position]
            if character == '"':
                self.position += 1
                return
            self._quoted_part(parts, _IN_DOUBLE_QUOTES, '$`"\\')
        raise self.fail("a quote is not closed", opening)

    def _quoted_part(self, parts: list[Part], run: re.Pattern[str], escapable: str) -> None:
        """One part of text in which only `$`, backticks and some backslashes act."""
        text, position = self.text, self.position
        character = text[position]
        if character == "$":
            self._dollar(parts, True)
        elif character == "`":
            parts.append(self._backticks(True))
        elif character == "\\":
            following = text[position + 1 : position + 2]
            if following == "\n":
                self._continue_line(True)
                return
            self.position += 2 if following else 1
            kept = following if following and following in escapable else "\\" + following
            parts.append(Text(kept, True, kept[:1] != following and run is _IN_DOUBLE_QUOTES))
        elif (found := run.match(text, position, self.limit)) is not None:
            self.position = found.end()
            parts.append(Text(found.group(), True, run is _IN_DOUBLE_QUOTES))
        else:
            self.position += 1
            parts.append(Text(character, True))

    def _dollar(self, parts: list[Part], quoted: bool) -> None:
        text, position = self.text, self.position
        following = text[position + 1 : position + 2]
        if following == "(":
            parts.append(self._parenthesis(quoted))
        elif following == "{":
            parts.append(self._braces(quoted))
        elif following == "[":
            self.position += 2
            parts.append(self._arithmetic_until("]", quoted))
        elif following == "'" and not quoted:
            parts.append(self._ansi_quoted())
        elif following == '"' and not quoted:
            self.position += 1
            self._double_quoted(parts)
        elif (found := _SIMPLE_NAME.match(text, position + 1)) is not None:
            self.position = found.end()
            parts.append(Variable(found.group(), quoted))
        else:
            self.position += 1
            parts.append(Text("$", True))

    def _ansi_quoted(self) -> Text:
        found = _ANSI_QUOTED.match(self.text, self.position)
        if found is None:
            raise self.fail("a quote is not closed")
        self.position = found.end()
        decoded = unescaped(found[1])
        return Text(decoded, True, source=found.group() if NO_CHARACTER in decoded else "")

    def _parenthesis(self, quoted: bool) -> Part:
        """`$((...))` where it reads as arithmetic, else `$(...)`."""
        opening = self.position
        if self.text.startswith("$((", opening):
            end = self._arithmetic_end(opening + 3)
            if end is not None:
                self.position = opening + 3
                word = self._inner_word(end)
                self.position = end + 2
                return Arithmetic(word, quoted, self.text[opening : self.position])
        self.enter()
        self.position = opening + 2
        body = self.script_until(")")
        self.depth -= 1
        return Substitution(body, quoted)

    def _arithmetic_end(self, position: int) -> int | None:
        """Where the `))` of an arithmetic expression stands; None where the parentheses are those of commands."""
        level = 0
        for place in range(position, min(self.size, position + 4096)):
            character = self.text[place]
            if character == "(":
                level += 1
            elif character == ")":
                if level == 0:
                    return place if self.text.startswith("))", place) else None
                level -= 1
            elif character in ";'\n" or (character == "`"):
                return None
        return None

    def _arithmetic_until(self, closing: str, quoted: bool) -> Arithmetic:
        opening = self.position - 2
        end = self.text.find(closing, self.position)
        if end < 0:
            raise self.fail("an arithmetic expansion is not closed")
        word = self._inner_word(end)
        self.position = end + 1
        return Arithmetic(word, quoted, self.text[opening : self.position])

    def _inner_word(self, end: int) -> Word:
        """The expansions between here and `end`, read as inside double quotes."""
        start, parts = self.position, list[Part]()
        self.enter()
        outer, self.limit = self.limit, end
        while self.position < end:
            self._quoted_part(parts, _IN_DOUBLE_QUOTES, '$`"\\')
        self.limit = outer
        self.depth -= 1
        if self.position > end:
            raise self.fail("an expansion reaches over its end")
        return Word(parts, start, end)

    def _braces(self, quoted: bool) -> Variable:
        """`${...}`."""
        opening, text = self.position, self.text
        self.position += 2
        prefix = ""
        if text[self.position : self.position + 1] in ("!", "#") and text[self.position + 1 : self.position + 2] not in ("}", "", ":", "-"):
            prefix = text[self.position]
            self.position += 1
        found = _NAME.match(text, self.position)
        if found is None:
            raise self.fail("not an expansion", opening)
        self.position = found.end()
        index = None
        if text.startswith("[", self.position):
            end = text.find("]", self.position)
            if end < 0:
                raise self.fail("an index is not closed", opening)
            self.position += 1
            index = self._inner_word(end)
            self.position = end + 1
        operation = _OPERATOR.match(text, self.position)
        operator = operation.group() if operation else ""
        self.position += len(operator)
        self.enter()
        word = self._brace_word(quoted)
        self.depth -= 1
        if not operator and word.parts:
            raise self.fail("not an expansion", opening)
        if not operator and not prefix and index is None:
            return Variable(found.group(), quoted)
        source = text[opening : self.position]
        return Variable(found.group(), quoted, prefix + operator, word if operator else None, index, source)

    def _brace_word(self, quoted: bool) -> Word:
        """The word of `${name operator word}`, up to its closing brace, which is taken too."""
        start, parts = self.position, list[Part]()
        while self.position < self.size:
            character = self.text[self.position]
            if character == "}":
                self.position += 1
                return Word(parts, start, self.position - 1)
            if character == "'" and not quoted:
                parts.append(Text(self._single_quoted(), True))
            elif character == '"':
                self._double_quoted(parts)
            elif character == "\\" and not quoted:
                self._escaped(parts)
            elif character in "$`\\":
                self._quoted_part(parts, _IN_BRACES, '$`"\\}')
            else:
                found = _IN_BRACES.match(self.text, self.position)
                end = found.end() if found else self.position + 1
                parts.append(Text(self.text[self.position : end], quoted))
                self.position = end
        raise self.fail("a brace is not closed", start)

    def _backticks(self, quoted: bool) -> Substitution:
        opening, text = self.position, self.text
        pieces: list[str] = []
        position = opening + 1
        while position < self.size and text[position] != "`":
            if text[position] == "\\" and text[position + 1 : position + 2] in ("\\", "`", "$", '"' if quoted else "`"):
                position += 1
            pieces.append(text[position : position + 1])
            position += 1
        if position >= self.size:
            raise self.fail("a backtick is not closed", opening)
        self.enter()
        reader = type(self)("".join(pieces), self.depth)
        try:
            inner = reader.script_until("")
        except ShellSyntaxError as error:
            raise self.fail(str(error), opening) from error
        self.depth -= 1
        self.comments += reader.comments
        self.position = position + 1
        return Substitution(inner, quoted, spans_hold=False)

    def _process(self) -> Process:
        direction = self.text[self.position]
        self.position += 2
        self.enter()
        body = self.script_until(")")
        self.depth -= 1
        return Process(direction, body)

    def here_document(self, redirect: Redirect, strips: bool) -> None:
        """Remembers that the next line starts the body of `redirect`."""
        quoted = any(not isinstance(part, Text) or part.quoted for part in redirect.target.parts)
        delimiter = "".join(part.text for part in redirect.target.parts if isinstance(part, Text))
        self.pending.append((redirect, delimiter, quoted, strips))

    def read_here_documents(self) -> None:
        """Reads the bodies of the here-documents that were announced, starting at the line that begins here."""
        for redirect, delimiter, quoted, strips in self.pending:
            start = self.position
            lines: list[str] = []
            while self.position < self.size:
                end = self.text.find("\n", self.position)
                end = self.size if end < 0 else end
                line = self.text[self.position : end]
                self.position = min(end + 1, self.size)
                line = line.lstrip("\t") if strips else line
                if line == delimiter:
                    break
                lines.append(line + "\n")
            body = "".join(lines)
            redirect.body = Word([Text(body, True)], start, self.position) if quoted else self._expanded(body, start)
        self.pending = []

    def _expanded(self, body: str, start: int) -> Word:
        """A here-document's text with its expansions; offsets inside it are its own."""
        if "$" not in body and "`" not in body and "\\" not in body:
            return Word([Text(body, True)], start, self.position)
        self.enter()
        inner = type(self)(body, self.depth)
        parts: list[Part] = []
        while inner.position < inner.size:
            inner._quoted_part(parts, _IN_HEREDOC, "$`\\")
        self.depth -= 1
        self.comments += inner.comments
        return Word([_without_spans(part) for part in parts], start, self.position)


def _without_spans(part: Part) -> Part:
    return Substitution(part.body, part.quoted, spans_hold=False) if isinstance(part, Substitution) else part
