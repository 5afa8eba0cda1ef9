"""GitHub's workflow is well-formed and hardened, and the list of parts (SBOM) is complete."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from tests.deploy.conftest import needed
from tests.support import actionlint
from tests.support.sources import ROOT, read

pytestmark = pytest.mark.slow

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_workflow_is_clean(lint_program):
    """actionlint and zizmor, the latter at its strictest, find nothing."""
    program = needed(
        actionlint.PROGRAM if actionlint.is_there() else None, "needs actionlint: install Go, then make test-tools"
    )
    for command in (
        [program, *map(str, WORKFLOWS)],
        [lint_program("zizmor"), "--quiet", "--offline", "--persona", "auditor", ".github"],
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_trusts_nobody(path):
    """No rights but to read, and no action of others."""
    workflow = yaml.safe_load(path.read_text())

    assert {} == workflow["permissions"]
    for job in workflow["jobs"].values():
        assert {"contents": "read"} == job["permissions"]
        assert [step["uses"] for step in job["steps"] if "uses" in step] == []
        assert job["timeout-minutes"] <= 90


def test_list_of_parts_is_complete(lint_program, tmp_path):
    """Each pinned package, with its hashes; and those of the pages that reach a browser."""
    lint_program("cyclonedx-py")
    make = shutil.which("make")
    assert make is not None
    done = subprocess.run([make, "-s", "sbom"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    python = json.loads((ROOT / "dist" / "sbom-python.json").read_text())
    web = json.loads((ROOT / "dist" / "sbom-web.json").read_text())

    pinned = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", read("requirements.txt"), re.MULTILINE))
    listed = {part["name"].lower(): part["version"] for part in python["components"]}
    assert pinned == {name: version for name, version in listed.items() if name in pinned}
    assert "lighterage" == python["metadata"]["component"]["name"]
    dependencies = json.loads(read("web/package.json"))["dependencies"]
    full_names = {
        f"{part['group']}/{part['name']}" if part.get("group") else part["name"] for part in web["components"]
    }
    assert dependencies.keys() <= full_names
