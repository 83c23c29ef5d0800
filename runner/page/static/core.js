// What all parts of the page share: elements, the state in the address, where answers come from.
// Text of the database is only ever set as text, never as HTML.
"use strict";
window.Page = {};

(function (Page) {
  const SVG = "http://www.w3.org/2000/svg";

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of children.flat()) {
      if (child !== null && child !== undefined && child !== false) element.append(child);
    }
    return element;
  }

  Page.element = (tag, attributes, ...children) =>
    fill(document.createElement(tag), attributes, children);
  Page.drawn = (tag, attributes, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  // Sets text or attributes only where they differ, so that nothing is laid out again for nothing.
  Page.setText = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  // What goes wrong, beside the title of the page; "" when all is well.
  Page.say = (text) => Page.setText(document.getElementById("connection"), text);
  Page.setAttribute = (element, name, value) => {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  };

  // The state of the page: everything that a link must bring back.
  Page.state = () => new URLSearchParams(location.hash.slice(1));
  Page.link = (changes) => {
    const state = Page.state();
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") state.delete(name);
      else state.set(name, value);
    }
    return "#" + state.toString();
  };
  Page.go = (changes, replace) => {
    const link = Page.link(changes);
    if (link === location.hash) return;
    if (replace) {
      history.replaceState(null, "", link);
      window.dispatchEvent(new HashChangeEvent("hashchange"));
    } else {
      location.hash = link;
    }
  };

  function question(path, parameters) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(parameters || {})) {
      if (value !== "" && value !== null && value !== undefined) query.set(name, value);
    }
    const text = query.toString();
    return text ? path + "?" + text : path;
  }

  class Server {
    constructor() {
      this.live = true;
    }
    async get(path, parameters, signal) {
      let response;
      try {
        response = await fetch(question(path, parameters), { signal });
      } catch (error) {
        throw new Error("no connection: " + error.message);
      }
      const answer = await response.json().catch(() => ({}));
      if (response.ok) return answer;
      const other = response.status === 403 ? "another server is there now: open the address that it printed" : "the server has no answer";
      const error = new Error(answer.problem || other);
      error.unknown = response.status === 404;
      throw error;
    }
  }

  // One file: what a server would answer is in it, by question.
  class File {
    constructor(answers) {
      this.live = false;
      this.answers = answers;
    }
    find(path, parameters) {
      const given = Object.entries(parameters || {}).filter(([, value]) => value);
      given.sort(([one], [other]) => (one < other ? -1 : 1));
      const found = this.answers[JSON.stringify([path, given])];
      if (found === undefined) throw new Error("this file does not hold that; the database does");
      return found;
    }
    async get(path, parameters) {
      if (path === "curves") {
        const { cells, metrics, ...others } = parameters;
        const chosen = new Set(cells.split(",").map(Number));
        const lines = metrics.split(",").flatMap((each) => this.find(path, { ...others, metrics: each }));
        return lines.filter((line) => chosen.has(line.position));
      }
      if (path === "difference") {
        const { first, second, ...others } = parameters;
        const pair = [first, second].map((cell) => this.find("run", { ...others, cell }));
        return Page.differences(...pair);
      }
      return this.find(path, parameters);
    }
  }

  const held = document.getElementById("data");
  Page.source = held ? new File(JSON.parse(held.textContent)) : new Server();

  // Asks a question whose answer tells of results, and again when there are others. Of thousands of
  // runs the answer takes a second: while they end, it is asked for now and then.
  const REST = 5000; // milliseconds
  Page.ofResults = (container, path, ask, show) => {
    let [done, next, waiting] = ["", 0, null];
    return async function update(items) {
      const head = items.get("head");
      if (!head || waiting) return;
      // a repetition leaves the counts as they were
      const now = [head.counts.done, head.epochs_read, head.epochs_trained, head.recorded].join(" ");
      if (now === done) return;
      const rest = next - Date.now();
      if (rest > 0) {
        waiting = setTimeout(() => {
          waiting = null;
          if (container.isConnected) update(items).catch(() => {});
        }, rest);
        return;
      }
      next = Date.now() + REST;
      done = now;
      try {
        show(await Page.source.get(path, ask));
      } catch (error) {
        done = "";
        throw error;
      }
    };
  };

  // A table in a box that scrolls by itself.
  Page.table = (titles, rows) =>
    Page.element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": titles.join(", ") },
      Page.element(
        "table",
        {},
        Page.element("thead", {}, Page.element("tr", {}, titles.map((each) => Page.element("th", { scope: "col" }, each)))),
        Page.element("tbody", {}, rows.map((row) => Page.element("tr", {}, row.map((each) => Page.element("td", {}, each))))),
      ),
    );

  // The clipboard, or where it is not to be had, a selection.
  Page.copy = async (text, button) => {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      const area = Page.element("textarea", { class: "hidden", "aria-hidden": "true" });
      area.value = text;
      document.body.append(area);
      area.select();
      button.textContent = document.execCommand("copy") ? "copied" : "not copied";
      area.remove();
    }
    setTimeout(() => (button.textContent = before), 1500);
  };
})(window.Page);
