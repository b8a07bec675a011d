// The prompts as cards: a sentence that is edited in place, how much of it was found, and how this page shows it.

import { sentenceKey } from "./words.js";

export class PromptList {
  // list, template: elements of the page. threshold(): lowest score that the graph publishes.
  // command(body): asks the server; resolves to its answer, or to null if it was refused.
  // A template without .more has no settings of how a prompt is shown.
  constructor({ list, template, threshold, command }) {
    Object.assign(this, { list, template, threshold, command, prompts: [], looks: new Map(), hints: new Map() });
  }

  get ids() { return this.prompts.map((one) => one.id); }

  look(id) { return this.looks.get(id) ?? null; }

  show(prompts) {
    this.prompts = prompts;
    for (const [place, one] of prompts.entries()) {
      const look = this.looks.get(one.id) ?? { isShown: true, isSingle: false, threshold: this.threshold() };
      this.looks.set(one.id, Object.assign(look, { place, colour: one.colour, text: one.text }));
    }
    const cards = new Map([...this.list.children].map((card) => [card.dataset.id, card]));
    const wanted = prompts.map((one) => cards.get(one.id) ?? this.#card(one.id));
    const isSame = wanted.length === this.list.children.length && wanted.every((card, i) => card === this.list.children[i]);
    if (!isSame) this.list.replaceChildren(...wanted);  // else whoever types in one would lose the focus
    for (const card of wanted) this.#name(card);
  }

  // The sentence that is a prompt already and asks for the same as this change of the prompts would; null if none does.
  same({ type, text = "", prompt_id: id }) {
    if (type !== "add") return null;
    return this.prompts.find((one) => one.id !== id && sentenceKey(one.text) === sentenceKey(text))?.text ?? null;
  }

  // Another stream: what belonged to the prompts of the one before is forgotten.
  forget() {
    this.looks.clear();
    this.hints.clear();
    this.list.replaceChildren();
    this.prompts = [];
  }

  // Something useful that the server said about a prompt; empty if nothing.
  hint(id, text) {
    if (text) this.hints.set(id, text.replaceAll(`prompt ${id}: `, ""));  // its card says which one else this.hints.delete(id);
    const card = this.#cardOf(id);
    if (card) this.#name(card);
  }

  counted(id, count) {
    const output = this.#cardOf(id)?.querySelector(".count"), text = count == null ? "" : `${count} found`;
    if (output && output.textContent !== text) output.textContent = text;
  }

  #cardOf(id) { return [...this.list.children].find((card) => card.dataset.id === id); }

  #name(card) {
    const look = this.looks.get(card.dataset.id), find = (name) => card.querySelector(`.${name}`);
    const hint = this.hints.get(card.dataset.id) ?? "";
    find("swatch").style.background = `rgb(${look.colour})`;
    if (find("name").textContent !== look.text) {
      find("name").firstElementChild.textContent = find("name").title = look.text;
      find("name").ariaLabel = `${look.text}: change this sentence`;
      find("remove").ariaLabel = `Remove ${look.text}`;
      if (find("settings")) find("settings").ariaLabel = `How ${look.text} is shown`;
    }
    find("hint-line").hidden = !hint;
    find("hint-line").textContent = hint;
  }

  #card(id) {
    const card = this.template.content.firstElementChild.cloneNode(true), look = this.looks.get(id);
    const find = (name) => card.querySelector(`.${name}`);
    card.dataset.id = id;
    if (find("more")) this.#adjustable(card, look);
    find("remove").onclick = () => this.command({ type: "remove", prompt_id: id }, look.text);
    this.#editable(card, look);
    return card;
  }

  // How this page shows it: shown or hidden, all or the best, how sure.
  #adjustable(card, look) {
    const find = (name) => card.querySelector(`.${name}`), range = find("threshold");
    range.min = this.threshold();
    range.value = look.threshold;
    find("least").textContent = look.threshold.toFixed(2);
    find("on").onchange = (event) => {
      look.isShown = event.target.checked;
      card.classList.toggle("is-off", !look.isShown);
    };
    find("many").onchange = (event) => { look.isSingle = event.target.value === "single"; };
    range.oninput = () => { look.threshold = Number(range.value); find("least").textContent = look.threshold.toFixed(2); };
    find("settings").onclick = () => {
      const isOpen = find("more").hidden;
      find("more").hidden = !isOpen;
      find("settings").ariaExpanded = String(isOpen);
    };
  }

  // Click the sentence: it becomes a field. Enter saves, Escape leaves; the prompt keeps its id and so its colour.
  #editable(card, look) {
    const find = (name) => card.querySelector(`.${name}`), form = find("edit"), field = find("sentence");
    const close = () => {
      const hadFocus = form.contains(document.activeElement);
      form.hidden = true;
      find("head").hidden = false;
      if (hadFocus) find("name").focus();
    };
    find("name").onclick = () => {
      field.value = look.text;
      field.ariaLabel = `New sentence instead of ${look.text}`;
      find("head").hidden = true;
      form.hidden = false;
      field.focus();
      field.select();
    };
    find("cancel").onclick = close;
    form.onkeydown = (event) => { if (event.key === "Escape" && !event.isComposing) { event.preventDefault(); close(); } };
    form.onsubmit = async (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (!text || text === look.text) { close(); return; }
      const answer = await this.command({ type: "add", text, prompt_id: card.dataset.id }, look.text);
      if (answer) close();
    };
  }
}
