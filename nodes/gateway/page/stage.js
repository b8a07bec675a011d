// Pictures and the masks that belong to them, on one canvas.

import { PLATE, boxesOf, drawOutlines, largestPiece, lineStyle, placeLabels, scaledLabels } from "./drawing.js";

const MAX_PICTURES = 96, MAX_EDGE = 640, STALE_MS = 3000, LABEL_LENGTH = 24, LEAST_LABEL_PX = 11;
// A busy browser passes over pictures of its own camera. The next masks may be of one that it has; only if there were
// none for a while, a neighbour of the right picture is better than nothing new.
const EXACT_MS = 20, NEAR_MS = 150, PATIENCE_MS = 2000, MAX_WAITING = 16;

export class Stage {
  constructor(canvas, video) {
    this.canvas = canvas;
    this.video = video;
    this.context = canvas.getContext("2d");
    this.mode = "exact";
    this.isRemote = false;
    this.rtpOrigin = null;
    this.look = () => null;  // of a prompt id: { colour, place, text, isShown, isSingle, threshold }
    this.overlay = document.createElement("canvas");
    this.labels = [];  // where they are on the overlay; null for those that found no room
    this.generation = 0;
    this.reset();
  }

  reset() {
    for (const picture of this.pictures ?? []) picture.bitmap.close();
    this.pictures = [];
    this.pending = { index: -1, masks: new Map() };
    this.shown = { index: -1, masks: new Map(), picture: null, at: 0 };
    this.waiting = [];
    this.drawn = "";
    delete this.canvas.dataset.index;
  }

  // From now on pictures of the video element are kept.
  begin(isRemote) {
    this.reset();
    this.isRemote = isRemote;
    this.rtpOrigin = null;
    const generation = ++this.generation;
    const next = async (now, meta) => {
      if (generation !== this.generation) return;
      this.video.requestVideoFrameCallback(next);
      await this.#keep(now, meta);
    };
    this.video.requestVideoFrameCallback(next);
    const draw = () => {
      if (generation !== this.generation) return;
      this.#draw();
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  }

  end() {
    this.generation++;
    this.reset();
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  forget(ids) {
    for (const masks of [this.shown.masks, this.pending.masks])
      for (const id of masks.keys()) if (!ids.includes(id)) masks.delete(id);
  }

  // Masks of one prompt; those of all prompts of a picture are shown together.
  take(masks, promptIds) {
    if (masks.index < this.pending.index && masks.epoch === this.pending.epoch) return;
    if (masks.index !== this.pending.index || masks.epoch !== this.pending.epoch) {
      if (this.pending.masks.size) this.#show();
      this.pending = { index: masks.index, epoch: masks.epoch, masks: new Map(), key: masks };
    }
    this.pending.masks.set(masks.prompt, masks);
    if (promptIds.every((id) => this.pending.masks.has(id))) this.#show();
  }

  // Milliseconds since the picture was taken whose masks are shown; null if that is not known.
  get age() {
    const key = this.shown.key;
    if (!key) return null;
    if (key.sender_ms != null) return performance.timeOrigin + performance.now() - key.sender_ms;
    return key.latency_ms == null ? null : key.latency_ms + performance.now() - this.shown.at;
  }

  #show() {
    const { index, masks, key } = this.pending;
    if (this.shown.index === index && this.shown.masks === masks) return;
    const entry = { index, masks, key, picture: this.#pictureOf(key), at: performance.now() };
    if (entry.picture || this.mode !== "exact") { this.#display(entry); return; }
    // Pictures that are sent to us come later than their masks; a picture of our own that is not there is gone.
    if (this.isRemote && this.rtpOrigin != null && key.video_pts != null) {
      this.waiting.push(entry);
      if (this.waiting.length > MAX_WAITING) this.waiting.shift();
    } else if (!this.shown.picture) this.#display(entry);
  }

  #display(entry) {
    const before = this.shown.picture;
    if (before && before !== entry.picture && !this.pictures.includes(before)) before.bitmap.close();
    this.shown = entry;
    this.canvas.dataset.index = entry.index;
    this.canvas.dataset.matched = entry.picture ? "yes" : "no";
  }

  // A picture came: perhaps that of masks which wait for it, and then those before it need not wait any more.
  #match() {
    for (let i = this.waiting.length - 1; i >= 0; i--) {
      const picture = this.#pictureOf(this.waiting[i].key);
      if (!picture) continue;
      this.#display({ ...this.waiting[i], picture });
      this.waiting.splice(0, i + 1);
      return;
    }
  }

  async #keep(now, meta) {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!width || this.mode === "server") return;
    const scale = Math.min(1, MAX_EDGE / Math.max(width, height));
    const generation = this.generation;
    let bitmap;
    try {
      bitmap = await createImageBitmap(this.video, { resizeWidth: Math.round(width * scale), resizeHeight: Math.round(height * scale) });
    } catch { return; }  // the video ended at this very moment
    if (generation !== this.generation) { bitmap.close(); return; }
    this.pictures.push({ bitmap, time: meta.captureTime ?? now, rtp: meta.rtpTimestamp, at: performance.now() });
    this.#match();
    const wanted_ms = Math.max(1000, 1.5 * (this.age ?? 0) + 500);
    while (this.pictures.length > MAX_PICTURES || performance.now() - this.pictures[0].at > wanted_ms) {
      const old = this.pictures.shift();
      if (old !== this.shown.picture) old.bitmap.close();
    }
  }

