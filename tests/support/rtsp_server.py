"""A real RTSP server (GStreamer) in a process of its own, on a free port of this machine.

The file is two things: the helper that tests import, and the server itself, which runs under the system's Python,
where GStreamer's bindings are, and therefore imports nothing of this project.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

__all__ = ["HOW_TO_GET", "RtspServer", "rtsp_server", "rtsp_server_available"]

SYSTEM_PYTHON = "/usr/bin/python3"
HOW_TO_GET = (
    "apt-get install --no-install-recommends gir1.2-gst-rtsp-server-1.0 python3-gi gir1.2-gst-plugins-base-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly "
    "gstreamer1.0-rtsp"
)
_PROBE = (
    "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); "
    "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
    "assert all(Gst.ElementFactory.find(n) for n in ('videotestsrc', 'x264enc', 'rtph264pay'))"
)
_START_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class RtspServer:
    """A running server.

    Attributes:
        url: Of its stream, without credentials.
        process: To stall or kill.
    """

    url: str
    process: "subprocess.Popen[str]"

    def url_with(self, user: str, password: str) -> str:
        """Return the address with credentials in it."""
        return self.url.replace("rtsp://", f"rtsp://{user}:{password}@")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(_START_LIMIT_S)

    def stall(self) -> None:
        """Stop it without closing its connections, as a frozen camera does."""
        os.kill(self.process.pid, signal.SIGSTOP)


@cache
def rtsp_server_available() -> bool:
    """Return whether this machine has what the server needs."""
    try:
        probe = subprocess.run([SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, timeout=_START_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


@contextlib.contextmanager
def rtsp_server(
    *, port: int = 0, credentials: str | None = None, digest: bool = False, size: str = "320x240", fps: int = 30
) -> Iterator[RtspServer]:
    """Run a server that sends a moving ball as H.264 until the block ends.

    Args:
        port: To listen at; 0 takes a free one.
        credentials: `user:password` that a client must give.
        digest: Whether they are asked for by digest instead of basic authentication.
        size: Width x height.
        fps: Frames per second.
    """
    command = [SYSTEM_PYTHON, __file__, "--port", str(port), "--size", size, "--fps", str(fps)]
    if credentials:
        command += ["--credentials", credentials]
    if digest:
        command += ["--digest"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    # Reading the port waits for the server; the timer bounds that wait by ending it.
    timer = threading.Timer(_START_LIMIT_S, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        with process.stdout:
            bound = process.stdout.readline().strip()
        timer.cancel()
        if not bound:
            raise RuntimeError(f"the RTSP server did not start: exit status {process.wait(_START_LIMIT_S)}")
        yield RtspServer(f"rtsp://127.0.0.1:{bound}/cam", process)
    finally:
        timer.cancel()
        process.kill()
        process.wait(_START_LIMIT_S)
        timer.join()


def _serve(arguments: argparse.Namespace) -> None:
    import gi  # type: ignore[import-not-found, unused-ignore]  # of the system's Python

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import (  # type: ignore[import-not-found, unused-ignore]
        GLib,
        Gst,
        GstRtsp,
        GstRtspServer,
    )

    Gst.init(None)
    width, height = arguments.size.split("x")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(
        "( videotestsrc is-live=true pattern=ball "
        f"! video/x-raw,format=I420,width={width},height={height},framerate={arguments.fps}/1 "
        "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 "
        "! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    if arguments.credentials:
        user, password = arguments.credentials.split(":")
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken.new()
        token.set_string("media.factory.role", "user")
        if arguments.digest:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("media.factory.access", "media.factory.construct"):
            permissions.add_permission_for_role("user", right, True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/cam", factory)
    if server.attach(None) == 0:
        sys.exit(f"port {arguments.port} cannot be bound")
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


def _main() -> None:
    parser = argparse.ArgumentParser(description="Serve a moving ball at rtsp://127.0.0.1:PORT/cam")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--credentials")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=30)
    _serve(parser.parse_args())


if __name__ == "__main__":
    _main()
