// Pictures and the masks that belong to them, on one canvas.

const MAX_PICTURES = 96, MAX_EDGE = 640, STALE_MS = 3000, OPACITY = 115;
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
    this.look = () => null;  // of a prompt id: { colour, text, isShown, isSingle, threshold }
    this.tint = document.createElement("canvas");
    this.generation = 0;
    this.reset();
  }

  reset() {
    for (const picture of this.pictures ?? []) picture.bitmap.close();
    this.pictures = [];
    this.pending = { index: -1, masks: new Map() };
    this.shown = { index: -1, masks: new Map(), picture: null, at: 0 };
    this.waiting = [];
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
    for (const masks of this.shown.masks.values()) this.#drawMasks(masks);
    for (const masks of this.shown.masks.values()) this.#drawLabels(masks);
  }

  #drawMasks(masks) {
    const tracks = this.visible(masks);
    if (!tracks.length) return;
    const [height, width] = masks.size, [red, green, blue] = this.look(masks.prompt).colour;
    const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
    const inside = (OPACITY << 24 | blue << 16 | green << 8 | red) >>> 0, edge = (255 << 24 | blue << 16 | green << 8 | red) >>> 0;
    masks.labels.forEach((labels, layer) => {
      const wanted = new Set(tracks.filter((one) => one.layer === layer).map((one) => one.label));
      if (!wanted.size) return;
      for (let y = 0, at = 0; y < height; y++)
        for (let x = 0; x < width; x++, at++) {
          const label = labels[at];
          if (!label || !wanted.has(label)) continue;
          const isEdge = x === 0 || y === 0 || x === width - 1 || y === height - 1 || labels[at - 1] !== label
            || labels[at + 1] !== label || labels[at - width] !== label || labels[at + width] !== label;
          pixels[at] = isEdge ? edge : inside;
        }
    });
    fit(this.tint, width, height);
    this.tint.getContext("2d").putImageData(image, 0, 0);
    this.context.drawImage(this.tint, 0, 0, this.canvas.width, this.canvas.height);
  }

  #drawLabels(masks) {
    const { context, canvas } = this, look = this.look(masks.prompt);
    const sx = canvas.width / masks.source_size[1], sy = canvas.height / masks.source_size[0];
    context.font = `600 ${Math.max(12, Math.round(canvas.height / 28))}px system-ui, sans-serif`;
    context.textBaseline = "bottom";
    for (const track of this.visible(masks)) {
      const text = `${look.text} #${track.id} ${track.score.toFixed(2)}`;
      const width = context.measureText(text).width + 8, height = Math.max(16, Math.round(canvas.height / 20));
      const x = Math.min(track.box[0] * sx, canvas.width - width), y = Math.max(height, track.box[1] * sy);
      context.fillStyle = `rgb(${look.colour})`;
      context.fillRect(Math.max(0, x), y - height, width, height);
      context.fillStyle = "#10151b";
      context.fillText(text, Math.max(0, x) + 4, y - 1);
    }
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

function fit(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
}
