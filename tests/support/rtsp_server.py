"""A real RTSP server (GStreamer) in a process of its own, on a free port of this machine.

The file is two things: the helper that tests import, and the server itself, which runs under the system's Python,
where GStreamer's bindings are, and therefore imports nothing of this project.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

__all__ = ["HOW_TO_GET", "RtspServer", "has_element", "rtsp_server", "rtsp_server_available"]

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
        return self.url.replace("://", f"://{user}:{password}@")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(_START_LIMIT_S)

    @property
    def port(self) -> int:
        """Where it listens, to start another one there."""
        return int(self.url.rpartition(":")[2].partition("/")[0])

    def stall(self) -> None:
        """Stop it without closing its connections, as a frozen camera does."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.process.pid, signal.SIGCONT)

    def change_size(self) -> None:
        """Halve width and height of its pictures, without ending the stream."""
        os.kill(self.process.pid, signal.SIGUSR1)


@cache
def rtsp_server_available() -> bool:
    """Return whether this machine has what the server needs."""
    try:
        probe = subprocess.run([SYSTEM_PYTHON, "-c", _PROBE], capture_output=True, timeout=_START_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def has_element(name: str) -> bool:
    """Return whether GStreamer has an element here."""
    inspect = shutil.which("gst-inspect-1.0")
    return inspect is not None and subprocess.run([inspect, "--exists", name], check=False).returncode == 0


@contextlib.contextmanager
def rtsp_server(
    *,
    port: int = 0,
    credentials: str | None = None,
    digest: bool = False,
    size: str = "320x240",
    fps: int = 30,
    pictures: Path | None = None,
    key_interval: int = 15,
    b_frames: int = 0,
    loss: float = 0.0,
    codec: Literal["h264", "jpeg", "unknown", "sound"] = "h264",
    encoder: str | None = None,
    certificate: Path | None = None,
) -> Iterator[RtspServer]:
    """Run a server that sends a moving ball, or a loop of pictures, until the block ends.

    Args:
        port: To listen at; 0 takes a free one.
        credentials: `user:password` that a client must give.
        digest: Whether they are asked for by digest instead of basic authentication.
        size: Width x height.
        fps: Frames per second.
        pictures: Folder of `000.jpg`, `001.jpg`, ... of that size, to be played for ever.
        key_interval: Frames from one key frame to the next.
        b_frames: B-frames between others, which are sent in another order than shown.
        loss: Share of the packets that are dropped.
        codec: What is sent: `unknown` is video that nothing can decode, `sound` is no video at all.
        encoder: Elements that encode and cut into packets, in place of those of `codec`.
        certificate: PEM file with key and certificate; makes it a server of rtsps://.
    """
    command = [SYSTEM_PYTHON, __file__, "--port", str(port), "--size", size, "--fps", str(fps), "--codec", codec]
    command += ["--key-interval", str(key_interval), "--b-frames", str(b_frames), "--loss", str(loss)]
    if encoder:
        command += ["--encoder", encoder]
    if certificate:
        command += ["--certificate", str(certificate)]
    if pictures:
        command += ["--pictures", str(pictures)]
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
        yield RtspServer(f"{'rtsps' if certificate else 'rtsp'}://127.0.0.1:{bound}/cam", process)
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
        Gio,
        GLib,
        Gst,
        GstRtsp,
        GstRtspServer,
    )

    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_shared(True)
    factory.set_launch(_pipeline(arguments))
    if arguments.codec != "sound":
        factory.connect("media-configure", lambda _, media: _change_size_on_signal(arguments, media, Gst, GLib))
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(arguments.port))
    if arguments.certificate:
        secure = GstRtspServer.RTSPAuth()
        secure.set_tls_certificate(Gio.TlsCertificate.new_from_file(arguments.certificate))
        secure.set_default_token(_token(GstRtspServer))
        server.set_auth(secure)
        _permit(factory, GstRtspServer)
    if arguments.credentials:
        user, password = arguments.credentials.split(":")
        auth = GstRtspServer.RTSPAuth()
        token = _token(GstRtspServer)
        if arguments.digest:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        _permit(factory, GstRtspServer)
    server.get_mount_points().add_factory("/cam", factory)
    if server.attach(None) == 0:
        sys.exit(f"port {arguments.port} cannot be bound")
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


def _token(GstRtspServer: Any) -> Any:
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", "user")
    return token


def _permit(factory: Any, GstRtspServer: Any) -> None:
    permissions = GstRtspServer.RTSPPermissions()
    for right in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("user", right, True)
    factory.set_permissions(permissions)


def _pipeline(arguments: argparse.Namespace) -> str:
    """The server's pipeline; its last element is the one that the server sends from."""
    if arguments.codec == "sound":
        return "( audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay0 pt=8 )"
    rate = f"framerate={arguments.fps}/1"
    source = "videotestsrc is-live=true pattern=ball"
    if arguments.pictures:
        loop = f"location={arguments.pictures}/%03d.jpg start-index=0 loop=true"
        source = f"multifilesrc {loop} caps=image/jpeg,{rate} ! jpegdec ! videoconvert ! videoscale"
    video = f"{source} ! capsfilter name=size caps={_caps(arguments, 1)}"
    tuning, profile = "tune=zerolatency speed-preset=ultrafast", "constrained-baseline"
    if arguments.b_frames:
        tuning = f"speed-preset=veryfast bframes={arguments.b_frames} b-adapt=false rc-lookahead=4"
        profile = "main"
    encoder = {
        "h264": f"x264enc {tuning} threads=1 bitrate=4000 "
        f"key-int-max={arguments.key_interval} ! video/x-h264,profile={profile} ! rtph264pay pt=96 config-interval=1",
        "jpeg": "jpegenc ! rtpjpegpay pt=26",
        "unknown": "rtpgstpay pt=96",
    }[arguments.codec]
    encoder = arguments.encoder or encoder
    return f"( {video} ! {encoder} ! identity name=pay0 drop-probability={arguments.loss} )"


def _caps(arguments: argparse.Namespace, divisor: int) -> str:
    width, height = (int(side) // divisor for side in arguments.size.split("x"))
    return f"video/x-raw,format=I420,width={width},height={height},framerate={arguments.fps}/1"


def _change_size_on_signal(arguments: argparse.Namespace, media: Any, Gst: Any, GLib: Any) -> None:
    size = media.get_element().get_by_name_recurse_up("size")

    def change() -> bool:
        size.set_property("caps", Gst.Caps.from_string(_caps(arguments, 2)))
        return True

    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, change)


def _main() -> None:
    parser = argparse.ArgumentParser(description="Serve a moving ball at rtsp://127.0.0.1:PORT/cam")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--credentials")
    parser.add_argument("--certificate")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--pictures")
    parser.add_argument("--key-interval", type=int, default=15)
    parser.add_argument("--b-frames", type=int, default=0)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--encoder")
    parser.add_argument("--codec", default="h264")
    _serve(parser.parse_args())


if __name__ == "__main__":
    _main()
