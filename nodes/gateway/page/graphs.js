// A small live graph: the last minute of one figure.

const POINTS = 120;

export class Graph {
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
