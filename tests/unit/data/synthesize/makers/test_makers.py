"""What holds for every maker of rows from code: budget, determinism, licenses, and that nothing is made of nothing."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import pytest

from luthier.data.rows.grams import NEAR, grams, jaccard
from luthier.data.synthesize.made import Made
from luthier.data.synthesize.makers import complete, document, explain, infill, locate, question, tests, usage
from maker_parts import material

MAKERS = [explain, complete, document, question, infill, locate, usage, tests]
WORDS = (
    *("apple", "bridge", "candle", "desert", "engine", "forest", "garden", "harbor"),
    *("island", "jungle", "kettle", "ladder", "marble", "needle", "orchard", "parrot"),
)


def _function(number: int) -> str:
    first, second = WORDS[number % 16], WORDS[(number * 7 + 3) % 16]
    return f'''
def {first}_{second}_{number}({first}, {second}=3, limit_{number}=None):
    """Weighs the {first} against every {second} that was brought in since sunrise {number}, heaviest load before lighter ones.

    Args:
        {first}: The crate whose owner waits at counter {number}.
        {second}: How many helpers from the {second} guild carry it.

    Returns:
        The tariff in guilders that the clerk of hall {number} writes down.
    """
    total_{number} = {first} * {second}
    for step_{number} in range({second}):
        if step_{number} > total_{number}:
            total_{number} -= step_{number} + {number}
        total_{number} += {first}
    if limit_{number} is not None:
        total_{number} = min(total_{number}, limit_{number})
    return total_{number}
'''


def _large(count: int) -> dict[str, str]:
    names = [f"{WORDS[number % 16]}_{WORDS[(number * 7 + 3) % 16]}_{number}" for number in range(count)]
    calls = "\n".join(
        f"def {WORDS[number * 5 % 16]}_caller_{number}(crates_{number}):\n    return [{name}(one, {number}) for one in crates_{number}]\n"
        for number, name in enumerate(names)
    )
    proofs = "\n".join(
        f"def test_{name}():\n    weighed_{number} = {name}({number}, 2)\n    assert weighed_{number} == {number * 31 % 17}\n\n"
        for number, name in enumerate(names)
    )
    head = f"from hall import {', '.join(names)}\n\n\n"
    return {"src/hall.py": "".join(map(_function, range(count))), "src/calls.py": head + calls, "tests/test_hall.py": head + proofs}


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__.rsplit(".", 1)[-1])
def test_a_file_gives_no_more_rows_than_the_budget(maker: ModuleType) -> None:
    made = [row for row in maker.make(material(_large(40))) if isinstance(row, Made)]
    assert Counter(row.path for row in made)["src/hall.py"] == maker.PER_FILE


@pytest.mark.parametrize("maker", [complete, infill], ids=["complete", "infill"])
def test_bindings_share_the_budget_with_functions(maker: ModuleType) -> None:
    functions = "".join(
        f"let {first}{second} = ({first}, ~{second}) => {{\n  let {first}Sum = {first} * {number}\n"
        f"  let {second}Rest = {second} - {first}Sum\n"
        f"  if {second}Rest > {number} {{\n    Console.log({second}Rest)\n  }}\n  {first}Sum + {second}Rest\n}}\n"
        for number, (first, second) in enumerate(zip(WORDS, (word.title() for word in WORDS[::-1]), strict=True))
    )
    bindings = "".join(f'@get external {word}: t => int = "{word}"\n' for word in WORDS)
    made = [row for row in maker.make(material({"src/Hall.res": f"type t\n{bindings}{functions}"})) if isinstance(row, Made)]
    assert 0 < len(made) <= maker.PER_FILE


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__.rsplit(".", 1)[-1])
def test_equal_sources_give_equal_rows_with_license_and_place(maker: ModuleType) -> None:
    files = _large(6)
    first, second = list(maker.make(material(files))), list(maker.make(material(dict(reversed(files.items())))))
    assert first == second
    assert all(row.license == "MIT" and row.lines and row.path in files for row in first if isinstance(row, Made))


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__.rsplit(".", 1)[-1])
def test_templates_alone_make_no_near_duplicates(maker: ModuleType) -> None:
    texts = [grams(" ".join(turn.content for turn in row.messages)) for row in maker.make(material(_large(12))) if isinstance(row, Made)]
    assert len(texts) > 3
    near = [(one, other) for one in range(len(texts)) for other in range(one) if jaccard(texts[one], texts[other]) >= NEAR]
    assert near == []


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__.rsplit(".", 1)[-1])
@pytest.mark.parametrize("text", ["", "\n", "import os\n", "def x(): pass\n", "class A:\n    pass\n", "# TODO\n"])
def test_nothing_is_made_of_nothing(maker: ModuleType, text: str) -> None:
    assert [row for row in maker.make(material({"src/empty.py": text})) if isinstance(row, Made)] == []
