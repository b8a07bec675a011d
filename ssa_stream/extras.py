"""Optional parts of the installation: what brings a package, and the command that installs it here.

The package is on no index. What works depends on how this installation was made, which the installer writes down
(PEP 610, `direct_url.json`): from a clone, a wheel, an address. Where nothing is known, the packages themselves are
named; they are on an index.
"""

import json
import re
import shlex
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["extra_of", "install_command"]

_NAME = "ssa_stream"
_OWN = re.compile(r"ssa[-_.]stream\s*\[([\w,\s-]+)\]", re.IGNORECASE)
_OF_EXTRA = re.compile(r"""(?P<requirement>[^;]+?)\s*;\s*extra\s*==\s*["'](?P<extra>[\w-]+)["']\s*""")
# Import name of a package, the extra that installs it.
_EXTRAS = {
    **dict.fromkeys(
        ("PIL", "av", "cv2", "open_clip", "pycocotools", "safetensors", "scipy", "timm", "torch"),
        "engine",
    ),
    **dict.fromkeys(("aiohttp", "aiortc", "prometheus_client"), "webrtc"),
    "numba": "fast",
    **dict.fromkeys(("onnx", "onnxscript", "openvino"), "openvino"),
    "onnxruntime": "onnxruntime",
    "pygame": "view",
    **dict.fromkeys(("h5py", "matplotlib", "zlib_ng"), "data"),
    **dict.fromkeys(("lightning", "tensorboard"), "train"),
    **dict.fromkeys(("mcap", "rerun", "rosbags"), "record"),
}


def extra_of(module: str) -> str | None:
    """The extra that brings a module, by the first part of its name; None if none does."""
    return _EXTRAS.get(module.partition(".")[0])


def install_command(extra: str | None = None) -> str:
    """The shell command that installs an extra into this environment, with what it needs.

    Args:
        extra: One of `[project.optional-dependencies]` of pyproject.toml; None for the base installation.
    """
    python = shlex.quote(sys.executable or "python3")
    try:
        own = distribution(_NAME)
    except PackageNotFoundError:  # imported from a folder that was never installed
        return _from_folder(Path(__file__).parents[1], extra, python, editable=True)
    return _from_origin(own, extra, python) or f"{python} -m pip install {shlex.join(_requirements(own, extra))}"


def _from_origin(own: Distribution, extra: str | None, python: str) -> str | None:
    """The command that installs from where this installation came from; None if that is not known or gone."""
    try:
        origin = json.loads(own.read_text("direct_url.json") or "{}")
        url = str(origin.get("url", ""))
        parts = urlsplit(url)
    except (ValueError, AttributeError):  # not by an installer that follows PEP 610
        return None
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        if "dir_info" in origin and path.is_dir():
            return _from_folder(path, extra, python, editable=bool(origin["dir_info"].get("editable")))
        if path.is_file():
            return f"{python} -m pip install {shlex.quote(f'{path}{_bracket(extra)}')}"
        return None
    if not url:
        return None
    vcs = origin.get("vcs_info", {})
    address = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if "vcs" in vcs and "commit_id" in vcs else url
    return f"{python} -m pip install {shlex.quote(f'{_NAME}{_bracket(extra)} @ {address}')}"


def _from_folder(folder: Path, extra: str | None, python: str, *, editable: bool) -> str:
    """The command for a clone: its own set-up where this environment is the clone's."""
    if Path(sys.prefix) == folder / ".venv" and (folder / "Makefile").is_file():
        return f"make -C {shlex.quote(str(folder))} setup"
    return f"{python} -m pip install {'-e ' if editable else ''}{shlex.quote(f'{folder}{_bracket(extra)}')}"


def _bracket(extra: str | None) -> str:
    return "" if extra is None else f"[{extra}]"


def _requirements(own: Distribution, extra: str | None) -> list[str]:
    """What an extra consists of, those that it contains among it; of the base installation for None."""
    found: dict[str, None] = {}
    for line in own.requires or ():
        match = _OF_EXTRA.fullmatch(line.strip())
        if (match["extra"] if match else None) != extra or (match is None and ";" in line):
            continue
        requirement = match["requirement"] if match else line.strip()
        inner = _OWN.fullmatch(requirement)
        if inner is None:
            found[requirement] = None
        else:
            found.update(dict.fromkeys(one for name in inner[1].split(",") for one in _requirements(own, name.strip())))
    return list(found)
