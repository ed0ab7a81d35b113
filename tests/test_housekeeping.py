"""What outsiders see of the project, beside its code."""

from pathlib import Path

import pytest
import yaml

import rwejax

ROOT = Path(__file__).parents[1]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"))


def test_the_workflow_runs_what_a_change_must_pass_on_the_oldest_python_and_a_newer_one():
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["run"]
    assert job["steps"][-1] == {"run": "bash .ci/run"}
    oldest, newest = job["strategy"]["matrix"]["python"]
    assert f'requires-python = ">={oldest}"' in (ROOT / "pyproject.toml").read_text()
    assert tuple(map(int, oldest.split("."))) < tuple(map(int, newest.split(".")))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_asks_each_question_once(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    names = [question["id"] for question in form["body"]]
    assert len(names) == len(set(names)) > 1
    assert all({"label"} <= set(question["attributes"]) for question in form["body"])
    assert any(question.get("validations", {}).get("required") for question in form["body"])


def test_there_are_issue_forms_and_no_blank_issue():
    assert len(FORMS) == 2
    settings = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml").read_text())
    assert settings == {"blank_issues_enabled": False}


def test_changelog_and_citation_know_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert changelog.index("## [Unreleased]") < changelog.index(f"## [{rwejax.__version__}] - 20")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == rwejax.__version__
    readme = (ROOT / "README.md").read_text()
    assert all(reference["url"] in readme for reference in citation["references"])
