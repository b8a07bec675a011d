"""The files of `deploy/` fit the command line, the pipelines and the schemas of the programs that read them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ssa_stream.nodes.pipeline import PipelineConfig, load_pipeline
from ssa_stream.nodes.pipeline.sections import HealthSection
from tests.support.checkout import ROOT
from tests.support.command_line import CONSOLE_SCRIPT
from tests.support.components import require
from tests.support.deployment import DEPLOY, alert_rules, command_lines, kubernetes_objects, parse, with_gpu

UNIT = DEPLOY / "systemd/ssa-stream@.service"
PLAIN = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
STARTS = [
    DEPLOY / "Dockerfile",
    DEPLOY / "compose.yaml",
    DEPLOY / "kubernetes/graph.yaml",
    UNIT,
    ROOT / "docs/deploying.md",
]


def _run(*command: str | Path, cwd: Path = DEPLOY) -> str:
    """What a program prints; it has to end with 0."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _promtool(*arguments: str) -> str:
    require("promtool (Prometheus)", shutil.which("promtool") is not None, "apt-get install prometheus")
    return _run("promtool", *arguments, cwd=DEPLOY / "monitoring")


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_command_line_in_a_file_is_one_that_ssa_stream_reads(path: Path) -> None:
    """No option that is misspelt, or was renamed or removed since."""
    for line in command_lines(path):
        parse(line)


@pytest.mark.parametrize("path", STARTS, ids=lambda path: path.name)
def test_command_lines_are_found_where_there_are_some(path: Path) -> None:
    """The test above, and that of the document, have something to read."""
    lines = list(command_lines(path))
    assert lines
    for line in lines:
        parse(line)


@pytest.mark.parametrize("line", [["up", "x", "--nosuch"], ["up", "x", "--log-format", "xml"], ["nosuch"]], ids=str)
def test_command_line_that_is_wrong_is_noticed(line: list[str]) -> None:
    """The parser bites."""
    with pytest.raises(Exception, match=r"No such|not one of"):
        parse(line)


def _pipeline_of_kubernetes(folder: Path) -> PipelineConfig:
    (text,) = (one["data"]["pipeline.yaml"] for one in kubernetes_objects() if one["kind"] == "ConfigMap")
    path = folder / "pipeline.yaml"
    path.write_text(text, encoding="utf-8")
    return load_pipeline(str(path))


def test_pipelines_load(tmp_path: Path) -> None:
    """That of the compose file, whose stream the command line changes, and that in the ConfigMap."""
    assert set(load_pipeline(str(DEPLOY / "pipelines/pipeline.yaml")).streams) == {"camera"}
    assert set(_pipeline_of_kubernetes(tmp_path).streams) == {"camera"}


def test_dockerfile_has_nothing_that_hadolint_complains_of() -> None:
    """The linter comes as a wheel."""
    _run(Path(sys.executable).with_name("hadolint"), DEPLOY / "Dockerfile")


def test_dockerfile_copies_only_what_is_there_and_not_ignored() -> None:
    """The ignore file lets everything through that is copied, and no more."""
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    names = {name for line in copied for name in line.split()} - {"ssa_stream/__init__.py"}
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    assert names == set(re.findall(r"^!(.+)$", ignored, re.MULTILINE))
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_requirements_of_the_image_are_those_of_the_extra() -> None:
    """Extras that name extras are followed; base dependencies are in."""
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    (extras,) = re.findall(r'^ARG EXTRAS="(.+)"$', dockerfile, re.MULTILINE)
    printed = _run(sys.executable, ROOT / "tools/print_requirements.py", *extras.split()).split()
    assert {"torch>=2.7", "aiortc>=1.13", "pyzmq>=27.0", "numba>=0.62"} <= set(printed)
    assert not [name for name in printed if name.startswith(("ssa_stream", "lightning"))]


def test_health_checks_ask_where_the_graph_answers() -> None:
    """Docker's check, of the image and so of the compose file, asks the address of --health."""
    check = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").partition("HEALTHCHECK")[2]
    (address,) = re.findall(r"http://([\d.:]+)/livez", check)
    for name in ("Dockerfile", "compose.yaml"):
        assert [line for line in command_lines(DEPLOY / name) if address in line or f"--health={address}" in line], name
    config = yaml.safe_load((DEPLOY / "monitoring/prometheus.yaml").read_text(encoding="utf-8"))
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == [address]


