"""Names as the language of a definition writes them."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.reading.structure import spoken
from luthier.retrieval.records import Chunk


@pytest.mark.parametrize(
    ("language", "name"),
    [("rust", "ring::Ring::new"), ("cpp", "ring::Ring::new"), ("python", "ring.Ring.new"), ("java", "ring.Ring.new")],
)
def test_a_name_with_its_scope_is_joined_as_its_language_joins_it(language: str, name: str) -> None:
    assert spoken(Chunk("src/lib", language, "method", "new", "", (1, 2), scope="ring.Ring")) == name
