"""
Every sentence of the two specifications that says MUST, SHOULD, MAY or the like, and what proves it of us.

`rules-tus1.tsv` is of tus 1.0.0 (protocol.md of 2025-06), `rules-rufh.tsv` of the IETF draft (source of 2026-07), and
`rules-peers.tsv` holds what users of tusd and tus-node-server are used to, after their tests and documents. A proof is
a case of the protocol's test, `group: name`, or a test, `path::name`. A rule for clients has none; a rule that we break
says how, and docs/reference/protocols.md tells it.
"""

import csv
import re
from collections.abc import Iterator

import pytest

from tests.protocol import test_rufh, test_tus1
from tests.support.sources import ROOT, read

TABLES = {
    "tus1": test_tus1.GROUPS,
    "rufh": test_rufh.GROUPS,
    "peers": {**test_rufh.GROUPS, **test_tus1.GROUPS},
}
CLIENT, DIFFERS = "client only", "differs: "
KEYWORD = re.compile(r"\b(MUST|SHOULD|SHALL|MAY|RECOMMENDED)\b")


def rules(name: str) -> list[dict[str, str]]:
    with (ROOT / f"tests/protocol/rules-{name}.tsv").open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))


def proofs(name: str) -> Iterator[tuple[str, str]]:
    """Yield each rule with each of its proofs."""
    for rule in rules(name):
        for proof in rule["proof"].split("; "):
            yield rule["rule"], proof


def is_there(proof: str, groups: dict[str, dict[str, object]]) -> bool:
    path, marks, test = proof.partition("::")
    if marks:
        return re.search(rf"^(async )?def {test}\(", read(path), re.MULTILINE) is not None
    group, _, case = proof.partition(": ")
    return case in groups.get(group, {})


@pytest.mark.parametrize("name", TABLES)
def test_every_rule_has_a_proof_that_is_there(name):
    """A test that was renamed takes its name along."""
    missing = [
        (rule, proof)
        for rule, proof in proofs(name)
        if proof != CLIENT and not proof.startswith(DIFFERS) and not is_there(proof, TABLES[name])
    ]

    assert missing == []


@pytest.mark.parametrize("name", ["tus1", "rufh"])
def test_rules_that_are_ours_are_not_passed_over(name):
    """What says "the Server MUST" cannot be the client's alone."""
    passed = [
        rule
        for rule, proof in proofs(name)
        if proof == CLIENT and re.search(r"[Ss]ervers? (MUST|SHOULD|SHALL)", rule) and "lient" not in rule
    ]

    assert passed == []
    assert [rule["rule"] for rule in rules(name) if not KEYWORD.search(rule["rule"])] == []


@pytest.mark.parametrize("name", TABLES)
def test_what_differs_is_told(name):
    """Who relies on a rule that we break finds it in the reference."""
    page = " ".join(read("docs/reference/protocols.md").split())
    told = [proof.removeprefix(DIFFERS) for _, proof in proofs(name) if proof.startswith(DIFFERS)]

    assert [text for text in told if text not in page] == []


def test_few_musts_are_broken():
    """By name, so that none can slip in."""
    broken = [rule for name in ("tus1", "rufh") for rule, proof in proofs(name) if proof.startswith(DIFFERS)]

    assert [rule[:50] for rule in broken if "MUST" in rule] == [
        "If the server loses any part of the state, it MUST",
        "If the length is known, the server MUST prevent th",
    ]
