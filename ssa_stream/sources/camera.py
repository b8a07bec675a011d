"""A camera on this machine, through Video4Linux."""

import re
from collections.abc import Mapping
from pathlib import Path

from ssa_stream.errors import SourceError, SourceErrorCode
from ssa_stream.picture_limits import USUAL_LIMITS, PictureLimits
from ssa_stream.sources.container import open_container
from ssa_stream.sources.live import LiveSource

__all__ = ["CameraSource", "list_cameras"]

_DEVICES = Path("/dev")
_DESCRIPTIONS = Path("/sys/class/video4linux")


def list_cameras() -> dict[str, str]:
    """Return the video devices of this machine: path to the driver's name for it, empty where it gives none."""
    devices = sorted(_DEVICES.glob("video[0-9]*"), key=lambda path: int(re.sub(r"\D", "", path.name)))
    return {str(device): _description(device.name) for device in devices}


class CameraSource(LiveSource):
    """Read a V4L2 device until it is closed, silent or unplugged."""

    def __init__(
        self,
        device: int | str,
        *,
        timeouts_s: tuple[float, float] = (5.0, 3.0),
        options: Mapping[str, str] | None = None,
        limits: PictureLimits = USUAL_LIMITS,
    ) -> None:
        """Open the device.

        Args:
            device: Number N of `/dev/videoN`, or the path of the device.
            timeouts_s: Longest wait for opening and for one frame.
            options: Options of FFmpeg's v4l2 input, such as `video_size`, `framerate` and `input_format`.
            limits: How large its pictures may be.
        Raises:
            SourceError: If there is no such camera or it cannot be used; lists those that there are.
        """
        path = f"/dev/video{device}" if isinstance(device, int) else device
        if not Path(path).exists():
            raise SourceError(f"there is no camera {path}; {_present_cameras()}", SourceErrorCode.NOT_FOUND)
        # Without nonblock a read waits in the kernel for as long as the camera is silent, past any timeout.
        merged = {"fflags": "nonblock+nobuffer", **(options or {})}
        container = open_container(
            path, name=path, timeouts_s=timeouts_s, options=merged, format_name="v4l2", limits=limits
        )
        super().__init__(
            container,
            path,
            read_timeout_s=timeouts_s[1],
            no_frame_limit_s=timeouts_s[1],
            monotonic_pts=True,
            limits=limits,
        )


def _description(device_name: str) -> str:
    try:
        return (_DESCRIPTIONS / device_name / "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _present_cameras() -> str:
    cameras = list_cameras()
    if not cameras:
        return "this machine has no /dev/video* at all (in a container, pass the device in)"
    return "there are: " + ", ".join(f"{path} ({name})" if name else path for path, name in cameras.items())
