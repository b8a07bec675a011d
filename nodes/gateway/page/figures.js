// How it runs: masks a second, age, latency, and small graphs of their last minute.

const POINTS = 120, RATE_MS = 5000;

export class Figures {
  #graphs; #counted = []; #since = null;

  // Canvases, and where the latency is written; rate and age stand in the status bar.
  constructor({ rate, age, latency, latencyText }) {
    this.#graphs = { rate: new Graph(rate), age: new Graph(age), latency: new Graph(latency, latencyText, " ms") };
    this.latency_ms = null;
  }

  // Masks came: a share of those of one picture.
  count(share, latency_ms) {
    this.#counted.push({ at: performance.now(), share });
    this.latency_ms = latency_ms;
  }

  // Now and then, for the next point of the graphs. The rate is that of the last seconds: it falls to 0 if nothing comes.
  tick(isConnected, age_ms) {
    const now = performance.now();
    this.#since = isConnected ? this.#since ?? now : null;
    this.#counted = isConnected ? this.#counted.filter(({ at }) => now - at < RATE_MS) : [];
    const isIdle = !this.#counted.length, window_ms = Math.min(RATE_MS, Math.max(1000, now - this.#since));
    const rate_hz = isConnected ? this.#counted.reduce((sum, { share }) => sum + share, 0) / window_ms * 1000 : null;
    const shown = { rate: rate_hz, age: isConnected ? age_ms : null, latency: isIdle ? null : this.latency_ms };
    for (const [name, value] of Object.entries(shown)) this.#graphs[name].add(value);
    return { rate_hz, age_ms: shown.age };
  }

  clear() {
    this.#counted = [];
    this.#since = null;
    for (const graph of Object.values(this.#graphs)) graph.clear();
  }
}

class Graph {
  // output: where the newest value is written, with its unit; null if it stands elsewhere.
  constructor(canvas, output = null, unit = "") {
    Object.assign(this, { canvas, output, unit, points: [] });
  }

  add(value) {
    this.points.push(value);
    if (this.points.length > POINTS) this.points.shift();
    if (this.output) this.output.textContent = value == null ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)}${this.unit}`;
    this.#draw();
  }

  clear() {
    this.points = [];
    if (this.output) this.output.textContent = "–";
    this.#draw();
  }

  #draw() {
    const { canvas, points } = this, context = canvas.getContext("2d"), { width, height } = canvas;
    context.clearRect(0, 0, width, height);
    const top = Math.max(...points.map((one) => one ?? 0), 1e-6) * 1.15;
    const style = getComputedStyle(canvas);
    context.strokeStyle = style.getPropertyValue("--accent");
    context.lineWidth = 2;
    context.beginPath();
    let isDown = false;
    points.forEach((value, i) => {
      if (value == null) { isDown = false; return; }
      const x = i * width / (POINTS - 1), y = height - 2 - value / top * (height - 4);
      if (isDown) context.lineTo(x, y); else context.moveTo(x, y);
      isDown = true;
    });
    context.stroke();
  }
}
