// Mask messages: little-endian length, JSON header, then its layers as LZ4 blocks of label maps.

const TEXT = new TextDecoder();

export function readMasks(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(TEXT.decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  header.labels = header.layers.map((layer) => {
    const raw = unpackLz4(new Uint8Array(buffer, at, layer.bytes), layer.raw);
    at += layer.bytes;
    return layer.dtype === "uint16" ? new Uint16Array(raw.buffer) : raw;
  });
  return header;
}

// One LZ4 block; throws where it is damaged, as no reader may trust lengths.
export function unpackLz4(data, size) {
  if (size > 1 << 28) throw new Error(`a label map of ${size} bytes`);
  const out = new Uint8Array(size);
  let from = 0, to = 0;
  const more = (length) => {
    let byte;
    do { byte = data[from++]; length += byte; } while (byte === 255);
    return length;
  };
  while (from < data.length) {
    const token = data[from++];
    let length = token >> 4;
    if (length === 15) length = more(length);
    if (to + length > size || from + length > data.length) throw new Error("a damaged label map");
    out.set(data.subarray(from, from + length), to);
    from += length; to += length;
    if (from >= data.length) break;
    const offset = data[from] | (data[from + 1] << 8);
    from += 2;
    length = token & 15;
    if (length === 15) length = more(length);
    length += 4;
    if (!offset || offset > to || to + length > size) throw new Error("a damaged label map");
    for (const end = to + length; to < end; to++) out[to] = out[to - offset];
  }
  if (to !== size) throw new Error(`a label map of ${to} bytes, not ${size}`);
  return out;
}
