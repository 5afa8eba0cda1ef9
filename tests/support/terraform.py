"""
Terraform for tests, and `make tf-apply`: the module `core` really applied, to a stand-in for AWS on this machine.

Terraform and the provider for AWS are not ours to install; where a folder with plugins is on this machine it is taken,
so that no registry is asked. LIGHTERAGE_TEST_TERRAFORM_PLUGINS names another one.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.sources import ROOT

MODULES = ROOT / "deploy" / "terraform"
_PLACES = ("/opt/*", "/usr/share/terraform/*", "/usr/local/share/terraform/*", "~/.terraform.d/*")
_PROVIDER = "*/hashicorp/aws"  # below a folder of plugins: host, then maker, then name

_MOCK_PROVIDER = """
provider "aws" {
  region                      = "eu-central-1"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_requesting_account_id  = false
}
"""


def program() -> str | None:
    return shutil.which("terraform")


def plugins() -> Path | None:
    """Give a folder of plugins that has the provider for AWS."""
    named = os.environ.get("LIGHTERAGE_TEST_TERRAFORM_PLUGINS")
    if named:
        return Path(named)
    for place in _PLACES:
        path = Path(place).expanduser()
        for folder in sorted(path.parent.glob(path.name)) if path.parent.is_dir() else ():
            if any(folder.glob(_PROVIDER)):
                return folder
    return None


class Workspace:
    """A copy of the modules in which Terraform may write."""

    def __init__(self, folder: Path, module: str) -> None:
        shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns(".terraform*"))
        self.path = folder / "deploy" / "terraform" / module
        config = folder / "terraform.rc"
        config.touch()
        self.environ = {**os.environ, "TF_CLI_CONFIG_FILE": str(config), "TF_IN_AUTOMATION": "1"}

    def init(self) -> None:
        folder = plugins()
        self.run("init", "-input=false", *([f"-plugin-dir={folder}"] if folder else []))

    def run(self, *arguments: str, **environ: str) -> str:
        """Run Terraform, and give what it said."""
        found = program()
        assert found is not None
        command = [found, arguments[0], *([] if arguments[0] == "fmt" else ["-no-color"]), *arguments[1:]]
        done = subprocess.run(
            command, cwd=self.path, env=self.environ | environ, capture_output=True, text=True, check=False
        )
        assert 0 == done.returncode, f"{' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


def apply() -> None:
    """Apply the module to moto, look at what it made, and take it away again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    moto = ROOT / ".tools" / "moto" / "bin" / "moto_server"
    aws = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [moto, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server,
    ):
        try:
            _wait_for(port)
            work = Workspace(Path(folder), "core")
            (work.path / "provider_override.tf").write_text(_MOCK_PROVIDER)
            main = (work.path / "main.tf").read_text()
            # A table that is protected could not be taken away again.
            main = main.replace("deletion_protection_enabled = true", "deletion_protection_enabled = false")
            # moto does not give this one back as it was set; the provider would wait for it in vain.
            main = re.sub(
                r'resource "aws_sqs_queue_redrive_allow_policy" .*?^}\n', "", main, flags=re.MULTILINE | re.DOTALL
            )
            (work.path / "main.tf").write_text(main)
            work.init()
            began = time.monotonic()
            work.run("apply", "-auto-approve", "-input=false", **aws)
            outputs = json.loads(work.run("output", "-json", **aws))
            made = work.run("state", "list", **aws).split()
            print(f"applied {len(made)} things in {time.monotonic() - began:.0f} s:", *made, sep="\n  ", flush=True)
            print({name: output["value"] for name, output in outputs.items()})
            again = work.run("plan", "-input=false", **aws)
            print("nothing to change" if "No changes" in again else again)
            work.run("destroy", "-auto-approve", "-input=false", **aws)
        finally:
            server.kill()  # there is nothing in it that would have to be kept


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("moto did not start")


if __name__ == "__main__":
    apply()
