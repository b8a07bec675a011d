"""What a hostile sender can make the receiver of its video do."""

import random
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket

from ssa_stream.nodes.gateway.webrtc.receiver_limits import NearbyNacks, limit_receiver


def test_missing_packets_are_those_that_aiortc_finds() -> None:
    """Whatever is lost, comes twice or late, as long as numbers do not jump; they wrap around, too."""
    rng, ours, theirs, number = random.Random(1), NearbyNacks(), NackGenerator(), 65_000
    for _ in range(2000):
        number += rng.choice([1, 1, 1, 2, 5, 100, -3])
        packet = RtpPacket(sequence_number=number % 65_536)
        assert ours.add(packet) == theirs.add(packet)
        assert ours.missing == theirs.missing


@pytest.mark.parametrize("jump", [129, 2000, 32_767])
def test_jump_of_numbers_asks_for_nothing_and_is_not_counted_through(
    jump: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is more than a sender can send again."""
    nacks = NearbyNacks()
    assert not nacks.add(RtpPacket(sequence_number=65_500))
    assert nacks.add(RtpPacket(sequence_number=65_502))
    monkeypatch.setattr(NackGenerator, "add", None)
    assert not nacks.add(RtpPacket(sequence_number=(65_502 + jump) % 65_536))
    assert nacks.missing == set()


async def test_sources_and_requests_for_key_frames_are_bounded() -> None:
    """Packets of a new source each; and of one, which all make the buffer overflow, for a second."""
    offering, answering = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    try:
        offering.addTransceiver("video", direction="sendonly")
        await answering.setRemoteDescription(await offering.createOffer())
        receiver: Any = answering.getTransceivers()[0].receiver
        router = receiver.transport._rtp_router
        asked: list[int] = []

        async def ask(media_ssrc: int) -> None:
            """Note that a key frame was asked for."""
            asked.append(media_ssrc)

        now_s = 0.0
        monkey: Any = receiver
        monkey._send_rtcp_pli = ask
        limit_receiver(receiver, lambda: now_s)
        router.register_receiver(receiver, ssrcs=[], payload_types=[97])
        receiver._RTCRtpReceiver__codecs[97] = receiver.getCapabilities("video").codecs[0]
        for number in range(100):
            packet = RtpPacket(payload_type=97, sequence_number=number, ssrc=number)
            assert router.route_rtp(packet) is receiver
            await receiver._handle_rtp_packet(packet, 0)
        known = set(range(8))
        assert set(router.ssrc_table) == set(receiver._RTCRtpReceiver__remote_streams) == known
        for number in range(100):
            now_s += 0.01
            packet = RtpPacket(payload_type=97, sequence_number=number * 300 % 65_536)
            await receiver._handle_rtp_packet(packet, 0)
        assert 3 <= len(asked) <= 5
    finally:
        await offering.close()
        await answering.close()
