"""The checks of `ssa-stream doctor`: each judges one fact and says what to do about it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from ssa_stream.cli.checks.facts import Facts
from ssa_stream.cli.checks.trials import Trial
from ssa_stream.extras import extra_of, install_command
from ssa_stream.nodes.runtime.descriptors import descriptors_of, room_for_connections

__all__ = ["CHECKS", "CLIENT_CHECKS", "PIPELINE_CHECKS", "Finding", "examine", "examine_sources"]

_GIB = 2**30
_MIB = 2**20
_MIN_MEMORY = 2 * _GIB
_MIN_OPEN_FILES = 256
_SENDERS_PER_STREAM, _SLOT_MIB = 4, 32
_MIN_DISK = _GIB
_SLOW, _FRAMES_TO_JUDGE = 0.8, 10
_ADVICE = {
    "refused": "is it on, and are host and port right? A graph waits for a live source, and tries again",
    "unreachable": "look at the name of the host, the cable and the network; can it be pinged?",
    "timeout": "is it on, and does a firewall lie between? A graph waits for a live source, and tries again",
    "auth_failed": "give user name and password: rtsp://user:password@host/...",
    "not_found": "look at its name; a camera's manual says the path. See also: ssa-stream sources list",
    "server_error": "look at the server's own log; does another program have its only place?",
    "tls": "is its certificate valid for this name, and is it a secure port at all?",
    "unsupported_codec": "let the camera send H.264",
    "unreadable": "does another program play it? Else it is damaged, or not a video",
    "too_large": "allow it with #max_edge=... and #max_area=... at the end of the address, or let it send less",
    "elsewhere": "if that host may be asked, name it: #hosts=NAME at the end of the address",
    "no_frame": "does it send pictures? A camera begins at its next key frame: let it send one every second or two",
}
_WRONG_CREDENTIALS = "user name or password are wrong, or the user may not see it: correct them in the address"
_OTHER_ADVICE = "try it alone: ssa-stream run SOURCE -p TEXT; docs/sources.md says what can be read"

Verdict = Literal["ok", "warn", "fail"]
_Result = tuple[Verdict, str, str]
Check = Callable[[Facts], _Result]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        verdict: `fail` if something that is needed does not work, `warn` if it works less well than it could.
        found: What there is.
        todo: What to do; empty if nothing.
    """

    check: str
    verdict: Verdict
    found: str
    todo: str = ""


def examine(facts: Facts, checks: dict[str, Check]) -> Iterator[Finding]:
    """Run checks on the facts, in their order."""
    for name, check in checks.items():
        yield Finding(name, *check(facts))


def examine_sources(trials: Iterable[Trial]) -> Iterator[Finding]:
    """Judge what each source of a pipeline gave."""
    for trial in trials:
        yield Finding(f"source {trial.stream}", *_source(trial))


def _source(trial: Trial) -> _Result:
    if trial.skipped:
        return "ok", f"{trial.address}: not tried, as {trial.skipped}", ""
    if trial.problem:
        code = f" ({trial.code})" if trial.code else ""
        has_failed_login = trial.code == "auth_failed" and "***" in trial.address
        advice = _WRONG_CREDENTIALS if has_failed_login else _ADVICE.get(trial.code, _OTHER_ADVICE)
        return "fail", f"{trial.problem}{code}", advice
    found = _seen(trial)
    if trial.warnings:
        return "warn", f"{found}; {'; '.join(trial.warnings)}", "give a file that is whole, or go on with what is there"
    if trial.lost:
        lost = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in trial.lost.items())
        return "warn", f"{found}; {lost}", "use a cable instead of radio, rtsp_transport tcp, or a lower bit rate"
    nominal_hz, measured_hz = trial.nominal_hz or 0.0, trial.measured_hz or 0.0
    is_judged = trial.live and measured_hz > 0 and trial.frames >= _FRAMES_TO_JUDGE
    if is_judged and measured_hz < _SLOW * nominal_hz:
        return "warn", found, "it gives fewer frames than it says: look at light (exposure), network and the camera"
    return "ok", found, ""


def _seen(trial: Trial) -> str:
    """What a source gave, in one sentence."""
    kind = "live" if trial.live else "a recording"
    size = "" if trial.size is None else f"{trial.size[1]}x{trial.size[0]}"
    codec = (trial.codec or "") + (f" decoded by {trial.decoded_by}" if trial.decoded_by else "")
    nominal = "" if trial.nominal_hz is None else f" (it says {trial.nominal_hz:g})"
    rate = ""
    if trial.measured_hz is not None:
        verb = "" if trial.live else "decoded at "
        rate = f"{verb}{trial.measured_hz:.1f} fps{nominal}"
    opened = f"opened in {trial.opened_s or 0:.1f} s, first picture after {trial.first_s or 0:.1f} s"
    return ", ".join(part for part in (f"{trial.address}: {kind}", size, codec, rate, opened) if part)


