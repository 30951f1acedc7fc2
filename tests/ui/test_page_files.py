"""The files of the page, read as text: what they must not have, and that all of them are loaded at once."""

import re
from pathlib import Path

import pytest

from tests.ui.fake_sidecar import STATIC

SCRIPTS = sorted(STATIC.glob("*.js"))
ALL = sorted(path for path in STATIC.iterdir() if path.is_file())
LINES_MAX = 400
FORBIDDEN = {
    "innerHTML": "text of others would become HTML",
    "outerHTML": "text of others would become HTML",
    "insertAdjacentHTML": "text of others would become HTML",
    "DOMParser": "text of others would become HTML",
    "document.write": "text of others would become HTML",
    "srcdoc": "text of others would become HTML",
    "eval(": "the policy of the page forbids it",
    "new Function": "the policy of the page forbids it",
    "localStorage": "a token would outlive the tab",
    ".cookie": "a token goes into a header alone",
}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_html_of_text(path: Path) -> None:
    text = path.read_text()
    assert [f"{word}: {why}" for word, why in FORBIDDEN.items() if word in text] == []


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_no_file_of_the_page_names_another_site(path: Path) -> None:
    addresses = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s\"']*", path.read_text())
    assert [one for one in addresses if not one.endswith("www.w3.org/2000/svg")] == []


def test_the_document_has_no_code_or_style_of_its_own() -> None:
    text = (STATIC / "index.html").read_text()
    assert re.findall(r"<style|style=|\son[a-z]+=|<script(?![^>]*\bsrc=)", text) == []


def test_no_script_sets_a_style_attribute() -> None:
    """`style-src 'self'` forbids them; position and size go through the object model."""
    assert [path.name for path in SCRIPTS if re.search(r"\bstyle: |[\"']style[\"']|cssText", path.read_text())] == []


def test_every_module_is_loaded_with_the_document() -> None:
    """Else each import would wait for the module that names it."""
    loaded = set(re.findall(r'(?:href|src)="static/([\w.]+\.js)"', (STATIC / "index.html").read_text()))
    assert loaded == {path.name for path in SCRIPTS}


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_a_file_of_the_page_stays_readable(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= LINES_MAX
    assert path.suffix != ".js" or lines[0].startswith("// "), "it begins with what it is for"


PICTURES = sorted((STATIC.parents[3] / "docs/pictures").glob("page-*.webp"))


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_of_the_page_is_small_and_shown_in_the_manual(path: Path) -> None:
    assert path.stat().st_size < 150 * 1024
    assert f"pictures/{path.name}" in (path.parents[1] / "page.md").read_text()


def test_each_picture_that_the_manual_shows_is_there() -> None:
    shown = re.findall(r"pictures/([\w-]+\.webp)", (STATIC.parents[3] / "docs/page.md").read_text())
    assert sorted(shown) == [path.name for path in PICTURES]
