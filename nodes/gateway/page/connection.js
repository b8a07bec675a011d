// One session: WHIP for a camera of ours, WHEP to watch. Prompts and masks come over two data channels.
//
// Events: "connected"; "end" with { code, text } once, if nobody called close(); "track", "masks", and the messages of
// the prompts channel under their types.

const GATHER_MS = 2000, OFFER_MS = 15_000, CONNECT_MS = 15_000, GOODBYE_MS = 4000, ANSWER_MS = 8000;
const DISCONNECTED_MS = 4000;  // a connection may come back so soon; "failed" does not come back
const CHECK_MS = 3000;

// The server answered, and said no.
export class Refusal extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

// The server refused a command about prompts; `code` is the protocol's, or "timeout", "closed".
export class CommandError extends Error {
  constructor(code, text) { super(text); this.code = code; }
}

export async function ask(path, token, { limit_ms = OFFER_MS, ...options } = {}) {
  const headers = { ...(options.headers ?? {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { signal: AbortSignal.timeout(limit_ms), ...options, headers });
  if (!response.ok) throw new Refusal(response.status, (await response.text()).trim() || response.statusText);
  return response;
}

export class Connection extends EventTarget {
  // role: "publish" with a track, or "watch".
  constructor({ role, stream, track, overlay, token, iceServers }) {
    super();
    Object.assign(this, { role, stream, token, overlay, location: null, isClosed: false, isConnected: false });
    this.waiting = new Map();
    this.numbers = 0;
    this.timers = new Set();
    const pc = this.pc = new RTCPeerConnection({ iceServers });
    if (role === "publish") pc.addTransceiver(track, { direction: "sendonly" });
    else pc.addTransceiver("video", { direction: "recvonly" });
    this.prompts = pc.createDataChannel("prompts");
    this.masks = pc.createDataChannel("masks", { ordered: false, maxPacketLifeTime: 500 });
    this.masks.binaryType = "arraybuffer";
    this.prompts.onmessage = (event) => this.#take(JSON.parse(event.data));
    this.masks.onmessage = (event) => this.#tell("masks", event.data);
    pc.ontrack = (event) => this.#tell("track", event.track);
    pc.onconnectionstatechange = () => this.#onState(pc.connectionState);
  }

  async open() {
    const pc = this.pc;
    await pc.setLocalDescription();
    await gathered(pc);
    const path = this.role === "publish" ? `whip/${encodeURIComponent(this.stream)}`
      : `whep/${encodeURIComponent(this.stream)}${this.overlay ? "?overlay=1" : ""}`;
    const body = pc.localDescription.sdp, headers = { "Content-Type": "application/sdp" };
    const response = await ask(path, this.token, { method: "POST", headers, body }).catch((error) => {
      error.mayHoldPlace = !(error instanceof Refusal);  // the server may have begun a session that we know nothing of
      throw error;
    });
    this.location = response.headers.get("Location");
    await pc.setRemoteDescription({ type: "answer", sdp: await response.text() });
    this.#after(CONNECT_MS, () => { if (!this.isConnected) this.lose("connect"); });
  }

  // Ask for other prompts; the answer comes with the prompts that are in force.
  command(body, limit_ms = ANSWER_MS) {
    const id = `c${++this.numbers}`;
    return new Promise((resolve, reject) => {
      if (this.prompts.readyState !== "open") { reject(new CommandError("closed", "not connected")); return; }
      this.waiting.set(id, { resolve, reject });
      this.prompts.send(JSON.stringify({ ...body, id }));
      this.#after(limit_ms, () => { if (this.waiting.delete(id)) reject(new CommandError("timeout", "no answer")); });
    });
  }

  // Is anybody there? After a sleep a connection may look alive and not be. Any answer will do.
  async check() {
    if (!this.isConnected || this.isClosed) return;
    try { await this.command({ type: "list" }, CHECK_MS); }
    catch (error) { if (["timeout", "closed"].includes(error.code)) this.lose("silence"); }
  }

  // The connection is of no use any more: everybody is told.
  lose(code, text = "") {
    if (this.isClosed) return;
    this.close();
    this.#tell("end", { code, text });
  }

  // Resolves when the server has freed our place, to false if the server could not be told.
  close() {
    if (this.isClosed) return this.goodbye;
    this.isClosed = true;
    for (const timer of this.timers) clearTimeout(timer);
    for (const { reject } of this.waiting.values()) reject(new CommandError("closed", "not connected"));
    this.waiting.clear();
    this.pc.close();
    this.goodbye = this.#sayGoodbye();
    return this.goodbye;
  }

  async #sayGoodbye() {
    if (!this.location) return true;
    try {
      await ask(this.location, this.token, { method: "DELETE", keepalive: true, limit_ms: GOODBYE_MS });
      return true;
    } catch (error) {
      return error instanceof Refusal && error.status === 404;  // it had ended already
    }
  }

  #onState(state) {
    if (state === "connected") {
      clearTimeout(this.grace);
      if (!this.isConnected) { this.isConnected = true; this.#tell("connected"); }
    } else if (state === "disconnected") {
      this.grace = this.#after(DISCONNECTED_MS, () => this.lose("connection"));
    } else if (state === "failed" || state === "closed") {
      this.lose(this.isConnected ? "connection" : "connect");
    }
  }

  #take(message) {
    const waiting = message.id == null ? null : this.waiting.get(message.id);
    if (waiting) {
      this.waiting.delete(message.id);
      if (message.type === "error") waiting.reject(new CommandError(message.code, message.text));
      else waiting.resolve(message);
    }
    if (message.type === "end") this.lose(message.code ?? "", message.text); else this.#tell(message.type, message);
  }

  #after(limit_ms, act) {
    const timer = setTimeout(() => { this.timers.delete(timer); act(); }, limit_ms);
    this.timers.add(timer);
    return timer;
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
