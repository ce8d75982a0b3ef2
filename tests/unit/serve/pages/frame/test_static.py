"""Style, script and icon: part of the package, kept by the browser under an address that changes with them."""

from __future__ import annotations

import re

from luthier.serve.pages.frame.static import address, assets
from serve_pages import pages_of

MOST_SCRIPT_LINES = 150


def test_a_file_is_kept_under_its_own_address_alone() -> None:
    browser = pages_of()
    kept = browser.get(address("pages.css"))
    assert kept.status_code == 200
    assert "immutable" in kept.headers["cache-control"]
    assert kept.headers["content-type"].startswith("text/css")
    assert browser.get("/ui/static/pages.css").headers["cache-control"] == "no-cache"
    assert browser.get("/ui/static/pages.css?v=old").headers["cache-control"] == "no-cache"


def test_nothing_else_is_given_out() -> None:
    browser = pages_of()
    for name in ("..%2Ftemplates%2Fruns.html", "runs.html", "%2e%2e/site.py", ""):
        assert browser.get(f"/ui/static/{name}").status_code in (303, 404)


def test_scripts_are_small_and_make_no_code_of_text() -> None:
    scripts = {name: asset.content.decode() for name, asset in assets().items() if name.endswith(".js")}
    assert scripts
    for name, text in scripts.items():
        assert len(text.splitlines()) <= MOST_SCRIPT_LINES, name
        assert not re.search(r"\beval\(|innerHTML|insertAdjacentHTML|document\.write|new Function|https?:", text), name


def test_styles_load_nothing() -> None:
    for name, asset in assets().items():
        if name.endswith(".css"):
            assert b"url(" not in asset.content, name
            assert b"@import" not in asset.content, name
