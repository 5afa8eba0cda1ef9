"""Dashboard and alert rules name metrics that the server tells, and pages that are there."""

import json
import re

import pytest
import yaml

from lighterage.metrics import FACES, TOLD
from tests.support.sources import read

DASHBOARD = json.loads(read("deploy/monitoring/dashboard.json"))
RULES = [rule for group in yaml.safe_load(read("deploy/monitoring/alerts.yml"))["groups"] for rule in group["rules"]]
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
EXPRESSIONS += [rule["expr"] for rule in RULES]


def names_told() -> set[str]:
    """Give every name of a sample; of a histogram there are three."""
    plain = {metric.name for metric in TOLD if metric.kind != "histogram"}
    parts = {
        f"{metric.name}_{part}" for metric in TOLD if metric.kind == "histogram" for part in ("bucket", "sum", "count")
    }
    return plain | parts


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expression_names_what_is_told(expression):
    """A slip of the pen would draw an empty panel, or an alert that never comes."""
    names = re.findall(r"\blighterage_\w+", expression)
    labels = {label for metric in TOLD for label in metric.labels} | {"job", "instance", "le"}

    assert names
    assert set(names) - names_told() == set()
    assert set(re.findall(r"[{,]\s*(\w+)[=!]", expression)) - labels == set()
    assert set(re.findall(r'face!?="(\w+)"', expression)) - set(FACES) == set()
    assert expression.count("(") == expression.count(")")


def test_everything_told_is_shown():
    """What nobody looks at need not be counted."""
    shown = " ".join(EXPRESSIONS)
    assert [metric.name for metric in TOLD if metric.name not in shown] == []


def headings() -> set[str]:
    titles = re.findall(r"^#+ (.+)$", read("docs/operations.md"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alert_says_what_to_do(rule):
    """Whoever is woken by it finds the page open."""
    page, _, anchor = rule["annotations"]["runbook"].partition("#")

    assert "docs/operations.md" == page
    assert anchor in headings()
    assert rule["labels"]["severity"] in {"critical", "warning"}
