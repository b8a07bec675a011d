"""A real Prometheus reads a real graph, with the configuration, alerts and dashboard of `deploy/`."""

import json
import re
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command_line import CONSOLE_SCRIPT, read_until, running, write_tiny_config
from tests.support.components import require
from tests.support.deployment import DEPLOY, alert_rules, dashboard_queries
from tests.support.waiting import eventually, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("warm_python")]

_PIPELINE = """
name: site
model: {{name: {model}, random_weights: true}}
public: {{publish: "tcp://127.0.0.1:*", requests: "tcp://127.0.0.1:*"}}
streams:
  yard: {{source: "synthetic:1@64x48,10fps", live: true, prompts: [the red circle]}}
  gate: {{source: "synthetic:2@64x48,200fps", live: true, prompts: [the blue square]}}
"""
_NAME = re.compile(r"\bssa_stream_\w+")
_ALERT_LABEL = re.compile(r"\$labels\.(\w+)")


class _Prometheus:
    """One that reads a graph.

    Attributes:
        url: Of its API.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """What its API answers."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            return json.load(answer)["data"]

    def samples(self, query: str) -> list[Any]:
        """What a query gives now; a query that is none is an HTTP error."""
        return list(self.get("query", query=query)["result"])
