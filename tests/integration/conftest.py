from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from serving import PATIENCE_SECONDS, UNHURRIED, Server, serving

SHOP = {
    "cart.py": 'class Cart:\n    def emptied(self):\n        """The cart without its goods."""\n        return Cart()\n',
    "till.py": "def paid(cart):\n    token = 'ghp_Zq3vN8xKc2LmR7tYb5WdHj9sPf4gUa1eT0Bo'\n    return send(cart, token)\n",
}


@pytest.fixture(scope="session")
def shop_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the base model alone that has taken in `SHOP`; who asks it leaves it as it was."""
    folder = tmp_path_factory.mktemp("serve")
    (folder / "shop").mkdir()
    for name, text in SHOP.items():
        (folder / "shop" / name).write_text(text)
    with serving(folder, *UNHURRIED, "--set", "serve.limits.queue=40") as found:
        job = found.ask("/ingest", {"folder": str(folder / "shop")}).json()["id"]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (told := found.ask(f"/ingest/status/{job}").json())["status"] in ("queued", "running"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert told["status"] == "done", told
        yield found
