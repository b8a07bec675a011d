// Which streams there are, which one is chosen, and the camera of this device.

import { ask, Refusal } from "./connection.js";
import { sentenceKey } from "./words.js";

const $ = (id) => document.getElementById(id);

export class Sources {
  // onChosen(stream): another one was chosen, or what is known of them was asked for anew.
  constructor(onChosen) {
    Object.assign(this, { onChosen, token: sessionStorage.getItem("ssa-token") ?? "" });
    this.info = { streams: [], ice_servers: [], threshold: 0.5 };
    this.camera = null;
    this.prompts = [];
    this.#readLink();
    $("source").onchange = () => this.#choose();
  }

  get chosen() { return this.info.streams.find(({ name }) => name === $("source").value); }

  keepToken(token) { sessionStorage.setItem("ssa-token", this.token = token); }

  // Ask the server what there is. Throws what `ask` throws.
  async fetch() {
    this.info = await (await ask("api/streams", this.token)).json();
    const { examples = [] } = this.info.checkpoint ?? {};
    $("text").placeholder = `for example: ${examples[0] ?? "the red cup on the left"}`;
    this.offer(this.prompts);
  }

  // Show examples that are not among the prompts.
  offer(prompts) {
    this.prompts = prompts;
    const known = new Set(prompts.map(({ text }) => sentenceKey(text)));
    const { examples = [] } = this.info.checkpoint ?? {};
    const offered = examples.filter((text) => !known.has(sentenceKey(text))).slice(0, 6);
    $("examples").hidden = !offered.length;
    const chips = [...$("examples").children].map((one) => one.textContent);
    if (JSON.stringify(chips) === JSON.stringify(offered)) return;  // one may have the focus
    $("examples").replaceChildren(...offered.map((text) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
      button.onclick = () => { $("text").value = text; $("text").focus(); };
      return button;
    }));
  }

  // Ask, and let the user choose. `linked` is the name of the stream that the address asks for, once; else empty.
  async list() {
    await this.fetch();
    const label = { camera: () => "this device's camera", scene: () => "made-up scene", source: (one) => one.label };
    $("source").replaceChildren(...this.info.streams.map(
      (one) => new Option(`${one.name}: ${label[one.kind]?.(one) ?? one.label}`, one.name)));
    const { linked } = this;
    this.linked = "";
    if (linked) $("source").value = linked;
    if (linked && !this.chosen) { $("source").selectedIndex = 0; this.#choose(); throw new Refusal(404, `no ${linked}`); }
    this.#choose();
    return linked;
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

  // The address may say which stream, `#stream=NAME`, and hold a token, `#token=...`, which does not stay in it.
  #readLink() {
    const link = new URLSearchParams(location.hash.slice(1)), token = link.get("token");
    this.linked = link.get("stream") ?? "";
    if (!token) return;
    this.keepToken(token);
    link.delete("token");
    history.replaceState(null, "", `${location.pathname}${link.size ? `#${link}` : ""}`);
  }
}
