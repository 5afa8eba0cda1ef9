"""Terraform's modules: well-formed, valid against the provider's schema, and planning what they promise. No account."""

import subprocess

import pytest

from tests.support import terraform
from tests.support.sources import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        terraform.program() is None or terraform.plugins() is None,
        reason="needs terraform 1.7, and a folder with the provider for AWS: LIGHTERAGE_TEST_TERRAFORM_PLUGINS",
    ),
]

RUNS = {"core": 7, "eks": 4, "ec2": 5, "serverless": 2}


@pytest.fixture(scope="module", params=RUNS)
def workspace(request, tmp_path_factory):
    """A module, with its provider."""
    made = terraform.Workspace(tmp_path_factory.mktemp(request.param), request.param)
    made.init()
    return request.param, made


@pytest.mark.timeout(300)
def test_module_plans_what_it_promises_R004_19_R004_20_R004_21_R004_22_R003_9_R003_10(workspace):
    """
    `terraform validate`, and `terraform test` with a provider that is not there.

    Also R001_31 (CloudFront), R001_32 and RC26 (API Gateway and its limits), R001_37 (no machines of one's own),
    R004_14 (a private, encrypted bucket).
    """
    module, work = workspace
    work.run("fmt", "-check", "-recursive")
    work.run("validate")

    said = work.run("test")

    assert f"Success! {RUNS[module]} passed, 0 failed." in said


def test_script_that_prepares_a_host_is_clean_R003_11(lint_program):
    """shellcheck finds nothing in it."""
    command = [
        lint_program("shellcheck"),
        "--enable",
        "all",
        "--exclude",
        "SC2250,SC2310,SC2312,SC2292",
        "user-data.sh",
    ]

    done = subprocess.run(command, cwd=ROOT / "deploy" / "ec2", capture_output=True, text=True, check=False)

    assert "" == done.stdout
