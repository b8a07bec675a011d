"""The other end of a link between processes: `ring_peer.py RUN_DIR INCARNATION FOLDER BEHAVIOUR`.

Node `b`, which receives and answers node `a`. Behaviours:

    echo    sends every tensor of every message back, from its own shared memory
    hold    keeps the first message that it gets, says so, and reads no more
"""

import asyncio
import sys
from pathlib import Path

import msgspec
import zmq.asyncio

from ssa_stream.nodes.runtime.transport.between_processes import ProcessTransport
from ssa_stream.nodes.runtime.transport.payload import OutgoingPayload
from ssa_stream.protocols import Finished, MaskFeaturesMessage


async def main(run_dir: Path, incarnation: int, folder: Path, behaviour: str) -> None:
    """Behave until killed, or until a message says that all is finished."""
    context = zmq.asyncio.Context()
    transport = ProcessTransport(context, run_dir, "b", incarnation, 2**23, folder=folder)
    inlet, outlet = transport.inlet("b"), transport.outlet(["a"])
    while (received := await inlet.receive(60)) is not None and not isinstance(received.message, Finished):
        message = received.message
        assert isinstance(message, MaskFeaturesMessage)
        if behaviour == "hold":
            frame = message.work.frame
            await outlet.send(Finished(node="b", incarnation=0, stream="cam0", epoch=frame.epoch, seq=frame.seq))
            await asyncio.sleep(60)
        payload = OutgoingPayload()
        specs = tuple(payload.add(received.tensor(spec)) for spec in message.mask_features)
        await outlet.send(msgspec.structs.replace(message, mask_features=specs), payload)
        received.release()
    transport.close()
    context.destroy(linger=0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]))