def _outputs(facts: Facts) -> _Result:
    tried = facts.tried
    if tried is not None and tried.outputs_problem:
        return (
            "fail",
            tried.outputs_problem,
            "make the folder, name another output, or start the graph with --overwrite",
        )
    return "ok", "can be written", ""


def _prompts(facts: Facts) -> _Result:
    if facts.tried is not None and facts.tried.long_prompts:
        return (
            "warn",
            "; ".join(facts.tried.long_prompts),
            "say it in fewer words: the end of a long prompt is not read",
        )
    return "ok", "are read to their ends", ""


def _disk(facts: Facts) -> _Result:
    spaces = {} if facts.tried is None else facts.tried.disk_bytes
    if not spaces:
        return "ok", "the pipeline writes no files", ""
    found = ", ".join(f"{free / _GIB:.1f} GiB free in {folder}" for folder, free in spaces.items())
    if min(spaces.values()) < _MIN_DISK:
        return "warn", found, "free some space: an output ends when its disk is full"
    return "ok", found, ""


def _python(facts: Facts) -> _Result:
    version = ".".join(map(str, facts.python))
    if facts.python < (3, 11):
        return "fail", f"Python {version}", "install Python 3.11 or newer, and ssa_stream into it"
    return "ok", f"Python {version}", ""


def _client(facts: Facts) -> _Result:
    missing = facts.missing.get("client", ())
    if missing:
        return "fail", f"missing: {', '.join(missing)}", install_command()
    if not facts.has_curve:
        return "warn", "ZeroMQ cannot encrypt", "for graphs with keys: pip install --force-reinstall pyzmq"
    return "ok", "what a subscriber needs is installed", ""


def _engine(facts: Facts) -> _Result:
    missing = facts.missing.get("engine", ())
    if missing:
        todo = f"{install_command('engine')}, or add --client if this machine only subscribes"
        return "fail", f"missing: {', '.join(missing)}", todo
    return "ok", "what a graph needs is installed", ""


def _engines(facts: Facts) -> _Result:
    wanted = "auto" if facts.pipeline is None else facts.pipeline.model.engine
    extra = extra_of(wanted)
    if extra is not None and wanted not in facts.engines:
        todo = f"{install_command(extra)}, or set model.engine to auto"
        return "fail", f"the pipeline wants {wanted}, which is missing", todo
    if facts.missing.get("engine"):
        return "warn", "not looked at, as torch is missing", "see there"
    return "ok", f"{', '.join(('torch', *facts.engines))}; the pipeline says {wanted}", ""


def _webrtc(facts: Facts) -> _Result:
    missing = facts.missing.get("webrtc", ())
    if missing:
        todo = f"for browsers, /readyz and /metrics: {install_command('webrtc')}"
        return "warn", f"missing: {', '.join(missing)}", todo
    return "ok", "what browsers and monitors need is installed", ""


def _pipeline(facts: Facts) -> _Result:
    if facts.pipeline is None:
        return "fail", facts.pipeline_problem, "correct the pipeline, or name another one"
    streams = ", ".join(facts.pipeline.streams)
    return "ok", f"{facts.pipeline.name}: {streams} ({facts.pipeline.placement})", ""


def _checkpoint(facts: Facts) -> _Result:
    if facts.missing.get("engine"):
        return "warn", "not looked at, as the engine is missing", "see there"
    if facts.checkpoint_problem or not facts.checkpoint:
        todo = "name weights with --checkpoint or model.checkpoint, or try the graph with --random-weights"
        return "fail", facts.checkpoint_problem or "there are no weights", todo
    return "ok", facts.checkpoint, ""


def _cores(facts: Facts) -> _Result:
    if facts.cores < 2:
        return "warn", "1 core", "reading, drawing and the network share it; expect few frames per second"
    return "ok", f"{facts.cores} cores", ""


def _memory(facts: Facts) -> _Result:
    if facts.memory_bytes is None:
        return "ok", "not known on this system", ""
    found = f"{facts.memory_bytes / _GIB:.1f} GiB free"
    if facts.memory_bytes < _MIN_MEMORY:
        return "warn", found, "end other programs, or use placement: fused, which loads the weights once"
    return "ok", found, ""


def _gpu(facts: Facts) -> _Result:
    wanted = facts.pipeline is not None and facts.pipeline.model.device.startswith("cuda")
    gpu = facts.gpu
    if gpu is not None and gpu.name is not None:
        return "ok", f"{gpu.name}, {gpu.memory_bytes / _GIB:.0f} GiB", ""
    problem = "torch is missing" if gpu is None else gpu.problem or "none"
    if gpu is not None and gpu.driver:
        todo = "there is a driver, so install a build of torch for its version of CUDA (see nvidia-smi)"
        return ("fail" if wanted else "warn"), f"torch cannot use it: {problem}", todo
    if wanted:
        return "fail", problem, "set model.device to auto or cpu, or give the container a GPU: docker run --gpus all"
    return "warn", f"{problem}; the processor does the work", "fine for small models; see docs/performance.md"