  // The picture that masks were made of: by its time of capture if it is ours, by its RTP time if it was sent to us.
  #pictureOf(key) {
    if (!key || !this.pictures.length) return null;
    if (this.isRemote) {
      if (this.rtpOrigin == null || key.video_pts == null) return null;
      const rtp = (this.rtpOrigin + key.video_pts) % 2 ** 32;
      return this.pictures.find((one) => one.rtp === rtp) ?? null;
    }
    if (key.sender_ms == null) return null;
    const time = key.sender_ms - performance.timeOrigin;
    let best = null;
    for (const one of this.pictures)
      if (!best || Math.abs(one.time - time) < Math.abs(best.time - time)) best = one;
    const off = Math.abs(best.time - time), isLate = performance.now() - this.shown.at > PATIENCE_MS;
    if (off > (isLate ? NEAR_MS : EXACT_MS)) return null;
    this.canvas.dataset.offBy = (best.time - time).toFixed(1);
    return best;
  }

  #draw() {
    const { context, canvas, video } = this;
    const newest = this.pictures.at(-1);
    const isFresh = performance.now() - this.shown.at < STALE_MS && this.shown.masks.size > 0;
    const picture = this.mode === "exact" && isFresh && this.shown.picture ? this.shown.picture : newest;
    if (this.mode === "server") {
      if (!video.videoWidth) return;
      fit(canvas, video.videoWidth, video.videoHeight);
      context.drawImage(video, 0, 0, canvas.width, canvas.height);
      return;
    }
    if (!picture) return;
    fit(canvas, picture.bitmap.width, picture.bitmap.height);
    context.drawImage(picture.bitmap, 0, 0, canvas.width, canvas.height);
    if (!isFresh) return;
    this.#drawOverlay();
    context.drawImage(this.overlay, 0, 0);
  }

  // Masks and labels are drawn once, however often their picture is shown.
  #drawOverlay() {
    const { width, height } = this.canvas, shrunk = Math.max(1, width / (this.canvas.clientWidth || width));
    const all = [...this.shown.masks.values()].filter((one) => this.look(one.prompt));
    all.sort((one, other) => this.look(one.prompt).place - this.look(other.prompt).place);
    const looks = all.map((one) => [one.version, one.epoch, one.index, one.prompt, this.look(one.prompt)]);
    const wanted = JSON.stringify([width, height, shrunk.toFixed(1), looks]);
    if (wanted === this.drawn) return;
    this.drawn = wanted;
    fit(this.overlay, width, height);
    const context = this.overlay.getContext("2d"), image = new ImageData(width, height);
    const objects = new Map(all.map((one) => [one, this.#objects(one)]));
    drawOutlines(new Uint32Array(image.data.buffer), height, width, [...objects.values()].flat(), lineStyle(height, width));
    context.putImageData(image, 0, 0);
    this.#drawLabels(context, objects, shrunk);
  }

  #objects(masks) {
    const size = [this.canvas.height, this.canvas.width], { colour, place } = this.look(masks.prompt);
    const tracks = this.visible(masks);
    return masks.labels.flatMap((own, layer) => {
      const wanted = new Set(tracks.filter((one) => one.layer === layer).map((one) => one.label));
      if (!wanted.size) return [];
      const labels = scaledLabels(own, masks.size, size, wanted);
      return [...boxesOf(labels, ...size)].map(([label, box]) => ({ labels, label, layer, box, colour, isRising: place % 2 === 0 }));
    });
  }

  // Each stands at the largest piece of its object.
  #drawLabels(context, objects, shrunk) {
    const { width, height } = this.canvas, font = Math.round(Math.max(height / 28, LEAST_LABEL_PX * shrunk));
    const line = Math.round(font * 1.4), bullet = Math.round(line / 4);
    context.font = `500 ${font}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const labels = [...objects].flatMap(([masks, own]) => {
      const { colour, text } = this.look(masks.prompt), short = shortened(text);
      const sx = width / masks.source_size[1], sy = height / masks.source_size[0];
      const boxOf = ({ layer, label, box }) => {
        const drawn = own.find((one) => one.layer === layer && one.label === label);
        return drawn ? largestPiece(drawn.labels, label, drawn.box, width)
          : [box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy].map(Math.round);  // too small to be drawn
      };
      return this.visible(masks).sort((one, other) => one.id - other.id).map((one) => ({
        colour, texts: [`#${one.id} ${short} ${one.score.toFixed(2)}`, `#${one.id}`],
        box: boxOf(one) }));
    });
    const sizes = labels.map(({ texts }) => texts.map((one) => [Math.ceil(context.measureText(one).width) + 5 * bullet, line]));
    this.labels = placeLabels(labels.map(({ box }) => box), sizes, [width, height]).map((place, i) => {
      if (!place) return null;
      const { x, y, choice } = place, { colour, texts } = labels[i], size = sizes[i][choice];
      context.fillStyle = PLATE;
      context.fillRect(x, y, ...size);
      context.fillStyle = `rgb(${colour})`;
      context.fillRect(x + bullet, y + bullet, 2 * bullet, line - 2 * bullet);
      context.fillStyle = "#fff";
      context.fillText(texts[choice], x + 4 * bullet, y + line / 2);
      return [x, y, x + size[0], y + size[1]];
    });
  }

  // Tracks that the page shows of those that the graph found.
  visible(masks) {
    const look = this.look(masks.prompt);
    if (!look || !look.isShown) return [];
    const tracks = masks.tracks.filter((one) => one.area > 0 && one.score >= look.threshold);
    tracks.sort((one, other) => other.score - one.score);
    return look.isSingle ? tracks.slice(0, 1) : tracks;
  }
}

function shortened(text) {
  const characters = [...text];
  return characters.length <= LABEL_LENGTH ? text : characters.slice(0, LABEL_LENGTH - 3).join("").trimEnd() + "...";
}

function fit(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
}
