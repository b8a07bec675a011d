"""Which codecs an offer names, and which are accepted."""

import re
from collections.abc import Iterable

from aiortc import RTCRtpReceiver

__all__ = ["accepted_codecs", "offered_codecs", "refused_kind", "refused_text"]

_RTPMAP = re.compile(r"^a=rtpmap:([0-9]+) ([^/\s]+)/", re.MULTILINE)
_FMTP = re.compile(r"^a=fmtp:([0-9]+) (.*)$", re.MULTILINE)
_PROFILE = re.compile(r"profile-level-id=([0-9a-fA-F]{6})")
_PACKETS = re.compile(r"packetization-mode=([0-9])")
# These only accompany another codec.
_HELPERS = frozenset({"rtx", "red", "ulpfec", "flexfec-03", "cn", "telephone-event"})
_MOST_NAMES, _NAME_LENGTH = 16, 40
"""Of what a stranger offers an error names no more."""
_REFUSED = re.compile(r"Failed to set remote (audio|video) description send parameters")


def refused_kind(error: Exception) -> str | None:
    """Whether aiortc refused an offer because no codec of it is known: `video` or `audio` then, else None."""
    match = _REFUSED.search(str(error))
    return None if match is None else match[1]


def refused_text(offer: str, kind: str) -> str:
    """Say which codecs an offer has and which are accepted.

    Args:
        offer: Session description.
        kind: `video` or `audio`.
    """
    offered, accepted = offered_codecs(offer, kind), accepted_codecs(kind)
    return (
        f"the {kind} codecs of the offer are {', '.join(offered) or 'none'}; accepted are {', '.join(accepted)}: "
        "let the sender offer one of these"
    )


def accepted_codecs(kind: str) -> list[str]:
    """Return the codecs that are accepted, H264 with its profile."""
    capabilities = RTCRtpReceiver.getCapabilities(kind)
    return _distinct(
        _named(
            codec.mimeType.partition("/")[2],
            _details(";".join(f"{key}={value}" for key, value in codec.parameters.items())),
        )
        for codec in (capabilities.codecs if capabilities is not None else ())
    )


def offered_codecs(offer: str, kind: str) -> list[str]:
    """Return the codecs of all sections of that kind, in the order of the offer, H264 with its profile.

    Of many only the first are named, and how many others there are.
    """
    names = []
    for section in re.split(r"(?m)^(?=m=)", offer.replace("\r\n", "\n")):
        if section.startswith(f"m={kind}"):
            details: dict[str, str] = {}  # each line is read once, however many codecs refer to it
            for number, parameters in _FMTP.findall(section):
                if number not in details:
                    details[number] = _details(parameters)
            names += [_named(name[:_NAME_LENGTH], details.get(number, "")) for number, name in _RTPMAP.findall(section)]
    found = _distinct(names)
    return found if len(found) <= _MOST_NAMES else [*found[:_MOST_NAMES], f"{len(found) - _MOST_NAMES} others"]


def _named(name: str, details: str) -> str:
    return f"{name} ({details})" if name.upper() == "H264" and details else name


def _details(parameters: str) -> str:
    profile, packets = _PROFILE.search(parameters), _PACKETS.search(parameters)
    details = [f"profile-level-id={profile[1].lower()}"] if profile else []
    details += [f"packetization-mode={packets[1]}"] if packets else []
    return ", ".join(details)


def _distinct(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name.lower() not in _HELPERS]
