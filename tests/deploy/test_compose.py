"""docker-compose.yml, read as `docker compose` reads it; no engine is asked."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from lighterage.settings import load_settings
from tests.deploy.conftest import needed
from tests.support import compose_go
from tests.support.sources import ROOT

pytestmark = pytest.mark.slow

FILE = ROOT / "docker-compose.yml"
PROFILES = {
    "local": {"app"},
    "full": {"app", "web", "worker", "mongo", "s3", "queue", "resources"},
    "oidc": {"app", "oidc"},
}

Read = Callable[[str], dict[str, Any]]


def variables(profile: str) -> dict[str, str]:
    """Read the file of variables that goes with a profile, as `--env-file` does."""
    path = ROOT / "deploy" / "compose" / f"{profile}.env"
    if not path.exists():
        return {}
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def project() -> Read:
    program = needed(
        compose_go.PROGRAM if compose_go.is_there() else None, "needs compose-go: install Go, then make test-tools"
    )

    def read(profile: str) -> dict[str, Any]:
        environ = {"PATH": os.environ["PATH"], **variables(profile)}
        command = [program, str(FILE), profile]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
        assert 0 == done.returncode, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return read


@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_starts_what_it_says_R001_1_R001_2_R002_15_R002_16_R002_33(project, profile):
    """`local` is what comes without any."""
    read = project(profile)

    assert PROFILES[profile] == set(read["services"])
    assert variables(profile).get("COMPOSE_PROFILES", "local") == profile


def test_file_is_of_compose_R002_33(lint_program):
    """Against the specification's own schema."""
    command = [lint_program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE)]

    assert 0 == subprocess.run(command, check=False, capture_output=True).returncode


def test_ports_5000_and_8000_are_published_RC16(project):
    """The server listens on 8000."""
    ports = {(port.get("published"), port["target"]) for port in project("local")["services"]["app"]["ports"]}

    assert {("5000", 8000), ("8000", 8000)} <= ports
    assert project("oidc")["services"]["app"]["environment"]["LIGHTERAGE_PORT"] == "8000"


@pytest.mark.parametrize("profile", PROFILES)
def test_the_server_takes_its_settings_R003_16(project, profile):
    """Each profile's environment is one that it starts with."""
    given = project(profile)["services"]["app"]["environment"]

    settings = load_settings({name: value or "" for name, value in given.items()}, env_file=None)

    assert settings.debug is False
    assert (settings.mongo_url is not None, settings.s3_bucket is not None) == (profile == "full", profile == "full")
    assert (settings.oidc_issuer is not None) == (profile == "oidc")
    queue = project(profile)["configs"]["queues"]["content"]
    assert not settings.sqs_queues or f"{settings.sqs_queues.rpartition('/')[2]} {{" in queue
    assert bool(settings.sqs_queues) == (profile == "full")


def test_containers_may_do_nothing_that_they_need_not_R004_18(project):
    """Ours: no writing but into volumes, no capabilities, an end that waits for uploads."""
    services = project("full")["services"]
    for name in ("app", "worker", "web"):
        service = services[name]
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert services["app"]["stop_grace_period"] == "30s"


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_kept_is_in_a_named_volume_R002_27(project, profile):
    """`docker compose down` and `up` lose nothing."""
    read = project(profile)
    for name, service in read["services"].items():
        for volume in service.get("volumes") or ():
            assert (volume["type"], volume["source"] in read["volumes"]) == ("volume", True), name


def test_mongodb_is_a_replica_set(project):
    """Of one; the health check makes it one at the first start."""
    mongo = project("full")["services"]["mongo"]

    assert ["--replSet", "rs0"] == mongo["command"][:2]
    assert "rs.initiate" in " ".join(mongo["healthcheck"]["test"])
    assert "replicaSet=rs0" in variables("full")["LIGHTERAGE_MONGO_URL"]


def test_port_of_the_provider_is_one_address_for_all_R001_25(project):
    """Its issuer is the same for a browser and for the server, whose network it shares."""
    services = project("oidc")["services"]

    assert services["oidc"]["network_mode"] == "service:app"
    assert services["app"]["environment"]["LIGHTERAGE_OIDC_ISSUER"].startswith("http://localhost:8081/")
    assert ("8081", 8081) in {(port.get("published"), port["target"]) for port in services["app"]["ports"]}
    realm = json.loads((ROOT / "deploy" / "compose" / "realm.json").read_text())
    assert realm["realm"] == services["app"]["environment"]["LIGHTERAGE_OIDC_ISSUER"].rpartition("/")[2]
    audience = realm["clients"][0]["protocolMappers"][0]["config"]["included.custom.audience"]
    assert audience == services["app"]["environment"]["LIGHTERAGE_OIDC_AUDIENCE"]


def test_client_has_an_image_of_its_own_R002_14_R002_32(project):
    """The pages and a proxy, built from the same sources as the server's."""
    web = project("full")["services"]["web"]
    recipe = (ROOT / web["build"]["dockerfile"]).read_text()

    pages = [line.strip(" &\\") for line in (ROOT / "Dockerfile").read_text().splitlines() if "npm run" in line]
    assert pages
    assert pages == [line.strip(" &\\") for line in recipe.splitlines() if "npm run" in line]
    assert (ROOT / "deploy" / "nginx" / "lighterage.conf").is_file()
    assert ("8080", 8080) in {(port["published"], port["target"]) for port in web["ports"]}


def test_example_of_an_environment_can_be_taken_as_it_is_R004_8(tmp_path):
    """`cp .env-example .env`; and with every line of settings switched on it is still one that the server takes."""
    text = (ROOT / ".env-example").read_text()
    (tmp_path / "as-it-is").write_text(text)
    assert load_settings({}, env_file=tmp_path / "as-it-is").data_dir

    filled = re.sub(r"^# ([A-Z][A-Z0-9_]*)=$", r"\1=filled", text, flags=re.MULTILINE)
    filled = re.sub(r"^# ([A-Z][A-Z0-9_]*=)", r"\1", filled, flags=re.MULTILINE)
    (tmp_path / "all-of-it").write_text(filled.replace("S3_ENDPOINT=filled", "S3_ENDPOINT=http://127.0.0.1:7070"))
    settings = load_settings({}, env_file=tmp_path / "all-of-it")
    assert settings.s3_bucket == "filled"
    assert settings.metrics_token is not None


def test_one_image_goes_everywhere_RC25(project):
    """Compose, Kubernetes and AWS run the same image; each has its folder."""
    assert {"lighterage"} == {project("full")["services"][name]["image"] for name in ("app", "worker", "resources")}
    folders = ("compose", "helm/lighterage", "terraform/core", "terraform/eks", "terraform/ec2", "terraform/serverless")
    assert [folder for folder in folders if not (ROOT / "deploy" / folder).is_dir()] == []
