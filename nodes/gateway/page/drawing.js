// Masks as outlines and hatching, and places for labels: pixel by pixel as ssa_stream/viz/outlines.py and labels.py do.

export const OPACITY = 0.2, PLATE = "rgb(16, 21, 27)";
const DARK = [0, 0, 0], LIGHT = [255, 255, 255], WITHIN = 4;

export function lineStyle(height, width, opacity = OPACITY) {
  const line = Math.max(1, Math.floor(Math.min(height, width) / 120 + 0.5)), edge = Math.max(1, Math.floor(line / 3));
  if (opacity <= 0) return { line, edge, stripe: 0, pitch: 1 };
  return { line, edge, stripe: line, pitch: Math.max(1, Math.floor(line / opacity + 0.5)) };
}

// A label map of another size, without the labels that are not wanted.
export function scaledLabels(labels, [fromHeight, fromWidth], [height, width], wanted) {
  const scaled = new Uint16Array(height * width);
  const columns = Uint32Array.from({ length: width }, (_, x) => Math.floor((x + 0.5) * fromWidth / width));
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor((y + 0.5) * fromHeight / height) * fromWidth;
    for (let x = 0; x < width; x++, at++) {
      const label = labels[row + columns[x]];
      if (wanted.has(label)) scaled[at] = label;
    }
  }
  return scaled;
}

// Left, top, right and bottom of each label of a map.
export function boxesOf(labels, height, width) {
  const boxes = new Map();
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at++) {
      const label = labels[at];
      if (!label) continue;
      const box = boxes.get(label);
      if (!box) { boxes.set(label, [x, y, x + 1, y + 1]); continue; }
      if (x < box[0]) box[0] = x;
      if (x >= box[2]) box[2] = x + 1;
      box[3] = y + 1;
    }
  return boxes;
}

// The box of the largest connected piece of a label within its box; of pieces of one size the upper, then the left one.
export function largestPiece(labels, label, [left, top, right, bottom], width) {
  const columns = right - left, rows = bottom - top, wanted = new Uint8Array(columns * rows);
  for (let y = 0, at = 0; y < rows; y++)
    for (let x = 0; x < columns; x++, at++) wanted[at] = labels[(top + y) * width + left + x] === label;
  const stack = new Int32Array(columns * rows);
  let best = null;
  for (let first = 0; first < wanted.length; first++) {
    if (!wanted[first]) continue;
    const piece = { area: 0, box: [columns, rows, 0, 0] }, { box } = piece;
    let depth = 0;
    const visit = (at) => { wanted[at] = 0; stack[depth++] = at; };
    visit(first);
    while (depth) {
      const at = stack[--depth], x = at % columns, y = (at - x) / columns;
      piece.area++;
      if (x < box[0]) box[0] = x;
      if (y < box[1]) box[1] = y;
      if (x >= box[2]) box[2] = x + 1;
      if (y >= box[3]) box[3] = y + 1;
      for (let row = Math.max(0, y - 1); row <= Math.min(rows - 1, y + 1); row++)
        for (let column = Math.max(0, x - 1); column <= Math.min(columns - 1, x + 1); column++)
          if (wanted[row * columns + column]) visit(row * columns + column);
    }
    const isBetter = !best || piece.area - best.area || best.box[1] - box[1] || best.box[0] - box[0];
    if (isBetter === true || isBetter > 0) best = piece;
  }
  return best && [left + best.box[0], top + best.box[1], left + best.box[2], top + best.box[3]];
}

// Draws objects { labels, label, box, colour, isRising } on RGBA pixels: all hatchings, then all outlines.
export function drawOutlines(pixels, height, width, objects, style) {
  const regions = objects.map((one) => codesOf(one, height, width, style));
  for (const [i, { colour, isRising }] of objects.entries())
    eachPixel(regions[i], width, (code, at, x, y) => {
      if (code !== WITHIN) return;
      const place = (isRising ? x + y : x - y) % style.pitch;
      if ((place < 0 ? place + style.pitch : place) < style.stripe) pixels[at] = packed(colour);
    });
  for (const [i, { colour }] of objects.entries()) {
    const colours = [0, DARK, colour, LIGHT].map((one) => one && packed(one));
    eachPixel(regions[i], width, (code, at) => { if (code && code !== WITHIN) pixels[at] = colours[code]; });
  }
}

