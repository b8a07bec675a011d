// One session: WHIP for a camera of ours, WHEP to watch. Prompts and masks come over two data channels.

const GATHER_MS = 2000;

export class Refusal extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

export async function ask(path, token, options = {}) {
  const headers = { ...(options.headers ?? {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  if (!response.ok) throw new Refusal(response.status, (await response.text()).trim() || response.statusText);
  return response;
}

export class Connection extends EventTarget {
  // role: "publish" with a track, or "watch".
  constructor({ role, stream, track, overlay, token, iceServers }) {
    super();
    Object.assign(this, { role, stream, token, overlay, location: null, isClosed: false });
    this.waiting = new Map();
    this.numbers = 0;
    const pc = this.pc = new RTCPeerConnection({ iceServers });
    if (role === "publish") pc.addTransceiver(track, { direction: "sendonly" });
    else pc.addTransceiver("video", { direction: "recvonly" });
    this.prompts = pc.createDataChannel("prompts");
    this.masks = pc.createDataChannel("masks", { ordered: false, maxPacketLifeTime: 500 });
    this.masks.binaryType = "arraybuffer";
    this.prompts.onmessage = (event) => this.#take(JSON.parse(event.data));
    this.masks.onmessage = (event) => this.#tell("masks", event.data);
    pc.ontrack = (event) => this.#tell("track", event.track);
    pc.onconnectionstatechange = () => {
      if (pc.connectionState === "connected") this.#tell("connected");
      if (["failed", "disconnected", "closed"].includes(pc.connectionState)) this.#end("the connection is gone");
    };
  }

  async open() {
    const pc = this.pc;
    await pc.setLocalDescription();
    await gathered(pc);
    const path = this.role === "publish" ? `whip/${encodeURIComponent(this.stream)}`
      : `whep/${encodeURIComponent(this.stream)}${this.overlay ? "?overlay=1" : ""}`;
    const response = await ask(path, this.token, {
      method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp });
    this.location = response.headers.get("Location");
    await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
  }

  // Ask for other prompts; the answer comes with the first frame that they apply to.
  command(body) {
    const id = `c${++this.numbers}`;
    return new Promise((resolve, reject) => {
      if (this.prompts.readyState !== "open") { reject(new Error("not connected")); return; }
      this.waiting.set(id, { resolve, reject });
      this.prompts.send(JSON.stringify({ ...body, id }));
      setTimeout(() => { if (this.waiting.delete(id)) reject(new Error("no answer")); }, 8000);
    });
  }

  close() {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.location) {
      const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
      fetch(this.location, { method: "DELETE", keepalive: true, headers }).catch(() => {});
    }
    this.pc.close();
  }

  #take(message) {
    const waiting = message.id == null ? null : this.waiting.get(message.id);
    if (waiting) {
      this.waiting.delete(message.id);
      if (message.type === "error") waiting.reject(new Error(message.text)); else waiting.resolve(message);
    }
    if (message.type === "end") this.#end(message.text); else this.#tell(message.type, message);
  }

  #end(text) {
    if (this.isClosed) return;
    this.close();
    this.#tell("end", text);
  }

  #tell(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }
}

function gathered(pc) {
  return new Promise((resolve) => {
    const look = () => { if (pc.iceGatheringState === "complete") resolve(); };
    pc.addEventListener("icegatheringstatechange", look);
    setTimeout(resolve, GATHER_MS);
    look();
  });
}
