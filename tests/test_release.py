"""Versions of the project and of its physics agree wherever they stand."""

import re

import pytest
from conftest import PROJECT

from utils.records.setting_json import PHYSICS

PAGES = [*PROJECT.glob("*.md"), *PROJECT.glob("[!.]*/*.md")]


def matches(pattern: str, name: str) -> list[str]:
    return re.findall(pattern, (PROJECT / name).read_text(), re.MULTILINE)


def test_files_agree_on_the_version():
    (version,) = matches(r'^version = "(.+)"$', "pyproject.toml")
    assert matches(r"^version: (.+)$", "CITATION.cff") == [version]
    assert matches(r"^## (\d+\.\d+\.\d+)$", "CHANGELOG.md")[0] == version


def test_the_changelog_has_every_version_of_the_physics():
    rows = matches(r"^\| (\d+) \|", "CHANGELOG.md")
    assert [int(row) for row in rows] == list(range(1, PHYSICS + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)", page.read_text())
    assert [link for link in links if link and not (page.parent / link).exists()] == []


def test_the_table_of_promises_names_files_that_exist():
    named = re.findall(r"`(test_\w+\.py)`", (PROJECT / "tests" / "README.md").read_text())
    assert set(named) <= {path.name for path in (PROJECT / "tests").glob("test_*.py")}
