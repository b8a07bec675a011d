// Snapshots and films of what is shown, as files of the browser.

const TYPES = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

export function snapshot(canvas) { canvas.toBlob((blob) => save(blob, "png")); }

export class Recording {
  #recorder = null;

  constructor(canvas, onChange) { Object.assign(this, { canvas, onChange }); }

  toggle() { if (this.#recorder) this.#recorder.stop(); else this.#begin(); }

  stop() { this.#recorder?.stop(); }

  #begin() {
    const type = TYPES.find((one) => MediaRecorder.isTypeSupported(one)), parts = [];
    const recorder = this.#recorder = new MediaRecorder(this.canvas.captureStream(30), { mimeType: type });
    recorder.ondataavailable = (event) => parts.push(event.data);
    recorder.onstop = () => {
      this.#recorder = null;
      this.onChange(false);
      save(new Blob(parts, { type }), type.includes("mp4") ? "mp4" : "webm");
    };
    recorder.start(1000);
    this.onChange(true);
  }
}

function save(blob, ending) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `ssa-${new Date().toISOString().replace(/[:.]/g, "-")}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
