// The declared tables filling in, with the published value and the difference beside ours.
"use strict";

(function (Page) {
  const { element } = Page;
  const FIRST_ROWS = 200;
  const FORMS = [["latex", "LaTeX"], ["markdown", "Markdown"], ["csv", "CSV"]];

  class Table {
    constructor(name, ask) {
      this.name = name;
      this.ask = ask;
      this.rows = [];
      this.shown = 0;
      this.order = null;
      this.element = element("section", { class: "table" });
      this.body = element("tbody");
      this.more = element("button", { type: "button", class: "more", onclick: () => this.showMore() });
    }

    build(definition) {
      this.definition = definition;
      const copies = FORMS.map(([form, title]) =>
        element("button", { type: "button", onclick: (event) => this.copy(form, event.currentTarget) }, title),
      );
      const head = element("div", { class: "tablehead" }, element("h2", {}, this.name), element("span", { class: "copies" }, "copy as ", copies));
      const parts = [head];
      if (definition.about) parts.push(element("p", { class: "about" }, definition.about));
      if (definition.problem) {
        parts.push(element("p", { class: "problem" }, definition.problem));
        this.element.replaceChildren(...parts);
        return;
      }
      const titles = [element("th", { scope: "col", class: "pick" }, element("span", { class: "only-read" }, "curve"))];
      definition.columns.forEach((column, number) => {
        titles.push(this.title(column, number));
        for (const extra of column.beside) titles.push(element("th", { scope: "col", class: "right beside" }, extra));
      });
      const table = element("table", { "aria-label": this.name }, element("thead", {}, element("tr", {}, titles)), this.body);
      parts.push(element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "table " + this.name }, table), this.more);
      for (const note of definition.notes) parts.push(element("p", { class: "note" }, note));
      this.element.replaceChildren(...parts);
    }

    title(column, number) {
      const button = element("button", { type: "button", class: "sort", onclick: () => this.sort(number) }, column.title);
      return element("th", { scope: "col", class: column.right ? "right" : "", "aria-sort": "none" }, button);
    }

    async copy(form, button) {
      try {
        const answer = await Page.source.get("table", { ...this.ask, table: this.name, form });
        Page.copy(answer.text, button);
      } catch (error) {
        Page.say(error.message);
      }
    }

    sort(number) {
      const again = this.order && this.order.number === number;
      const down = again ? !this.order.down : this.definition.columns[number].metric;
      this.order = { number, down };
      this.inOrder();
    }

    inOrder() {
      const { number, down } = this.order;
      const heads = this.element.querySelectorAll("th[aria-sort]");
      heads.forEach((each, index) => {
        const order = index === number ? (down ? "descending" : "ascending") : "none";
        each.setAttribute("aria-sort", order);
      });
      const place = (row) => row.item.values[number].value;
      this.rows.sort((one, other) => {
        const [a, b] = [place(one), place(other)];
        if (a === null || b === null) return (a === null) - (b === null);
        const numbers = typeof a === "number" && typeof b === "number";
        const order = numbers ? a - b : String(a).localeCompare(String(b));
        return down ? -order : order;
      });
      this.body.replaceChildren();
      const before = this.shown;
      this.shown = 0;
      this.showMore(Math.max(FIRST_ROWS, before));
    }

    setRow(number, item) {
      let row = this.byNumber.get(number);
      if (!row) {
        row = { number, item, element: null };
        this.byNumber.set(number, row);
        this.rows.push(row);
      }
      row.item = item;
      if (row.element) this.fillRow(row);
    }

    fillRow(row) {
      const positions = this.positions(row);
      const picked = positions.length && positions.every((each) => Page.chosen.has(each));
      const pick = element("input", {
        type: "checkbox",
        "aria-label": "draw the curves of row " + (row.number + 1),
        onchange: (event) => Page.choose(positions, event.currentTarget.checked),
      });
      pick.checked = picked;
      const mark = element("span", { class: "swatch" });
      if (picked) mark.style.background = Page.colour(Page.chosen.get(positions[0]));
      const cells = [element("td", { class: "pick" }, element("label", {}, pick, mark))];
      this.definition.columns.forEach((column, index) => {
        const value = row.item.values[index];
        cells.push(this.value(column, value));
        value.texts.slice(1).forEach((text, extra) => {
          const isBad = column.beside[extra] === "holds" && text === "no";
          cells.push(element("td", { class: "right beside" + (isBad ? " bad" : "") }, text));
        });
      });
      row.element.replaceChildren(...cells);
    }

    positions(row) {
      return [...new Set(row.item.values.map((value) => value.position).filter((each) => each !== null && each !== undefined))];
    }

    value(column, value) {
      const align = column.right ? "right" : "";
      if (!column.metric) return element("td", { class: align || (value.texts[0].length > 30 ? "words" : "") }, value.texts[0]);
      const running = value.running;
      let text = value.texts[0];
      let kind = value.done >= value.runs && value.runs ? "done" : value.done ? "partly" : "empty";
      if (running) {
        const before = value.done ? text : running.text;
        text = (before ? before + " · " : "") + "epoch " + running.epoch + "/" + running.of;
        kind = "running";
      }
      if (value.position === null || value.position === undefined) return element("td", { class: align }, text);
      const open = element("a", { class: "value " + kind + (value.best ? " best" : ""), href: this.link(value.position) }, text);
      return element("td", { class: align }, open);
    }

    link(position) {
      return Page.link({ cell: Page.firstCell(position), compare: null });
    }

    showMore(count) {
      const until = Math.min(this.rows.length, this.shown + (count || 400));
      const added = document.createDocumentFragment();
      for (; this.shown < until; this.shown++) {
        const row = this.rows[this.shown];
        row.element = element("tr", { "data-row": row.number });
        this.fillRow(row);
        added.append(row.element);
      }
      this.body.append(added);
      const left = this.rows.length - this.shown;
      this.more.hidden = left === 0;
      this.more.textContent = "show more of " + Page.count(left, "row");
    }

    update(items, changed) {
      const definition = items.get("table:" + this.name);
      if (!definition) return;
      const all = !changed || changed.has("table:" + this.name) || !this.byNumber;
      if (!all && ![...changed].some((id) => id.startsWith("row:" + this.name + ":"))) return;
      if (all) {
        const before = this.shown;
        this.byNumber = new Map();
        this.rows = [];
        this.shown = before;
        this.body.replaceChildren();
        this.build(definition);
      }
      for (let number = 0; number < (definition.rows || 0); number++) {
        const id = "row:" + this.name + ":" + number;
        if (items.has(id) && (all || changed.has(id))) this.setRow(number, items.get(id));
      }
      if (all && !definition.problem) {
        if (this.order) this.inOrder();
        else {
          const before = this.shown;
          this.shown = 0;
          this.showMore(Math.max(FIRST_ROWS, before));
        }
      }
    }

    refresh() {
      for (const row of this.rows) if (row.element) this.fillRow(row);
    }
  }

  Page.tables = (container, ask) => {
    const tables = new Map();
    const update = (items, changed) => {
      const names = (items.get("tables") || { names: [] }).names;
      for (const [name, table] of tables) {
        if (names.includes(name)) continue;
        table.element.remove();
        tables.delete(name);
      }
      for (const name of names) {
        if (tables.has(name)) continue;
        const table = new Table(name, ask);
        tables.set(name, table);
        container.append(table.element);
      }
      for (const table of tables.values()) table.update(items, changed);
    };
    update.refresh = () => tables.forEach((table) => table.refresh());
    return update;
  };
})(window.Page);