def _camera(facts: Facts) -> _Result:
    wanted = _wanted_cameras(facts)
    usable = [camera.path for camera in facts.cameras if camera.is_usable]
    absent = [path for path in wanted if path not in usable]
    verdict: Verdict = "fail" if absent else "warn"
    if not facts.cameras:
        todo = "plug one in; in a container: --device /dev/video0. Or use a file, rtsp:// or synthetic"
        return verdict, "none", todo
    names = ", ".join(f"{camera.path} {camera.name}".strip() for camera in facts.cameras)
    if not usable:
        return verdict, f"{names}: not for this user", "sudo usermod -aG video $USER, then log in again"
    if absent:
        return (
            verdict,
            f"the pipeline reads {', '.join(absent)}, but there are: {names}",
            "see: ssa-stream sources list",
        )
    return "ok", names, ""


def _ports(facts: Facts) -> _Result:
    if facts.taken:
        found = ", ".join(f"{address}: {reason}" for address, reason in facts.taken.items())
        todo = "is another graph running (ssa-stream status)? End it, or choose others with --publish and --requests"
        return "fail", found, todo
    public = None if facts.pipeline is None else facts.pipeline.public
    return "ok", "free" if public is None else f"{public.publish} and {public.requests} are free", ""


def _shared_memory(facts: Facts) -> _Result:
    if facts.shared_bytes is None:
        return "warn", f"there is no {facts.shared_folder}", "use placement: fused; processes copy through files here"
    found = f"{facts.shared_bytes / _MIB:.0f} MiB free in {facts.shared_folder}"
    streams = 1 if facts.pipeline is None else len(facts.pipeline.streams)
    wanted_mib = _SENDERS_PER_STREAM * _SLOT_MIB * streams
    if facts.shared_bytes >= wanted_mib * _MIB:
        return "ok", found, ""
    todo = f"processes need about {wanted_mib} MiB: docker run --shm-size=1g, or use placement: fused"
    return "warn", found, todo


def _temp(facts: Facts) -> _Result:
    if facts.temp_problem:
        return "fail", f"{facts.temp_folder}: {facts.temp_problem}", "set TMPDIR to a folder that can be written to"
    return "ok", f"{facts.temp_folder} can be written to", ""


def _open_files(facts: Facts) -> _Result:
    found = f"{facts.open_files} open files at most"
    if facts.open_files_now < facts.open_files:
        found += f" ({facts.open_files_now} now; a graph raises it at its start)"
    if facts.pipeline is None:
        return ("warn", found, "ulimit -n 1024") if facts.open_files < _MIN_OPEN_FILES else ("ok", found, "")
    own, wanted = descriptors_of(facts.pipeline), facts.pipeline.clients.connections
    if facts.open_files < own:
        return "fail", f"{found}; this pipeline takes up to {own}", f"ulimit -n {own + wanted}, as root: -Hn, too"
    room = room_for_connections(facts.pipeline, facts.open_files)
    found += f"; {own} of them for this pipeline, and {room} connections of clients"
    if room < wanted:
        return "warn", f"{found} instead of {wanted} (clients.connections)", f"ulimit -n {own + wanted}"
    return "ok", found, ""


def _keys(facts: Facts) -> _Result:
    if facts.keys_problem:
        return "fail", facts.keys_problem, "make keys: ssa-stream keys init DIR"
    if facts.open_secrets:
        return "fail", f"others can read {', '.join(facts.open_secrets)}", f"chmod 600 {' '.join(facts.open_secrets)}"
    if facts.pipeline is not None and facts.pipeline.public.is_open:
        return "warn", "other machines need no keys", "ssa-stream keys init DIR, then public.keys: DIR"
    guarded = facts.pipeline is not None and facts.pipeline.public.keys is not None
    return "ok", "in use" if guarded else "not needed: only this machine can connect", ""


def _wanted_cameras(facts: Facts) -> list[str]:
    """Devices that the pipeline reads."""
    found = []
    for stream in () if facts.pipeline is None else facts.pipeline.streams.values():
        name = stream.source.removeprefix("camera:").removeprefix("v4l2:")
        if name.isdecimal() or name.startswith("/dev/video"):
            found.append(f"/dev/video{name}" if name.isdecimal() else name)
    return found


PIPELINE_CHECKS: dict[str, Check] = {"outputs": _outputs, "prompts": _prompts, "disk": _disk}
"""What a pipeline needs that is named, beside its sources."""
CLIENT_CHECKS: dict[str, Check] = {"python": _python, "client": _client}
"""What a machine needs that only subscribes."""
CHECKS: dict[str, Check] = {
    **CLIENT_CHECKS,
    "engine": _engine,
    "engines": _engines,
    "browsers and monitors": _webrtc,
    "pipeline": _pipeline,
    "checkpoint": _checkpoint,
    "processor": _cores,
    "memory": _memory,
    "gpu": _gpu,
    "camera": _camera,
    "ports": _ports,
    "shared memory": _shared_memory,
    "temporary folder": _temp,
    "file limit": _open_files,
    "keys": _keys,
}
"""What a machine needs that runs a graph."""
