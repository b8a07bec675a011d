// The line that is always in sight: whether pictures come, how fast, how old they are, and what is wrong.

export class StatusBar {
  #root; #find;

  // root: the element from the page, with .words, .retry, .try, .rate, .age, .trouble, .reason in it.
  constructor(root, onTry) {
    this.#root = root;
    this.#find = (name) => root.querySelector(`.${name}`);
    this.#find("try").onclick = onTry;
    this.figures(null, null);
  }

  // level: "idle", "busy", "good", "bad".
  say(level, text) {
    this.#root.dataset.level = level;
    this.#put("words", text);
    this.retry(null);
  }

  // Seconds to the next attempt; null if none is being waited for. Not read out: it changes every second.
  retry(in_s) {
    this.#find("try").hidden = in_s == null;
    this.#put("retry", in_s == null ? "" : `Trying again in ${in_s} s.`);
  }

  figures(rate_hz, age_ms) {
    this.#put("rate", rate_hz == null ? "–" : rate_hz.toFixed(1));
    this.#put("age", age_ms == null ? "–" : age_ms < 1000 ? `${Math.round(age_ms)} ms` : `${(age_ms / 1000).toFixed(1)} s`);
  }

  // What is wrong with the stream although we are connected, such as a source that is gone, or too much work. `detail` is
  // for those who run the server.
  trouble(text, detail = "") {
    this.#find("trouble").hidden = !text;
    this.#find("reason").hidden = !detail;
    this.#put("reason p", detail);
    this.#root.toggleAttribute("data-trouble", Boolean(text));
    this.#put("trouble", text);
  }

  #put(name, text) {
    const element = this.#find(name);  // a page of many streams has no figures there
    if (element && element.textContent !== text) element.textContent = text;
  }
}
