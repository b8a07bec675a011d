// Keeps one connection: when it is lost it is made again, with pauses that grow, until stop() or a refusal that waiting
// does not mend. It knows nothing of prompts and pictures, so that every page can use it.
//
// Event "phase" with { phase, error?, end?, attempt, in_s }: connecting, connected, waiting (in_s seconds to the next
// attempt, told once a second), stopped (error: the refusal).

import { Refusal } from "./connection.js";

const PAUSES_S = [1, 2, 4, 8, 15];
const STEADY_MS = 10_000;  // a connection that held for so long begins the pauses anew
const LOOK_MS = 2000, ABSENCE_MS = 10_000;  // timers that are so late: the machine slept
const UNFREED_MS = 20_000;  // by then the server has missed a peer that is gone
const PASSING = [408, 425, 429, 500, 502, 503, 504];
const FINAL_ENDS = ["bitrate", "edge"];  // the same would happen again

export class Reconnector extends EventTarget {
  #make; #connection = null; #round = 0; #attempt = 0; #timer = null; #connectedAt = 0; #phase = "stopped";
  #goodbye = null; #unfreedAt = -Infinity;

  // make(): builds and opens a connection and resolves to it.
  constructor(make) {
    super();
    this.#make = make;
    addEventListener("online", () => this.wake());
    addEventListener("offline", () => this.wake());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.wake(); });
    addEventListener("pageshow", (event) => { if (event.persisted) this.wake(); });
    addEventListener("pagehide", () => this.#connection?.close());
    let before = Date.now();
    setInterval(() => {
      const now = Date.now();
      if (now - before > LOOK_MS + ABSENCE_MS) this.wake();
      before = now;
    }, LOOK_MS);
  }

  get connection() { return this.#phase === "connected" ? this.#connection : null; }

  get isWanted() { return this.#phase !== "stopped"; }

  start() {
    this.#attempt = 0;
    this.#try();
  }

  // Do not wait any longer for the next attempt.
  tryNow() { if (this.#phase === "waiting") this.#try(); }

  // The page or its machine was away: nothing that is known of the connection is certain.
  wake() {
    if (this.#phase === "waiting") this.#try();
    else if (this.#phase === "connected") {
      if (this.#connection.isClosed) this.#lost({ code: "connection", text: "" }); else this.#connection.check();
    }
  }

  // The user's wish: nothing is tried again. Resolves when the server has freed our place.
  stop() {
    this.#leave();
    this.#goodbye = this.#connection?.close() ?? this.#goodbye;
    this.#connection = null;
    this.#say("stopped");
    return this.#goodbye;
  }

  #leave() {
    this.#round++;
    clearInterval(this.#timer);
  }

  async #try() {
    this.#leave();
    const round = this.#round;
    this.#say("connecting");
    this.#goodbye = this.#connection?.close() ?? this.#goodbye;
    this.#connection = null;
    if (await this.#goodbye === false) this.#unfreedAt = performance.now();
    if (round !== this.#round) return;
    this.#goodbye = null;
    try {
      const connection = await this.#make();
      if (round !== this.#round) { connection.close(); return; }
      this.#connection = connection;
      connection.addEventListener("end", (event) => { if (round === this.#round) this.#lost(event.detail); });
      if (connection.isClosed) this.#lost({ code: "connection", text: "" });
      else if (connection.isConnected) this.#connected(round);
      else connection.addEventListener("connected", () => this.#connected(round));
    } catch (error) {
      if (round === this.#round) this.#failed(error);
    }
  }

  #connected(round) {
    if (round !== this.#round) return;
    this.#unfreedAt = -Infinity;
    this.#connectedAt = performance.now();
    this.#say("connected");
  }

  #lost(end) {
    if (this.#phase === "connected" && performance.now() - this.#connectedAt > STEADY_MS) this.#attempt = 0;
    if (FINAL_ENDS.includes(end.code)) { this.#leave(); this.#say("stopped", { end }); return; }
    this.#wait({ end });
  }

  #failed(error) {
    if (error.mayHoldPlace) this.#unfreedAt = performance.now();
    // A place that we could not give back (the network was away) is taken by ourselves: it is free again soon.
    const isOurOwn = error.status === 409 && performance.now() - this.#unfreedAt < UNFREED_MS;
    const mayPass = error instanceof Refusal ? isOurOwn || PASSING.includes(error.status)
      : error instanceof TypeError || ["TimeoutError", "AbortError"].includes(error.name);  // of fetch: no answer
    if (mayPass) { this.#wait({ error }); return; }
    this.#leave();
    this.#say("stopped", { error });
  }

  #wait(why) {
    this.#leave();
    const base_s = PAUSES_S[Math.min(this.#attempt++, PAUSES_S.length - 1)];
    const until = performance.now() + 1000 * base_s * (0.8 + 0.4 * Math.random());  // not all pages at the same moment
    // A forgotten page whose time is up leaves its place to others until somebody looks at it.
    const isParked = () => why.end?.code === "session" && document.hidden;
    const look = () => {
      const left_s = (until - performance.now()) / 1000;
      if (left_s <= 0 && !isParked()) { this.#try(); return; }
      this.#say("waiting", { ...why, in_s: Math.max(1, Math.ceil(left_s)) });
    };
    this.#timer = setInterval(look, 250);
    look();  // whoever hears of it may stop us
  }

  #say(phase, more = {}) {
    const key = `${phase} ${more.in_s ?? ""}`;
    if (phase === "waiting" && key === this.lastSaid) return;
    this.lastSaid = key;
    this.#phase = phase;
    this.dispatchEvent(new CustomEvent("phase", { detail: { phase, attempt: this.#attempt, ...more } }));
  }
}
