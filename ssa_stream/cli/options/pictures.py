"""Pictures that a command writes: their names, checked before the work, and their files."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ssa_stream.cli.views.console import notice
from ssa_stream.errors import ConfigError, SinkError
from ssa_stream.files import write_report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["check_picture_name", "write_picture"]


def check_picture_name(path: Path, option: str) -> None:
    """Refuse a name whose ending is of no kind of picture.

    Raises:
        ConfigError: It is.
    """
    from PIL import Image

    if path.suffix.lower() not in Image.registered_extensions():
        raise ConfigError(f"{option} {path}: pictures have no ending {path.suffix!r}; give a .png or .jpg file")


def write_picture(path: Path, picture: "NDArray[np.uint8]", option: str, *, overwrite: bool) -> None:
    """Write a picture, `(H, W, 3)` RGB, in the format of the name's ending, and tell that it is written.

    Raises:
        SinkError: The format cannot be written, or the file cannot.
    """
    from PIL import Image

    try:
        content = BytesIO()
        Image.fromarray(picture).save(content, format=Image.registered_extensions()[path.suffix.lower()])
        write_report(path, content.getvalue(), overwrite=overwrite)
    except (OSError, KeyError, ValueError) as error:  # Pillow does not know the ending, or cannot write that format
        raise SinkError(f"cannot write {path} ({error}); choose a .png or .jpg file with {option}") from error
    notice(f"wrote {path}", event="written", file=path)
