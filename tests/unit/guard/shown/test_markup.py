"""Code of other languages of markup, as Markdown has it."""

from __future__ import annotations

import time

import pytest

from luthier.guard.shown.markup import as_markdown

FENCE = "~~~~~~~~"


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("<pre><code>ls &amp;&amp; du</code></pre>", [("", "ls && du")]),
        ('<p>a</p><pre class="x"><code class="language-bash">ls\ndu</code></pre>', [("bash", "ls\ndu")]),
        ('<PRE lang="sh"><span class="k">ls</span> -l<br>du</PRE >', [("sh", "ls -l\ndu")]),
        ("<pre>ls", [("", "ls")]),
        (".. code-block:: console\n   :linenos:\n\n   $ ls\n\n   du\n\nAfter.", [("console", "$ ls\n\ndu")]),
        ("a\n  .. code:: sh\n\n     ls\nb", [("sh", "ls")]),
        ("[source,bash]\n----\nls\n----\nb", [("bash", "ls")]),
        ("#+BEGIN_SRC sh :results output\nls\n#+END_SRC\n#+begin_example\ndu\n#+end_example", [("sh", "ls"), ("", "du")]),
    ],
)
def test_blocks(text: str, blocks: list[tuple[str, str]]) -> None:
    lines = as_markdown(text).split("\n")
    places = [number for number, line in enumerate(lines) if line.startswith(FENCE)]
    found = [(lines[one].removeprefix(FENCE), "\n".join(lines[one + 1 : two])) for one, two in zip(places[::2], places[1::2], strict=True)]
    assert found == blocks


def test_code_in_a_line_gets_backticks() -> None:
    assert as_markdown("Run <code>ls &gt; a</code> or <kbd>du -s</kbd>.") == "Run `ls > a` or `du -s`."


@pytest.mark.parametrize("text", ["```sh\nls\n```", "a < b and c > d", "Note::\n\n    text\n", "[1, 2]", ""])
def test_what_is_no_such_code_stays(text: str) -> None:
    assert as_markdown(text) == text


@pytest.mark.parametrize("piece", ["<pre>", "<pre><code ", "<code>", "</pre>", ".. code::\n", "#+begin_src\n", "[source,a]\n----\n", "<a"])
def test_no_text_takes_long(piece: str) -> None:
    started = time.process_time()
    as_markdown("<pre>" + piece * (100_000 // len(piece)))
    assert time.process_time() - started < 5
