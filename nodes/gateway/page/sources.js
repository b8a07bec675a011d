// Which streams there are, which one is chosen, and the camera of this device.

import { ask, Refusal } from "./connection.js";

const $ = (id) => document.getElementById(id);

export class Sources {
  // onChosen(stream): another one was chosen, or what is known of them was asked for anew.
  constructor(onChosen) {
    Object.assign(this, { onChosen, token: sessionStorage.getItem("ssa-token") ?? "" });
    this.info = { streams: [], ice_servers: [], threshold: 0.5 };
    this.camera = null;
    this.#takeTokenFromLink();
    $("source").onchange = () => this.#choose();
  }

  get chosen() { return this.info.streams.find(({ name }) => name === $("source").value); }

  keepToken(token) { sessionStorage.setItem("ssa-token", this.token = token); }

  // Ask the server what there is. Throws what `ask` throws.
  async fetch() {
    this.info = await (await ask("api/streams", this.token)).json();
    const { examples = [] } = this.info.checkpoint ?? {};
    $("text").placeholder = `for example: ${examples[0] ?? "the red cup on the left"}`;
    $("examples").hidden = !examples.length;
    $("examples").replaceChildren(...examples.slice(0, 6).map((text) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      button.onclick = () => { $("text").value = text; $("text").focus(); };
      return button;
    }));
  }

  // Ask, and let the user choose.
  async list() {
    await this.fetch();
    const label = { camera: () => "this device's camera", scene: () => "made-up scene", source: (one) => one.label };
    $("source").replaceChildren(...this.info.streams.map(
      (one) => new Option(`${one.name}: ${label[one.kind]?.(one) ?? one.label}`, one.name)));
    this.#choose();
  }

  // The same stream as the server has it now: it may be another server, or have other streams.
  async again(stream) {
    await this.fetch();
    const now = this.info.streams.find(({ name }) => name === stream.name);
    if (now?.kind !== stream.kind) throw new Refusal(404, `there is no ${stream.kind} ${stream.name} any more`);
    return now;
  }

  async openCamera(onGone) {
    if (!navigator.mediaDevices) throw new Error("Browsers give their camera to https pages and to this machine's own pages only.");
    const device = $("camera").value, edge = this.info.limits.edge_px;
    this.camera = await navigator.mediaDevices.getUserMedia({ audio: false, video: {
      width: { ideal: 640, max: edge }, height: { ideal: 360, max: edge },
      frameRate: { ideal: 30 }, ...(device ? { deviceId: { ideal: device } } : {}) } });
    this.camera.getVideoTracks()[0].onended = onGone;
    return this.camera;
  }

  closeCamera() {
    this.camera?.getTracks().forEach((track) => { track.onended = null; track.stop(); });
    this.camera = null;
  }

  #choose() {
    const one = this.chosen;
    if (!one) return;
    const { name, domain } = this.info.checkpoint ?? {};
    $("domain").hidden = !domain || one.kind === "scene";
    $("domain").textContent = `The model of this server (${name}) knows ${domain} only. In other pictures it finds nothing, or the wrong thing.`;
    this.onChosen(one);
    this.#listCameras(one);
  }

  async #listCameras(one) {
    const devices = await navigator.mediaDevices?.enumerateDevices?.().catch(() => []) ?? [];
    const cameras = devices.filter(({ kind }) => kind === "videoinput"), before = $("camera").value;
    $("camera-label").hidden = one.kind !== "camera" || cameras.length < 2;
    $("camera").replaceChildren(...cameras.map((device, i) => new Option(device.label || `Camera ${i + 1}`, device.deviceId)));
    if ([...$("camera").options].some(({ value }) => value === before)) $("camera").value = before;
  }

  #takeTokenFromLink() {
    const token = new URLSearchParams(location.hash.slice(1)).get("token");
    if (!token) return;
    this.keepToken(token);
    history.replaceState(null, "", location.pathname);
  }
}
