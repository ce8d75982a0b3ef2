"""Statements of a shell text: pipelines, compound commands, functions, redirections. Strict: what it does not understand is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.syntax.compounds import FUNCTION_NAME, CompoundReader
from luthier.guard.syntax.nodes import Assignment, Command, Pipeline, Redirect, Script, Simple, Text, Word

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]\n]*\])?(\+?)=")
_OPEN_INDEX = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\[[^\] \t\n;&|<>()]*(?=[ \t\n;&|<>()]|\Z)")
_REDIRECT = re.compile(r"([0-9]+|\{[A-Za-z_][A-Za-z0-9_]*\})?(&>>|&>|<<<|<<-|<<|<>|<&|>>|>\||>&|<|>)")
_OPTION_OF_TIME = re.compile(r"-p[ \t]")
_DECLARING = frozenset(("declare", "typeset", "local", "export", "readonly", "alias"))
_CLOSING = frozenset(("then", "elif", "else", "fi", "do", "done", "esac", "}"))
_OPENING = frozenset(("if", "while", "until", "for", "select", "case", "{", "function", "[[", "coproc"))


def parse(text: str) -> Script:
    """The statements of `text`; `ShellSyntaxError` where it does not parse."""
    return Parser(text).script_until("")


def first_lines(text: str) -> int:
    """How many lines a shell that is given `text` reads before it runs the first of it, with here-documents and all that is left open.

    `ShellSyntaxError` where that does not parse; its `wants_more` says whether further lines may complete it.
    """
    parser = Parser(text)
    parser.skip_complete_line()
    end = parser.position
    return text.count("\n", 0, end) + (end == 0 or text[end - 1] != "\n")


class Parser(CompoundReader):
    """Reads the statements of a text from its start."""

    def skip_complete_line(self) -> None:
        """Moves over pipelines up to the first line end that is inside none of them."""
        self.skip_lines()
        while self.position < self.size:
            pipeline = self._pipeline()
            if self._took_line_end():
                return
            self._take_separator(pipeline)
            if pipeline.after == "":
                raise self.fail(f"`{self.text[self.position]}` is not expected here")
            if pipeline.after in ("&&", "||"):
                self.skip_lines()
                if self.position >= self.size:
                    raise self.fail(f"a command is missing after `{pipeline.after}`")
            elif self._took_line_end():
                return

    def _took_line_end(self) -> bool:
        """Moves over blanks, a comment, a line end and the here-documents behind it; whether the line or the text ended."""
        self.skip_blanks()
        if self.text.startswith("#", self.position):
            end = self.text.find("\n", self.position)
            self.position = self.size if end < 0 else end
        if self.text.startswith("\n", self.position):
            self._newline()
            return True
        return self.position >= self.size

    def script_until(self, closing: str) -> Script:
        """The commands up to `closing`, `)` or the end of the text."""
        script = self.read_list(())
        if closing == "":
            if self.position < self.size:
                raise self.fail(f"`{self.text[self.position]}` is not expected here")
            if self.pending:
                self.read_here_documents()
        elif not self.text.startswith(closing, self.position):
            raise self.fail(f"`{closing}` is missing")
        else:
            self.position += len(closing)
        return script

    def read_list(self, ends: tuple[str, ...]) -> Script:
        """Pipelines up to one of the reserved words `ends`, a closing parenthesis, `;;`, or the end."""
        script = Script()
        comments = self.comments
        self.skip_lines()
        while self.position < self.size and not self._at_end_of_list(ends):
            pipeline = self._pipeline()
            script.pipelines.append(pipeline)
            self.skip_blanks()
            self._take_separator(pipeline)
            if pipeline.after in ("&&", "||"):
                self.skip_lines()
                if self.position >= self.size or self._at_end_of_list(ends):
                    raise self.fail(f"a command is missing after `{pipeline.after}`")
            elif pipeline.after == "":
                break
            else:
                self.skip_lines()
        script.comments = self.comments - comments
        return script

    def _take_separator(self, pipeline: Pipeline) -> None:
        text, position = self.text, self.position
        for mark in ("&&", "||"):
            if text.startswith(mark, position):
                self.position += 2
                pipeline.after = mark
                return
        following = text[position : position + 1]
        if following == ";" and not text.startswith(";;", position) and not text.startswith(";&", position):
            pipeline.after = ";"
        elif following in ("&", "\n") and following:
            pipeline.after = "&" if following == "&" else ";"
        elif following == "#":
            pipeline.after = ";"
            return
        if following == "\n":
            self._newline()
        elif pipeline.after:
            self.position += 1

    def _newline(self) -> None:
        self.position += 1
        if self.pending:
            self.read_here_documents()

    def skip_lines(self) -> None:
        """Moves over blanks, comments and line ends."""
        while self.position < self.size:
            self.skip_blanks()
            character = self.text[self.position : self.position + 1]
            if character == "\n":
                self._newline()
            elif character == "#":
                self.comments += 1
                end = self.text.find("\n", self.position)
                self.position = self.size if end < 0 else end
            else:
                return

    def _at_end_of_list(self, ends: tuple[str, ...]) -> bool:
        if self.text[self.position] == ")" or self.text.startswith(";;", self.position) or self.text.startswith(";&", self.position):
            return True
        return bool(ends) and self.reserved() in ends

    def reserved(self) -> str:
        """The reserved word that stands here, or nothing."""
        found = FUNCTION_NAME.match(self.text, self.position)
        word = found.group() if found else ""
        if word in _CLOSING or word in _OPENING or word in ("!", "time", "in"):
            end = self.position + len(word)
            if end == self.size or self.text[end] in " \t\n;&|<>()":
                return word
        return ""

    def _pipeline(self) -> Pipeline:
        start = self.position
        before: tuple[str, ...] = ()
        if self.text.startswith(("!", "time"), start):
            before = tuple(self._prefixes())
        commands = [self.read_command()]
        pipes: list[str] = []
        while True:
            self.skip_blanks()
            if not self.text.startswith("|", self.position) or self.text.startswith("||", self.position):
                break
            pipes.append("|&" if self.text.startswith("|&", self.position) else "|")
            self.position += len(pipes[-1])
            self.skip_lines()
            commands.append(self.read_command())
        return Pipeline(commands, "", start, self.position, before, tuple(pipes))

    def _prefixes(self) -> Iterator[str]:
        """The `!` and `time` that stand here."""
        while (word := self.reserved()) in ("!", "time"):
            self.position += len(word)
            self.skip_blanks()
            if word == "time" and _OPTION_OF_TIME.match(self.text, self.position):
                self.position += 2
                self.skip_blanks()
                word = "time -p"
            yield word

    def read_command(self) -> Command:
        """One command, simple or compound."""
        self.skip_blanks()
        if self.position >= self.size:
            raise self.fail("a command is missing")
        start = self.position
        reserved = self.reserved()
        if reserved in _CLOSING or reserved == "in":
            if reserved != "in":
                raise self.fail(f"`{reserved}` is not expected here")
            reserved = ""
        if reserved or self.text[start] == "(":
            self.enter()
            command = self.compound(reserved)
            command.redirects = self._redirects()
            command.start, command.end = start, self.position
            self.depth -= 1
            return command
        return self._simple(start)

    def _simple(self, start: int) -> Command:
        simple = Simple([], [], [], start, start)
        text = self.text
        while self.position < self.size:
            self.skip_blanks()
            if self.position >= self.size:
                break
            character = text[self.position]
            if character in ";|)\n#":
                break
            if character == "&" and not text.startswith("&>", self.position):
                break
            if character in "<>&0123456789{" and self._redirect(simple.redirects):
                continue
            if character == "(":
                return self._function_without_keyword(simple)
            if self._assignment(simple):
                continue
            if not simple.words and _OPEN_INDEX.match(text, self.position):
                raise self.fail("an index is not closed")  # Bash reads on over blanks there.
            word = self.word()
            if word is None:
                raise self.fail(f"`{character}` is not expected here")
            if not simple.words and len(word.parts) > 1 and _is_broken(word):
                raise self.fail("a line break inside a reserved word", start)
            simple.words.append(word)
        simple.end = self.position
        if not simple.words and not simple.assignments and not simple.redirects:
            raise self.fail("a command is missing")
        return simple

    def _assignment(self, simple: Simple) -> bool:
        found = _ASSIGNMENT.match(self.text, self.position)
        if found is None:
            return False
        declares = False
        if simple.words:
            first = simple.words[0]
            declares = isinstance(first, Word) and first.plain() in _DECLARING
            if not declares:
                return False
        self.position = found.end()
        assignment = Assignment(found[1], None, None, bool(found[3]), found[2] is not None, found[2] or "")
        if self.text.startswith("(", self.position):
            self.position += 1
            assignment.items = self._array()
        elif self.position < self.size and self.text[self.position] not in " \t\n;&|)":
            assignment.value = self.word()
        if declares:
            simple.words.append(assignment)
        else:
            simple.assignments.append(assignment)
        return True

    def _array(self) -> list[Word]:
        words: list[Word] = []
        while True:
            self.skip_lines()
            if self.position >= self.size:
                raise self.fail("a parenthesis is not closed")
            if self.text[self.position] == ")":
                self.position += 1
                return words
            word = self.word()
            if word is None:
                raise self.fail(f"`{self.text[self.position]}` is not expected here")
            words.append(word)

    def _redirects(self) -> list[Redirect]:
        found: list[Redirect] = []
        self.skip_blanks()
        while self.position < self.size and self._redirect(found):
            self.skip_blanks()
        return found

    def _redirect(self, redirects: list[Redirect]) -> bool:
        start = self.position
        found = _REDIRECT.match(self.text, start)
        if found is None:
            return False
        if self.text.startswith("(", found.end()) and found[2] in ("<", ">"):
            return False  # A process substitution.
        self.position = found.end()
        self.skip_blanks()
        target = None if self.text.startswith("#", self.position) else self.word()
        if target is None:
            raise self.fail(f"a file is missing after `{found[2]}`")
        if self.text.startswith(("<", ">"), self.position) and (target.plain() or "").isdecimal():
            raise self.fail(f"a file is missing after `{found[2]}`", start)  # The number belongs to the next redirection.
        redirect = Redirect((found[1] or "").strip("{}"), found[2], target, None, start, self.position)
        if found[2] in ("<<", "<<-"):
            self.here_document(redirect, found[2] == "<<-")
        redirects.append(redirect)
        return True

    def _function_without_keyword(self, simple: Simple) -> Command:
        """`name() { ... }`."""
        word = simple.words[0] if len(simple.words) == 1 and not simple.assignments and not simple.redirects else None
        name = word.plain() if isinstance(word, Word) else None
        after = re.compile(r"\([ \t]*\)").match(self.text, self.position)
        if name is None or after is None:
            raise self.fail("`(` is not expected here")
        self.position = after.end()
        return self.function_body(name, simple.start)


def _is_broken(word: Word) -> bool:
    """Whether a word is a reserved one in pieces, which only line continuations part without quotes."""
    texts = [part.text for part in word.parts if isinstance(part, Text) and not part.quoted]
    return len(texts) == len(word.parts) and "".join(texts) in _CLOSING | _OPENING | {"!", "time"}
