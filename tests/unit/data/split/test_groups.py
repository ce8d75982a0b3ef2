"""Components as keys of a kind of edge."""

from __future__ import annotations

import numpy as np

from luthier.data.split.groups import near_keys


def test_near_components_become_keys() -> None:
    assert near_keys(np.array([0, 1, 0, 3])).tolist() == [1, 0, 1, 0]
