"""Which of several video streams of a container is read."""

from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from ssa_stream.errors import SourceError, SourceErrorCode

__all__ = ["choose_video_stream"]


def choose_video_stream(container: InputContainer, name: str, number: int | None = None) -> VideoStream:
    """Return the video stream to read, and tell FFmpeg to pass over all others.

    Args:
        container: Just opened.
        name: What to call it in messages.
        number: Which of its video streams, from 0; None leaves the choice to FFmpeg, which prefers the stream that is
            marked as default, then the one of the highest bit rate.
    Raises:
        SourceError: It holds no video, or no stream of that number; the text says what it holds.
    """
    videos = [video for video in container.streams.video if Disposition.attached_pic not in video.disposition]
    if not videos:
        raise SourceError(_no_video(container, name), SourceErrorCode.UNSUPPORTED_CODEC)
    if number is None:
        best = container.streams.best("video")
        chosen = next((video for video in videos if video is best), videos[0])
    elif number < len(videos):
        chosen = videos[number]
    else:
        listed = "; ".join(f"{position}: {_described(video)}" for position, video in enumerate(videos))
        raise SourceError(
            f"{name} has no video stream {number}; it has {listed}. Choose one with #stream=N",
            SourceErrorCode.NOT_FOUND,
        )
    for stream in container.streams:
        if stream.index != chosen.index:
            stream.discard = Discard.all
    return chosen


def _described(video: VideoStream) -> str:
    context = video.codec_context
    codec = "unknown codec" if context is None else context.name
    size = f"{video.width}x{video.height}" if video.width and video.height else "unknown size"
    mark = ", default" if Disposition.default in video.disposition else ""
    return f"{codec}, {size}{mark}"


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