const packed = ([red, green, blue]) => (255 << 24 | blue << 16 | green << 8 | red) >>> 0;

function eachPixel({ codes, left, top, columns, rows }, width, draw) {
  for (let y = 0, at = 0; y < rows; y++)
    for (let x = 0; x < columns; x++, at++) draw(codes[at], (top + y) * width + left + x, left + x, top + y);
}

// Of the region around an object: 0 outside, 1 dark edge, 2 line, 3 light edge, 4 within; beyond the picture is outside.
function codesOf({ labels, label, box }, height, width, { line, edge }) {
  const left = Math.max(0, box[0] - edge), top = Math.max(0, box[1] - edge);
  const columns = Math.min(width, box[2] + edge) - left, rows = Math.min(height, box[3] + edge) - top;
  const codes = new Uint8Array(columns * rows);
  // With a margin of two pixels, so that neighbours need no checks.
  const pitch = columns + 4, inside = new Uint8Array(pitch * (rows + 4));
  for (let y = 0, at = 0; y < rows; y++)
    for (let x = 0; x < columns; x++, at++)
      if (labels[(top + y) * width + left + x] === label) { codes[at] = WITHIN; inside[(y + 2) * pitch + x + 2] = 1; }
  const mark = (x, y, offsets, change) => {
    for (const [dx, dy] of offsets) {
      const column = x + dx, row = y + dy;
      if (column < 0 || row < 0 || column >= columns || row >= rows) continue;
      codes[row * columns + column] = change(codes[row * columns + column]);
    }
  };
  const darken = (code) => code || 1, lighten = (code) => code === WITHIN ? 3 : code, colour = (code) => code > 2 ? 2 : code;
  const outer = disc(edge), both = disc(line + edge), inner = disc(line);
  // Only pixels at the border of the object decide; those outside of it may lie beyond the picture.
  for (let y = -1; y <= rows; y++)
    for (let x = -1; x <= columns; x++) {
      const at = (y + 2) * pitch + x + 2, own = inside[at];
      if (inside[at - 1] === own && inside[at + 1] === own && inside[at - pitch] === own && inside[at + pitch] === own) continue;
      if (own) { mark(x, y, outer, darken); continue; }
      mark(x, y, both, lighten);
      mark(x, y, inner, colour);
    }
  return { codes, left, top, columns, rows };
}

function disc(radius) {
  const offsets = [];
  for (let dy = -radius; dy <= radius; dy++)
    for (let dx = -radius; dx <= radius; dx++) if (dx * dx + dy * dy <= radius * (radius + 1)) offsets.push([dx, dy]);
  return offsets;
}

// Places { choice, x, y } for labels, null where one finds none; `sizes` has for each label those it may have.
export function placeLabels(boxes, sizes, [pictureWidth, pictureHeight], top = 0) {
  const taken = [];
  const firstFree = ([left, upper, right, lower], own) => {
    for (const [choice, [width, height]] of own.entries()) {
      const within = Math.max(upper, top), most = pictureWidth - width;
      const columns = [left, right - width].map((x) => Math.min(Math.max(0, x), most));
      const rows = (...all) => all.flatMap((y) => columns.map((x) => [x, y]));
      const candidates = [...rows(upper - height, lower), [right, within], [left - width, within],
                          ...rows(within, Math.min(lower, pictureHeight) - height)];
      for (const [x, y] of candidates) {
        if (x < 0 || y < top || x + width > pictureWidth || y + height > pictureHeight) continue;
        if (taken.some((one) => x < one[2] && one[0] < x + width && y < one[3] && one[1] < y + height)) continue;
        taken.push([x, y, x + width, y + height]);
        return { choice, x, y };
      }
    }
    return null;
  };
  return boxes.map((box, i) => firstFree(box, sizes[i]));
}
