"""A small source as makers get it: files by path, cut and indexed."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.data.synthesize.made import Made, Maker, Material, Unfit
from luthier.retrieval.chunks.cut import cut
from luthier.retrieval.index import build
from luthier.retrieval.records import Chunk, SourceFile

CART = '''class Cart:
    """A basket of goods that a visitor fills before paying."""

    def total(self, currency: str, discount: float = 0.0) -> int:
        """Adds up every line, after rebates, in the smallest unit of money.

        :param currency: ISO code, which decides how many digits are kept.
        :param discount: Share taken off before tax.
        :returns: Whole cents, rounded half up.
        :raises ValueError: If some line was priced otherwise.
        """
        amount = 0
        for line in self.lines:
            if line.currency != currency:
                raise TypeError("a line is priced in another currency")
            amount += line.price * line.count
        return round_half_up(amount * (1 - discount))


def round_half_up(number):
    whole = int(number)
    rest = number - whole
    if rest >= 0.5:
        whole += 1
    return whole
'''
TOTAL = CART[CART.index("    def total") : CART.index("def round_half_up")].rstrip()
BUTTON = """type size = Small | Large(int)

@module("node:path") @variadic
external join: array<string> => string = "join"

@send @return(nullable) external closest: (Dom.element, string) => option<Dom.element> = "closest"
@get external width: Dom.element => int = "width"
@set external setWidth: (Dom.element, int) => unit = "width"

@react.component
let make = (~label: string, ~size: size=Small, ~onClick=?) => {
  let (pressed, setPressed) = React.useState(() => false)
  let path = join(["a", label])
  <div className={path}>
    <Icon name="x" />
    {React.string(label)}
  </div>
}
"""
APP = """@react.component
let make = () => {
  let title = Button.join(["a", "b"])
  <Layout>
    <Button label={title} />
  </Layout>
}
"""

# The index of a source without chunks.
NO_CHUNKS = build(())
_LANGUAGES = {
    "py": "python",
    "res": "rescript",
    "resi": "rescript",
    "go": "go",
    "ts": "typescript",
    "rs": "rust",
    "java": "java",
    "rb": "ruby",
    "c": "c",
    "h": "c",
}


def material(files: Mapping[str, str], name: str = "shop") -> Material:
    """The material of a source of `files`; those with `test` in their path are tests."""
    sources = tuple(
        SourceFile(path, _LANGUAGES[path.rsplit(".", 1)[-1]], text, "MIT", "test" in path) for path, text in sorted(files.items())
    )
    chunks = tuple(chunk for file in sources for chunk in cut(file))
    return Material(name, sources, chunks, build(chunks))


def chunk_of(text: str, name: str, path: str = "src/cart.py") -> Chunk:
    """The chunk of that name in a file of `text`."""
    return next(chunk for chunk in material({path: text}).chunks if chunk.name == name)


def rows(make: Maker, files: Mapping[str, str]) -> list[tuple[str, str]]:
    """Request and answer of each row that a maker gives."""
    return [(row.messages[0].content, row.messages[1].content) for row in make(material(files)) if isinstance(row, Made)]


def reasons(make: Maker, files: Mapping[str, str]) -> list[str]:
    """The reason codes of what a maker turns down."""
    return [row.reason for row in make(material(files)) if isinstance(row, Unfit)]
