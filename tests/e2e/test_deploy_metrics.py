"""A real Prometheus reads a real graph, with the configuration, alerts and dashboard of `deploy/`."""

import json
import re
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_line import CONSOLE_SCRIPT, running, write_tiny_config
from tests.support.components import require
from tests.support.deployment import DEPLOY, alert_rules, dashboard_queries
from tests.support.http_server import HttpRequest, http_server
from tests.support.multipart_camera import multipart_camera
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_PIPELINE = """
name: site
model: {{name: {model}, random_weights: true}}
public: {{publish: "tcp://127.0.0.1:*", requests: "tcp://127.0.0.1:*"}}
streams:
  yard: {{source: "{url}/yard", live: true, prompts: [the red circle]}}
  gate: {{source: "{url}/gate", live: true, prompts: [the blue square]}}
"""
_NAME = re.compile(r"\bssa_stream_\w+")
_ALERT_LABEL = re.compile(r"\$labels\.(\w+)")


class _Prometheus:
    """One that reads a graph.

    Args:
        url: Where it listens.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers."""
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def samples(self, query: str) -> list[Any]:
        """What a query gives now; a query that is none is an HTTP error."""
        return list(self.get("query", query=query)["result"])


class _Log:
    """What a program writes into a file."""

    def __init__(self, process: "subprocess.Popen[str]", path: Path) -> None:
        self.process, self._path = process, path

    def after(self, text: str) -> str:
        """The word that follows a text in it; waited for."""

        def written() -> str:
            assert self.process.poll() is None, self._path.read_text()
            return self._path.read_text()

        wait_until(lambda: "\n" in written().partition(text)[2], written)
        return written().partition(text)[2].split()[0]


@contextmanager
def _logged(command: Sequence[str | Path], path: Path) -> Iterator[_Log]:
    """A program until the end of the body, its log in a file, which nobody has to read."""
    with path.open("w") as file, running(command, cwd=path.parent, stderr=file, stdout=file) as process:
        yield _Log(process, path)


def _camera(request: HttpRequest) -> None:
    """Pictures without an end: of the gate more than anybody can segment."""
    multipart_camera(10**6, interval_s=0.005 if request.path == "/gate" else 0.2, size=(48, 64))(request)


@contextmanager
def _graph(folder: Path) -> Iterator[str]:
    """A graph with a page and two cameras, one of which is too fast for it; gives the address of its metrics."""
    pipeline = folder / "site.yaml"
    with http_server(_camera) as url:
        pipeline.write_text(_PIPELINE.format(model=write_tiny_config(folder), url=url), encoding="utf-8")
        options = ["--port=0", "--health=127.0.0.1:0", "--loopback-media", f"--state={folder}"]
        with _logged([CONSOLE_SCRIPT, "serve", pipeline, *options], folder / "graph.log") as log:
            yield log.after("health at http://").partition("/")[0]
            log.process.send_signal(signal.SIGTERM)
            assert log.process.wait() == 0


@contextmanager
def _prometheus(folder: Path, target: str) -> Iterator[_Prometheus]:
    """With the shipped configuration, but faster."""
    require("Prometheus", shutil.which("prometheus") is not None, "apt-get install prometheus")
    config = yaml.safe_load((DEPLOY / "monitoring/prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "monitoring" / name) for name in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    path = folder / "prometheus.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    options = [f"--config.file={path}", f"--storage.tsdb.path={folder / 'data'}", "--web.listen-address=127.0.0.1:0"]
    with _logged(["prometheus", *options], folder / "prometheus.log") as log:
        address = log.after('msg="Listening on" address=')
        log.after('msg="Server is ready to receive')
        yield _Prometheus(f"http://{address}")


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, warm_python: None) -> Iterator[_Prometheus]:
    """One that has read a graph at work several times."""
    folder = tmp_path_factory.mktemp("monitoring")
    with _graph(folder) as target, _prometheus(folder, target) as one:
        at_work = "min(ssa_stream_masks_rate_hertz) > 0 and on () sum(ssa_stream_frames_dropped_total) > 0"
        often = "min(count_over_time(ssa_stream_count_log_lines_lost_total[1m])) > 2"
        wait_until(lambda: one.samples(f"({at_work}) and on () ({often})"), "a graph at work")
        yield one


def test_every_query_of_the_dashboard_has_an_answer(prometheus: _Prometheus) -> None:
    """No metric or label that a graph does not have."""
    unanswered = {name for name, query in dashboard_queries().items() if not prometheus.samples(query)}
    assert unanswered == set()


def test_every_alert_is_about_metrics_and_labels_of_a_graph(prometheus: _Prometheus) -> None:
    """Prometheus evaluates all of them; what they name is there before anything has happened."""
    wait_until(lambda: all(rule["lastEvaluation"] > "2000" for rule in _rules(prometheus)), "rules are evaluated")
    assert {rule["name"]: rule["health"] for rule in _rules(prometheus)} == {
        rule["alert"]: "ok" for rule in alert_rules()
    }
    for rule in alert_rules():
        names = _NAME.findall(rule["expr"])
        found = {name: prometheus.samples(name) for name in names}
        assert [name for name, samples in found.items() if not samples] == [], rule["alert"]
        labels = {label for samples in found.values() for sample in samples for label in sample["metric"]}
        assert set(_ALERT_LABEL.findall(str(rule["annotations"]))) <= labels | {"instance"}, rule["alert"]


def _rules(prometheus: _Prometheus) -> list[dict[str, Any]]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


def test_overloaded_stream_raises_its_alert_and_no_other(prometheus: _Prometheus) -> None:
    """For ten minutes it is pending."""

    def raised() -> set[tuple[str, str]]:
        found = prometheus.samples('ALERTS{stream!="yard"}')  # a slow machine is too slow for that, too
        return {(one["metric"]["alertname"], one["metric"].get("stream")) for one in found}

    wait_until(lambda: raised() == {("Overloaded", "gate")}, lambda: str(raised()))