def test_compose_file_mounts_what_is_there() -> None:
    """Files and folders beside it that it mounts, volumes and configs that it declares."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"], volume
        assert {config["source"] for config in service.get("configs", ())} <= set(compose["configs"])
    assert (DEPLOY / compose["services"]["graph"]["build"]["context"] / "deploy/Dockerfile").is_file()


def test_systemd_unit_is_valid_and_locked_up(tmp_path: Path) -> None:
    """As systemd reads it; its own measure of what a service can reach, 0 (nothing) to 100, is low."""
    require("systemd-analyze", shutil.which("systemd-analyze") is not None, "apt-get install systemd")
    unit = tmp_path / "ssa-stream@.service"
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/ssa_stream/bin/ssa-stream", str(CONSOLE_SCRIPT)), encoding="utf-8")
    assert _run("systemd-analyze", "verify", "--man=no", unit) == ""
    _run("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=25", unit)


def _seconds(key: str) -> float:
    (value,) = re.findall(rf"^{key}=(\d+)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    return float(value)


def test_others_wait_longer_than_the_graph_takes() -> None:
    """For its start and its end, systemd, Docker and Kubernetes."""
    health = HealthSection()
    assert _seconds("TimeoutStartSec") > health.start_timeout_s
    assert _seconds("WatchdogSec") > health.hang_timeout_s
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["graph"]
    pod = _stateful_set(kubernetes_objects())["spec"]["template"]["spec"]
    ends = [_seconds("TimeoutStopSec"), float(compose["stop_grace_period"].removesuffix("s"))]
    assert min(*ends, pod["terminationGracePeriodSeconds"]) > 5 * health.stop_timeout_s
    startup = pod["containers"][0]["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] > health.start_timeout_s


def _stateful_set(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (one for one in objects if one["kind"] == "StatefulSet")
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the validator's own imports
@pytest.mark.parametrize("objects", [kubernetes_objects(), with_gpu()], ids=["plain", "gpu"])
def test_kubernetes_objects_have_their_schemas(objects: list[dict[str, Any]]) -> None:
    """No field that Kubernetes does not know."""
    for one in objects:
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)


def test_variant_for_a_gpu_asks_for_one() -> None:
    """The patches do what they are for."""
    container = _stateful_set(with_gpu())["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "--device=cuda" in container["args"]


def test_kubernetes_objects_fit_each_other(tmp_path: Path) -> None:
    """Volumes are mounted, ports named, files of the command line mounted: what no schema knows."""
    objects = kubernetes_objects()
    stateful_set = _stateful_set(objects)
    pod = stateful_set["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    claims = {claim["metadata"]["name"] for claim in stateful_set["spec"]["volumeClaimTemplates"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == claims | {one["name"] for one in pod["volumes"]}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    (service,) = (one for one in objects if one["kind"] == "Service")
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    assert service["spec"]["selector"].items() <= stateful_set["spec"]["template"]["metadata"]["labels"].items()
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    assert {(probe["port"], probe["scheme"]) for probe in probes} == {("https", "HTTPS")}
    public = _pipeline_of_kubernetes(tmp_path).public
    assert public.keys is not None
    named = [public.keys, *(word.partition("=")[2] for word in container["args"] if "/" in word)]
    mounted = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert [path for path in named if path and not path.startswith(tuple(mounted))] == []
    listened = {public.publish.rpartition(":")[2], public.requests.rpartition(":")[2]}
    assert listened | {"8080"} == {str(port) for port in ports.values()}


def test_keys_are_read_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    """A secret is a folder of links, readable for a group, which nobody may write."""
    made = tmp_path / "keys"
    _run(CONSOLE_SCRIPT, "keys", "init", made, "--client", "robot", cwd=tmp_path)
    (secret,) = (
        volume["secret"]
        for volume in _stateful_set(kubernetes_objects())["spec"]["template"]["spec"]["volumes"]
        if volume["name"] == "keys"
    )
    mount, data = tmp_path / "mount", tmp_path / "mount/..2026"
    for item in secret["items"]:
        (data / item["path"]).parent.mkdir(parents=True, exist_ok=True)
        source = made / ("allowed" if item["path"].startswith("allowed/") else "") / item["key"]
        (data / item["path"]).write_bytes(source.read_bytes())
        (data / item["path"]).chmod(secret["defaultMode"])
    (mount / "..data").symlink_to("..2026")
    for first in {item["path"].partition("/")[0] for item in secret["items"]}:
        os.symlink(Path("..data", first), mount / first)
    assert "robot" in _run(CONSOLE_SCRIPT, "keys", "list", mount, cwd=tmp_path)


def test_prometheus_takes_its_configuration() -> None:
    """With the rules that it names."""
    assert "15 rules found" in _promtool("check", "config", "prometheus.yaml")


@pytest.mark.slow
def test_alerts_say_what_is_wrong_and_nothing_of_a_graph_that_is_well() -> None:
    """Made-up days, in alerts.test.yaml."""
    _promtool("test", "rules", "alerts.test.yaml")


def test_every_alert_has_made_up_days_and_a_row_in_the_document() -> None:
    """None without a test, and none whose threshold is not explained."""
    days = (DEPLOY / "monitoring/alerts.test.yaml").read_text(encoding="utf-8")
    document = (ROOT / "docs/deploying.md").read_text(encoding="utf-8")
    names = [rule["alert"] for rule in alert_rules()]
    assert len(names) == len(set(names)) == 15
    assert [name for name in names if name not in days] == []
    assert [name for name in names if f"| `{name}` |" not in document] == []
