"""Compound commands of a shell text: branches, loops, functions, groups and conditions."""

from __future__ import annotations

import re
from abc import abstractmethod

from luthier.guard.syntax.nodes import Command, Compound, Pipeline, Script, Simple, Word
from luthier.guard.syntax.scanner import Scanner

FUNCTION_NAME = re.compile(r"[^ \t\n;&|<>()$`\"'\\]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COPROCESS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*[ \t]+(?=[{(]|if |while |for |case )")
_CONDITION_OPERATOR = re.compile(r"&&|\|\||[<>](?!\()|[()]")
_END_OF_BRANCH = re.compile(r";;&?|;&")
_PARENTHESES = re.compile(r"[ \t]*\([ \t]*\)")


class CompoundReader(Scanner):
    """Reads compound commands; lists and single commands are read by its child, `Parser`."""

    @abstractmethod
    def read_list(self, ends: tuple[str, ...]) -> Script:
        """Pipelines up to one of the reserved words `ends`."""

    @abstractmethod
    def read_command(self) -> Command:
        """One command."""

    @abstractmethod
    def reserved(self) -> str:
        """The reserved word that stands here, or nothing."""

    @abstractmethod
    def skip_lines(self) -> None:
        """Moves over blanks, comments and line ends."""

    def _expect(self, word: str) -> None:
        self.skip_lines()
        if self.reserved() != word:
            raise self.fail(f"`{word}` is missing")
        self.position += len(word)

    def function_body(self, name: str, start: int) -> Compound:
        """The function `name`, whose body stands here."""
        self.skip_lines()
        self.enter()
        body = self.read_command()
        self.depth -= 1
        if isinstance(body, Simple):
            raise self.fail("the body of a function is missing", start)
        script = Script([Pipeline([body], "", body.start, body.end)])
        return Compound("function", [script], [], name, [], start, self.position)

    def compound(self, reserved: str) -> Compound:
        """The compound command that begins with `reserved`, or with a parenthesis where that is nothing."""
        start = self.position
        if not reserved:
            return self._parentheses(start)
        self.position += len(reserved)
        compound = Compound(reserved, [], [], "", [], start, start)
        if reserved == "if":
            self._if(compound)
        elif reserved in ("while", "until"):
            compound.bodies = [self._body(("do",)), self._loop_body()]
        elif reserved in ("for", "select"):
            self._for(compound)
        elif reserved == "case":
            self._case(compound)
        elif reserved == "{":
            compound.bodies = [self._body(("}",))]
        elif reserved == "[[":
            self._condition(compound)
        elif reserved == "function":
            return self._function_with_keyword(start)
        elif reserved == "coproc":
            self._coprocess(compound)
        return compound

    def _parentheses(self, start: int) -> Compound:
        if self.text.startswith("((", start):
            end = self._arithmetic_end(start + 2)
            if end is not None:
                self.position = start + 2
                word = self._inner_word(end)
                self.position = end + 2
                return Compound("((", [], [word], "", [], start, self.position, [self.text[start + 2 : end]])
        self.position += 1
        return Compound("(", [self._nonempty(self.script_until(")"))], [], "", [], start, start)

    def _nonempty(self, script: Script) -> Script:
        if not script.pipelines:
            raise self.fail("a command is missing")
        return script

    def _body(self, ends: tuple[str, ...]) -> Script:
        """A list with its closing word, which is taken when it is the only one possible."""
        script = self._nonempty(self.read_list(ends))
        if self.reserved() not in ends:
            raise self.fail(f"`{ends[0]}` is missing")
        if len(ends) == 1:
            self.position += len(ends[0])
        return script

    def _loop_body(self) -> Script:
        return self._body(("done",))

    def _if(self, compound: Compound) -> None:
        compound.bodies = [self._body(("then",)), self._body(("elif", "else", "fi"))]
        while (word := self.reserved()) != "fi":
            self.position += len(word)
            if word == "elif":
                compound.bodies += [self._body(("then",)), self._body(("elif", "else", "fi"))]
            else:
                compound.bodies.append(self._body(("fi",)))
                return
        self.position += 2

    def _for(self, compound: Compound) -> None:
        self.skip_blanks()
        if self.text.startswith("((", self.position):
            compound.form = "for (("
            end = self._for_end()
            self.position += 2
            compound.tokens = [self.text[self.position : end]]
            compound.words = [self._inner_word(end)]
            self.position = end + 2
            self._skip_separators()
        else:
            found = _VARIABLE.match(self.text, self.position)
            if found is None:
                raise self.fail("the name of a variable is missing")
            compound.name = found.group()
            self.position = found.end()
            self.skip_lines()
            if self.reserved() == "in":
                self.position += 2
                compound.form += " in"
                compound.words = self._words_to_line_end()
            self._skip_separators()
        if self.reserved() == "{":
            self.position += 1
            compound.bodies = [self._body(("}",))]
            return
        self._expect("do")
        compound.bodies = [self._loop_body()]

    def _for_end(self) -> int:
        level = 0
        for place in range(self.position + 2, min(self.size, self.position + 4096)):
            character = self.text[place]
            level += character == "("
            if character == ")":
                if level == 0 and self.text.startswith("))", place):
                    return place
                level -= 1
        raise self.fail("`))` is missing")

    def _skip_separators(self) -> None:
        self.skip_blanks()
        if self.text.startswith(";", self.position):
            self.position += 1
        self.skip_lines()

    def _words_to_line_end(self) -> list[Word]:
        words: list[Word] = []
        while True:
            self.skip_blanks()
            word = self.word() if self.position < self.size and self.text[self.position] != "#" else None
            if word is None:
                return words
            words.append(word)

    def _case(self, compound: Compound) -> None:
        self.skip_blanks()
        word = self.word()
        if word is None:
            raise self.fail("the word of a `case` is missing")
        compound.words = [word]
        compound.tokens.append(self.text[word.start : word.end])
        self._expect("in")
        self.skip_lines()
        while self.reserved() != "esac":
            if self.position >= self.size:
                raise self.fail("`esac` is missing")
            self._patterns(compound)
            compound.bodies.append(self.read_list(("esac",)))
            found = _END_OF_BRANCH.match(self.text, self.position)
            if found is not None:
                self.position = found.end()
                if found.group() != ";;":
                    compound.tokens.append(found.group())
                self.skip_lines()
            elif self.reserved() != "esac":
                raise self.fail("`;;` is missing")
        self.position += 4

    def _patterns(self, compound: Compound) -> None:
        """The patterns of one branch, up to its parenthesis."""
        if self.text.startswith("(", self.position):
            self.position += 1
        while True:
            self.skip_blanks()
            word = self.word()
            if word is None:
                raise self.fail("a pattern is missing")
            compound.words.append(word)
            self.skip_blanks()
            following = self.text[self.position : self.position + 1]
            compound.tokens += (self.text[word.start : word.end], following)
            self.position += 1
            if following == ")":
                return
            if following != "|":
                raise self.fail("`)` is missing")

    def _condition(self, compound: Compound) -> None:
        """The words of `[[ ... ]]`."""
        regex = False
        while True:
            self.skip_lines() if not regex else self.skip_blanks()
            if self.position >= self.size:
                raise self.fail("`]]` is missing")
            if not regex and (operator := _CONDITION_OPERATOR.match(self.text, self.position)) is not None:
                compound.tokens.append(operator.group())
                self.position = operator.end()
                continue
            word = self.word(regex)
            if word is None:
                raise self.fail(f"`{self.text[self.position]}` is not expected here")
            if word.plain() == "]]":
                return
            regex = word.plain() == "=~"
            compound.words.append(word)
            compound.tokens.append(self.text[word.start : word.end])

    def _function_with_keyword(self, start: int) -> Compound:
        self.skip_blanks()
        found = FUNCTION_NAME.match(self.text, self.position)
        if found is None:
            raise self.fail("the name of a function is missing")
        self.position = found.end()
        if (parentheses := _PARENTHESES.match(self.text, self.position)) is not None:
            self.position = parentheses.end()
        return self.function_body(found.group(), start)

    def _coprocess(self, compound: Compound) -> None:
        self.skip_blanks()
        found = _COPROCESS_NAME.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
            compound.name = found.group().strip()
        inner = self.read_command()
        compound.bodies = [Script([Pipeline([inner], "", inner.start, inner.end)])]
