// Shows what the address names, and keeps it up to date while the tab is seen.
"use strict";

(function (Page) {
  const { element } = Page;
  const main = document.getElementById("main");
  let shown = null;

  Page.items = new Map();
  let firstCells = null; // by position, made when it is asked for
  Page.firstCell = (position) => {
    if (firstCells === null) {
      firstCells = new Map();
      for (const [id, cell] of Page.items) if (id.startsWith("cell:") && !firstCells.has(cell.position)) firstCells.set(cell.position, id.slice(5));
    }
    return firstCells.get(position) || null;
  };

  const seen = () =>
    new Promise((resolve) => {
      if (!document.hidden) resolve();
      else document.addEventListener("visibilitychange", () => resolve(), { once: true });
    });
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  function problem(error) {
    main.replaceChildren(element("p", { class: "problem", role: "alert" }, error.message), element("p", {}, element("a", { href: "#" }, "all experiments")));
  }

  // One experiment: its parts, and the loop that asks for what changed.
  class Experiment {
    constructor(name, variant) {
      this.ask = variant ? { experiment: name, variant } : { experiment: name };
      this.cursor = "";
      this.stopped = new AbortController();
      Page.items = new Map();
      firstCells = null;
      Page.chosen.clear();
      const sections = Object.fromEntries(["head", "tables", "curves", "plan", "settings", "since"].map((each) => [each, element("section", { id: each })]));
      const plan = element("details", { open: true }, element("summary", {}, element("h2", {}, "Plan")));
      sections.plan.append(plan);
      this.grid = element("div", { class: "experiment", hidden: true }, Object.values(sections));
      this.loading = element("p", { class: "quiet" }, "Loading …");
      main.replaceChildren(this.loading, this.grid);
      this.head = Page.head(sections.head);
      this.plan = Page.plan(plan);
      this.tables = Page.tables(sections.tables, this.ask);
      this.curves = Page.curves(sections.curves, this.ask, this.stopped.signal);
      this.settings = Page.settings(sections.settings, this.ask);
      this.since = Page.since(sections.since, this.ask);
      this.cell = Page.cell(main, this.ask, this.stopped.signal);
    }

    stop() {
      this.stopped.abort();
      document.body.classList.remove("opened");
    }

    show(changed) {
      this.grid.hidden = false;
      this.loading.remove();
      this.head(Page.items, changed);
      const others = this.curves(Page.items, changed);
      this.tables(Page.items, changed);
      if (others && changed) this.tables.refresh();
      this.plan(Page.items, changed);
      this.cell(Page.items, changed);
      for (const each of [this.settings, this.since]) each(Page.items).catch(() => {});
    }

    take(answer) {
      const changed = new Set([...Object.keys(answer.items), ...answer.gone]);
      if (answer.whole) {
        for (const id of [...Page.items.keys()]) {
          if (id in answer.items) continue;
          Page.items.delete(id);
          changed.add(id);
        }
      }
      for (const [id, value] of Object.entries(answer.items)) Page.items.set(id, value);
      for (const id of answer.gone) Page.items.delete(id);
      firstCells = null;
      const first = !this.cursor;
      this.cursor = answer.cursor;
      return first ? null : changed;
    }

    async follow() {
      while (!this.stopped.signal.aborted) {
        await seen();
        try {
          const answer = await Page.source.get("changes", { ...this.ask, after: this.cursor }, this.stopped.signal);
          Page.say("");
          const changed = this.take(answer);
          if (changed === null || changed.size) this.show(changed);
          if (!Page.source.live) return;
          await pause(200);
        } catch (error) {
          if (this.stopped.signal.aborted) return;
          if ((error.unknown && !this.cursor) || !Page.source.live) {
            problem(error);
            return;
          }
          // what is shown stays, and is kept up to date again as soon as that is possible
          Page.say(error.message);
          await pause(2000);
        }
      }
    }
  }

  function route() {
    const state = Page.state();
    const name = state.get("experiment");
    const key = name === null ? null : JSON.stringify([name, state.get("variant") || ""]);
    if (shown && shown.key === key) {
      shown.part.show(new Set());
      return;
    }
    if (shown) shown.part.stop();
    shown = null;
    Page.say("");
    if (name === null) {
      Page.overview(main, () => !shown).catch((error) => {
        if (shown) return;
        if (main.querySelector(".experiments")) Page.say(error.message);
        else problem(error);
      });
      return;
    }
    const part = new Experiment(name, state.get("variant") || "");
    shown = { key, part };
    part.follow();
  }

  window.addEventListener("hashchange", route);
  // the list is made anew whenever one comes back to it, or every few seconds while it is seen
  if (Page.source.live) {
    setInterval(() => {
      if (shown || document.hidden || Page.state().get("experiment") !== null) return;
      Page.overview(main, () => !shown).then(
        () => Page.say(""),
        (error) => Page.say(error.message),
      );
    }, 5000);
  }
  route();
})(window.Page);
