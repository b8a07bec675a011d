"""A subscriber written from docs/protocol.md alone: nothing of ssa_stream, not even an LZ4 library.

python independent_subscriber.py tcp://127.0.0.1:5555 v1/cam0/masks/p1 3     # prints three messages and ends
"""

import json
import sys

import msgpack  # type: ignore[import-untyped]  # has no types
import zmq


def unpack_lz4(block: bytes) -> bytes:
    """One LZ4 block: literals, then a copy of what came before, and so on; the last one has literals only."""
    out, at = bytearray(), 0
    while True:
        token, at = block[at], at + 1
        length, at = more(block, at, token >> 4)
        out += block[at : at + length]
        at += length
        if at == len(block):
            return bytes(out)
        start, at = len(out) - int.from_bytes(block[at : at + 2], "little"), at + 2
        length, at = more(block, at, token & 15)
        for i in range(start, start + length + 4):
            out.append(out[i])


def more(block: bytes, at: int, length: int) -> tuple[int, int]:
    """A length of 15 goes on in the bytes that follow, until one is less than 255."""
    go_on = length == 15
    while go_on:
        length, at, go_on = length + block[at], at + 1, block[at] == 255
    return length, at


def main(address: str, topic: str, count: int) -> None:
    """Print what is found in `count` frames."""
    socket = zmq.Context().socket(zmq.SUB)
    socket.connect(address)
    socket.subscribe(topic)
    while count:
        received, header, *buffers = socket.recv_multipart()
        message = msgpack.unpackb(header)
        if received.decode() != topic or message["type"] != "masks" or message["v"][0] != 1:
            continue  # the subscription is a prefix: p1 also brings p10
        labels = []
        for layer in message["layers"]:
            raw = unpack_lz4(buffers[layer["buffer"]])
            assert len(raw) == layer["raw_bytes"]
            labels.append(memoryview(raw).cast("B" if layer["dtype"] == "uint8" else "H").tolist())
        areas = {track["id"]: labels[track["layer"]].count(track["label"]) for track in message["tracks"]}
        print(json.dumps({"seq": message["frame"]["seq"], "text": message["prompt"]["text"], "areas": areas}))
        count -= 1


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
