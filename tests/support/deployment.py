"""The files of `deploy/`, as those read them who use them: command lines, pipelines, objects, queries."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from ssa_stream.cli.main import app
from tests.support.checkout import ROOT

__all__ = ["DEPLOY", "alert_rules", "command_lines", "dashboard_queries", "kubernetes_objects", "parse", "with_gpu"]

DEPLOY = ROOT / "deploy"
_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")
_WRITTEN = re.compile(r"^(?:# {3,}| {4,}|Exec\w+=)(?:\S*/)?ssa-stream (.*)$", re.MULTILINE)


def kubernetes_objects() -> list[dict[str, Any]]:
    """The objects of the manifest."""
    return list(yaml.safe_load_all((DEPLOY / "kubernetes/graph.yaml").read_text(encoding="utf-8")))


def with_gpu() -> list[dict[str, Any]]:
    """The same with the patches of the variant for a GPU, all of which are additions."""
    objects = kubernetes_objects()
    variant = yaml.safe_load((DEPLOY / "kubernetes/gpu/kustomization.yaml").read_text(encoding="utf-8"))
    for patch in variant["patches"]:
        (target,) = [
            one
            for one in objects
            if (one["kind"], one["metadata"]["name"]) == (patch["target"]["kind"], patch["target"]["name"])
        ]
        for operation in yaml.safe_load(patch["patch"]):
            assert operation["op"] == "add"
            *steps, last = (step.replace("~1", "/") for step in operation["path"].split("/")[1:])
            at: Any = target
            for step in steps:
                at = at[int(step)] if isinstance(at, list) else at[step]
            if isinstance(at, list):
                at.append(operation["value"])
            else:
                at[last] = operation["value"]
    return objects


def alert_rules() -> list[dict[str, Any]]:
    """The rules of the alerts."""
    groups = yaml.safe_load((DEPLOY / "monitoring/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard_queries() -> dict[str, str]:
    """Every query of the dashboard, for all graphs and streams, by its panel's title and letter."""
    dashboard = json.loads((DEPLOY / "monitoring/dashboard.json").read_text(encoding="utf-8"))
    variables = {"$instance": ".*", "$stream": ".*", "$__rate_interval": "1m"}
    queries = {}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in variables.items():
                query = query.replace(name, value)
            queries[f"{panel['title']} {target['refId']}"] = query
    return queries


def command_lines(path: Path) -> Iterator[list[str]]:
    """The arguments of `ssa-stream` wherever a file starts it, or names it in its words.

    Args:
        path: Of a file of `deploy/`, or a document.
    """
    text = path.read_text(encoding="utf-8")
    if path.name == "Dockerfile":
        yield json.loads(text.rpartition("\nCMD ")[2].partition("\n")[0])
    elif path.name == "compose.yaml":
        command = yaml.safe_load(text)["services"]["graph"]["command"]
        yield [_VARIABLE.sub(r"\1", argument) for argument in command]
    elif path.name == "graph.yaml":
        for one in with_gpu():
            for container in one.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
                yield container["args"]
    joined = re.sub(r"\\\n\W*", " ", text).replace("%i", "yard")
    for words in _WRITTEN.findall(joined):
        without_variables = re.sub(r"\$[A-Z_]+", "", words)
        yield shlex.split(without_variables, comments=True)


def parse(arguments: Sequence[str]) -> None:
    """Let the command line's own parser read arguments; nothing is run.

    Raises:
        click.UsageError: There is no such command or option, or it takes no such value.
    """
    command: Any = get_command(app)
    context: Any = command.make_context("ssa-stream", ["status"])
    rest = list(arguments)
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, rest)
        if hasattr(command, "resolve_command"):
            context = command.make_context(name, rest[:1], parent=context)
    command.make_context(name, rest, parent=context)
