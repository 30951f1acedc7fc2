"""The manual: every page is installed, has a title, and links only to pages that there are."""

import json
import re
from pathlib import Path

import pytest

from gossipreg.cli.docs import docs_files, title, topics
from tests.cli.conftest import Command

PAGES = topics()
PACKAGE = Path(__file__).parents[2] / "gossipreg"


def test_docs_lists_every_page_with_its_title(command: Command) -> None:
    ended = command("docs")
    assert ended.code == 0
    lines = ended.out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == sorted(PAGES)
    assert all(title(PAGES[line.split()[0]]) in line for line in lines)


@pytest.mark.parametrize("topic", PAGES)
def test_docs_prints_a_page_whole(topic: str, command: Command) -> None:
    text = (PACKAGE / "docs" / f"{topic}.md").read_text()
    assert command("docs", topic).out == text.rstrip("\n") + "\n"
    assert command("docs", f"{topic}.md").out == command("docs", topic).out
    assert json.loads(command("docs", topic, "--json").out)["text"] == text


@pytest.mark.parametrize("topic", PAGES)
def test_a_page_begins_with_its_title(topic: str) -> None:
    assert re.match(r"# \S", PAGES[topic].read_text())


@pytest.mark.parametrize("topic", PAGES)
def test_the_readme_lists_every_page(topic: str) -> None:
    assert f"[{topic}](gossipreg/docs/{topic}.md)" in (PACKAGE.parent / "README.md").read_text()


@pytest.mark.parametrize("topic", PAGES)
def test_a_page_links_only_to_pages_that_there_are(topic: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", PAGES[topic].read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (PACKAGE / "docs" / link).exists()] == []


@pytest.mark.parametrize("name", docs_files())
def test_docs_prints_a_file_whole_and_a_page_names_it(name: str, command: Command) -> None:
    text = (PACKAGE / "docs" / name).read_text()
    assert command("docs", name).out == text.rstrip("\n") + "\n"
    assert json.loads(command("docs", name, "--json").out)["text"] == text
    assert any(f"gossipreg docs {name}" in page.read_text() for page in PAGES.values())


def test_an_unknown_page_is_wrong_usage_and_names_the_known_ones(command: Command) -> None:
    ended = command("docs", "nothing")
    assert ended.code == 2
    assert "maintenance" in ended.err
