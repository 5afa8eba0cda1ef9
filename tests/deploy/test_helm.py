"""The Helm chart: it lints, and renders to valid objects that hold what is promised. No cluster is asked."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.helm import CHART, KUBERNETES

pytestmark = pytest.mark.slow

VALUES = sorted(CHART.glob("ci/*-values.yaml"))
OPERATORS_KINDS = {"ServiceMonitor", "PrometheusRule"}  # of the Prometheus operator; Kubernetes has no schema of them

Render = Callable[..., list[dict[str, Any]]]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def render(helm_program: str) -> Render:
    """Render the chart with a file of values, or with nothing but `--set`s."""
    rendered: dict[tuple[str, ...], list[dict[str, Any]]] = {}

    def objects(*arguments: str) -> list[dict[str, Any]]:
        if arguments not in rendered:
            done = run(helm_program, "template", "files", CHART, "--kube-version", KUBERNETES, *arguments)
            assert 0 == done.returncode, done.stderr
            rendered[arguments] = [found for found in yaml.safe_load_all(done.stdout) if found]
        return rendered[arguments]

    return objects


def of(values: str) -> tuple[str, str]:
    return "--values", str(CHART / "ci" / f"{values}-values.yaml")


def only(objects: list[dict[str, Any]], kind: str, **labels: str) -> dict[str, Any]:
    """Give the one object of a kind, or of a component."""
    found = [
        each
        for each in objects
        if each["kind"] == kind
        and all(each["metadata"]["labels"].get(f"app.kubernetes.io/{key}") == value for key, value in labels.items())
    ]
    assert 1 == len(found), [each["metadata"]["name"] for each in found]
    return found[0]


def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_chart_lints_R004_23(helm_program, values):
    """Strictly, and its values against their schema."""
    done = run(helm_program, "lint", "--strict", "--kube-version", KUBERNETES, "--values", values, CHART)

    assert 0 == done.returncode, done.stdout


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_what_it_renders_is_kubernetes_R004_23(render, lint_program, tmp_path, values):
    """Every object against the schema of its kind, unknown fields refused."""
    objects = [each for each in render("--values", str(values)) if each["kind"] not in OPERATORS_KINDS]
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump_all(objects))

    done = run(lint_program("kubernetes-validate"), "--strict", "-k", KUBERNETES, tmp_path / "objects.yaml")

    assert len(objects) >= 5
    assert 0 == done.returncode, done.stdout + done.stderr


def test_values_that_cannot_be_are_refused(helm_program):
    """With a word that helps, and before anything is installed."""
    cases = {
        "a volume belongs to one": ("replicaCount=2",),
        "cannot reach a server's volume": ("worker.enabled=true",),
        "replicas": ("replicas=2",),
        "cpuPercent": ("autoscaling.cpuPercent=700",),
        "s3.secretAccessKey belongs to": ("s3.accessKeyId=x",),
    }
    for said, sets in cases.items():
        options = [part for each in sets for part in ("--set", each)]
        done = run(helm_program, "template", "files", CHART, "--kube-version", KUBERNETES, *options)
        assert 0 != done.returncode, sets
        assert said in done.stderr


def test_templates_hold_deployment_configuration_and_scaling_R004_24(render):
    """Deployment, ConfigMap, Secret, HPA, Service, Ingress."""
    kinds = {each["kind"] for each in render(*of("scale-out"))}

    assert {
        *("Deployment", "ConfigMap", "Secret", "HorizontalPodAutoscaler", "Service", "Ingress"),
        *("PodDisruptionBudget", "NetworkPolicy", "ServiceAccount", "ServiceMonitor", "PrometheusRule", "Job", "Pod"),
    } == kinds


def test_autoscaling_by_cpu_and_uploads_in_flight_R004_25(render):
    """And the Deployment then leaves the number of replicas alone."""
    objects = render(*of("scale-out"))
    scaler = only(objects, "HorizontalPodAutoscaler")["spec"]

    names = [next(iter(metric.get(metric["type"].lower(), {}).items())) for metric in scaler["metrics"]]
    assert [("name", "cpu"), ("metric", {"name": "lighterage_uploads_in_flight"})] == names
    assert scaler["scaleTargetRef"]["name"] == only(objects, "Deployment", component="server")["metadata"]["name"]
    assert "replicas" not in only(objects, "Deployment", component="server")["spec"]


def test_probes_have_paths_of_their_own_R004_26(render):
    """A pod that fails its liveness for a store that is away would take its uploads along."""
    (server,) = pod(only(render(*of("one-server")), "Deployment", component="server"))["containers"]

    paths = {name: server[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert {"startup": "/startupz", "liveness": "/healthz", "readiness": "/readyz"} == paths


@pytest.mark.parametrize("component", ["server", "worker"])
def test_pods_are_reliable_and_may_nothing_R004_27_R004_18(render, component):
    """Spread, resources, graceful end, IRSA; no root, no writing but into volumes, no token of Kubernetes."""
    objects = render(*of("scale-out"))
    deployment = only(objects, "Deployment", component=component)
    spec = pod(deployment)
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["automountServiceAccountToken"] is False
    assert spec["terminationGracePeriodSeconds"] >= 30
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    account = only(objects, "ServiceAccount")
    assert account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].endswith(":role/lighterage")
    assert spec["serviceAccountName"] == account["metadata"]["name"]


def test_servers_roll_and_are_spread_R004_27(render):
    """Never fewer than before while a new version comes; over zones and nodes; one at a time away on purpose."""
    objects = render(*of("scale-out"))
    deployment = only(objects, "Deployment", component="server")

    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    keys = [each["topologyKey"] for each in pod(deployment)["topologySpreadConstraints"]]
    assert ["topology.kubernetes.io/zone", "kubernetes.io/hostname"] == keys
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    policy = only(objects, "NetworkPolicy")["spec"]
    assert {"Ingress", "Egress"} == set(policy["policyTypes"])
    selected = only(objects, "Service")["spec"]["selector"].items()
    assert selected <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_one_server_keeps_its_volume(render):
    """Two servers never write to one volume, and a release that is removed removes no file."""
    objects = render(*of("one-server"))
    claim = only(objects, "PersistentVolumeClaim")

    deployment = only(objects, "Deployment")
    assert deployment["spec"]["strategy"]["type"] == "Recreate"
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    volumes = {volume["name"]: volume for volume in pod(deployment)["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_ingress_lets_bodies_of_any_size_through_as_they_come(render):
    """A proxy that collects a body first would take a broken upload for none at all."""
    annotations = only(render(*of("one-server")), "Ingress")["metadata"]["annotations"]

    prefix = "nginx.ingress.kubernetes.io/proxy-"
    assert "0" == annotations[f"{prefix}body-size"]
    assert "off" == annotations[f"{prefix}request-buffering"]
    assert int(annotations[f"{prefix}read-timeout"]) >= 3600


def test_settings_that_it_sets_are_there(render):
    """The environment it makes is one that the server takes."""
    from lighterage.settings import load_settings

    for values in ("one-server", "scale-out", "other-s3"):
        objects = render(*of(values))
        environment = dict(only(objects, "ConfigMap")["data"])
        for secret in [each for each in objects if each["kind"] == "Secret"]:
            environment |= {name: "mongodb://x" if "MONGO" in name else "x" * 24 for name in secret["data"]}

        settings = load_settings(environment, env_file=None)

        assert (settings.host, settings.port, str(settings.data_dir)) == ("0.0.0.0", 8000, "/data")


def test_jobs_are_the_workers_where_there_are_some(render):
    """Then the servers have their cores for uploads."""
    assert "0" == only(render(*of("scale-out")), "ConfigMap")["data"]["LIGHTERAGE_WORKER_JOBS"]
    assert "LIGHTERAGE_WORKER_JOBS" not in only(render(*of("one-server")), "ConfigMap")["data"]


def test_secrets_stand_in_the_secret_only(render):
    """Whoever may read a ConfigMap may not log in."""
    objects = render("--set", "admin.password=very-secret", "--set", "mongo.url=mongodb://u:very-secret@h/")

    holders = {each["kind"] for each in objects if "very-secret" in yaml.safe_dump(each)}
    assert holders == set()  # and in the Secret as base64
    assert "LIGHTERAGE_MONGO_URL" in only(objects, "Secret")["data"]
