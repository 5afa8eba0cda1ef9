"""
The list of the parts (CycloneDX) that the pages are made of, from npm's lock file: `python -m tests.support.sbom FILE`.

npm's own command refuses a tree in which a development tool wishes for another version of another one.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from tests.support.sources import ROOT


def parts(lock: dict[str, Any]) -> list[dict[str, Any]]:
    """Give each package that is not for development alone."""
    found = {}
    for path, package in lock["packages"].items():
        if not path or package.get("dev") or package.get("link"):
            continue
        name = path.rpartition("node_modules/")[2]
        group, _, short = name.rpartition("/")
        purl_name = name.replace("@", "%40")
        algorithm, _, digest = package.get("integrity", "").partition("-")
        found[name, package["version"]] = {
            "type": "library",
            **({"group": group} if group else {}),
            "name": short,
            "version": package["version"],
            "purl": f"pkg:npm/{purl_name}@{package['version']}",
            **({"licenses": [{"expression": package["license"]}]} if "license" in package else {}),
            "hashes": [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}],
        }
    return [found[key] for key in sorted(found)]


def main(target: Path) -> None:
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": lock["name"]}},
        "components": parts(lock),
    }
    target.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
