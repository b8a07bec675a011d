"""Which of several video streams of a container is read."""

from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from ssa_stream.errors import SourceError, SourceErrorCode

__all__ = ["choose_video_stream"]

_ICON = "ico"  # one picture in several sizes, a stream each
_NO_DECODER = "FFmpeg has no decoder for its codec here; expected one such as H.264, HEVC, VP9 or AV1"


def choose_video_stream(container: InputContainer, name: str, number: int | None = None) -> VideoStream:
    """Return the video stream to read, and tell FFmpeg to pass over all others.

    Args:
        container: Just opened.
        name: What to call it in messages.
        number: Which of its video streams, from 0; None leaves the choice to FFmpeg, which prefers the stream that is
            marked as default, then the one of the highest bit rate. One that cannot be decoded here is passed over. Of
            an icon it is the largest picture.
    Raises:
        SourceError: It holds no video that can be decoded, or no stream of that number; the text says what it holds.
    """
    videos = [video for video in container.streams.video if Disposition.attached_pic not in video.disposition]
    if not videos:
        raise SourceError(_no_video(container, name), SourceErrorCode.UNSUPPORTED_CODEC)
    if number is None:
        chosen = _best(container, [video for video in videos if _is_decodable(video)], name)
    elif number < len(videos):
        chosen = videos[number]
    else:
        listed = "; ".join(f"{position}: {_described(video)}" for position, video in enumerate(videos))
        raise SourceError(
            f"{name} has no video stream {number}; it has {listed}. Choose one with #stream=N",
            SourceErrorCode.NOT_FOUND,
        )
    if not _is_decodable(chosen):
        raise SourceError(
            f"video stream {number} of {name} cannot be decoded: {_NO_DECODER}", SourceErrorCode.UNSUPPORTED_CODEC
        )
    for stream in container.streams:
        if stream.index != chosen.index:
            stream.discard = Discard.all
    return chosen


def _is_decodable(video: VideoStream) -> bool:
    """Whether this build of FFmpeg has a decoder for it; without one PyAV gives the stream no codec, nor its size."""
    return video.codec_context is not None


def _best(container: InputContainer, decodable: list[VideoStream], name: str) -> VideoStream:
    if not decodable:
        raise SourceError(f"the video of {name} cannot be decoded: {_NO_DECODER}", SourceErrorCode.UNSUPPORTED_CODEC)
    if container.format.name == _ICON:
        return max(decodable, key=lambda video: video.width * video.height)
    best = container.streams.best("video")
    by_default = max(decodable, key=lambda video: Disposition.default in video.disposition)
    return next((video for video in decodable if video is best), by_default)


def _described(video: VideoStream) -> str:
    mark = ", default" if Disposition.default in video.disposition else ""
    if not _is_decodable(video):
        return f"unknown codec{mark}"
    size = f"{video.width}x{video.height}" if video.width and video.height else "unknown size"
    return f"{video.codec_context.name}, {size}{mark}"


def _no_video(container: InputContainer, name: str) -> str:
    kinds = [stream.type or "unknown data" for stream in container.streams if stream not in container.streams.video]
    found = ", ".join(sorted(set(kinds)))
    pictures = bool(container.streams.video)
    if pictures and "audio" in kinds:
        return f"{name} is audio with a cover picture: expected a video"
    if pictures:
        return f"{name} holds a cover picture and no video: expected a video"
    if set(kinds) == {"audio"}:
        return f"{name} is audio: it holds no video stream, only: audio; expected a video"
    return f"{name} holds no video stream, only: {found or 'nothing'}; expected a video"
