// A cell opened: its settings and where each came from, code, machine, the command that makes it
// again; and beside another cell, in what the two differ.
"use strict";

(function (Page) {
  const { element } = Page;

  function seeds(items, position) {
    return [...items].filter(([id, cell]) => id.startsWith("cell:") && cell.position === position);
  }

  function result(run) {
    const rows = [["status", run.status], ["run", run.run || "not known yet"]];
    if (run.result) {
      rows.push(["best epoch", Page.number(run.result.best_epoch)], ["last epoch", Page.number(run.result.last_epoch)]);
      rows.push(["weights", Page.number(run.result.parameters)], ["seconds", Page.seconds(run.result.seconds) + " on " + run.result.device]);
      if (run.result.message) rows.push(["message", run.result.message]);
    }
    for (const epoch of run.epochs) {
      for (const [name, value] of Object.entries(epoch)) if (name !== "epoch") rows.push([name.replaceAll("_", " "), Page.number(value)]);
    }
    if (run.changed_code.length) rows.push(["code", "changed since: " + run.changed_code.join(", ")]);
    return Page.table(["what", "value"], rows);
  }

  function attempts(run) {
    return run.attempts.map((each) => {
      const epochs = each.first_epoch === null ? "" : ", epochs " + each.first_epoch + "–" + each.last_epoch;
      const words = each.kind + " " + each.stage_key.slice(0, 12) + ": attempt " + each.number + " " + each.status + epochs + ", " + Page.when(each.started) + (each.seconds === null ? "" : ", " + Page.seconds(each.seconds));
      const machine = Object.entries(each.environment).map(([name, value]) => name + " " + Page.value(value)).join(", ");
      return element("li", {}, words, element("br"), element("span", { class: "quiet" }, each.device + (machine ? ", " + machine : "")), each.error ? element("pre", {}, each.error) : null);
    });
  }

  function difference(rows) {
    const shown = rows.filter((row) => row.part !== "environment");
    return Page.table(["what", "first", "second", "difference"], shown.map((row) => [row.part === "settings" ? row.name : row.part + " " + row.name, ...[row.first, row.second].map(row.part === "settings" ? Page.setting : Page.number), row.gap === null ? "" : Page.number(row.gap)]));
  }

  // In what two runs differ, from what is shown of each: for a file, which has no server to ask.
  Page.differences = (one, other) => {
    const rows = [];
    const values = new Map(other.settings.map(([path, value]) => [path, value]));
    const paths = new Set([...one.settings.map(([path]) => path), ...values.keys()]);
    const mine = new Map(one.settings.map(([path, value]) => [path, value]));
    for (const name of paths) {
      const [first, second] = [mine.get(name), values.get(name)];
      if (JSON.stringify(first) !== JSON.stringify(second)) rows.push({ part: "settings", name, first, second, gap: null });
    }
    const [before, after] = [one.epochs[0] || {}, other.epochs[0] || {}];
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const [first, second] = [before[name], after[name]];
      const gap = name !== "epoch" && first !== undefined && second !== undefined ? second - first : null;
      rows.push({ part: name === "epoch" ? "last" : "metrics", name, first, second, gap });
    }
    return rows;
  };

  Page.cell = (container, ask, signal) => {
    const panel = element("aside", { class: "cell", "aria-label": "run", hidden: true, tabindex: "-1" });
    container.append(panel);
    let shown = "";
    let drawn = { made: "", box: null };
    let back = null;

    function close() {
      Page.go({ cell: null, compare: null });
    }

    async function show(items, cell, compare, isWanted) {
      const answers = [Page.source.get("run", { ...ask, cell })];
      if (compare) answers.push(Page.source.get("difference", { ...ask, first: cell, second: compare }));
      const [run, rows] = await Promise.all(answers);
      if (!isWanted()) return; // another run was opened meanwhile
      const mine = items.get("cell:" + cell);
      const parts = [element("button", { type: "button", class: "close", onclick: close, "aria-label": "close" }, "×"), element("h2", {}, run.name || run.reference), element("p", { class: "quiet" }, run.reference)];
      if (mine) {
        const others = seeds(items, mine.position);
        if (others.length > 1) {
          const links = others.map(([id, each]) => element("a", { href: Page.link({ cell: id.slice(5), compare: null }), "aria-current": id === "cell:" + cell ? "true" : null }, (each.fold ? "fold " + each.fold + " " : "") + "seed " + each.seed));
          parts.push(element("p", { class: "seeds" }, links));
        }
      }
      parts.push(comparer(items, cell, compare));
      if (rows) parts.push(element("h3", {}, "Difference from " + compare), difference(rows));
      parts.push(element("h3", {}, "Result"), result(run));
      const again = element("button", { type: "button", onclick: (event) => Page.copy(run.command, event.currentTarget) }, "copy");
      parts.push(element("h3", {}, "Make it again"), element("pre", { tabindex: "0" }, run.command), again);
      parts.push(element("h3", {}, "Settings"), Page.table(["setting", "value", "from"], run.settings.map(([path, value, from]) => [path, Page.value(value), from])));
      parts.push(element("h3", {}, "Made by"), element("ul", { class: "attempts" }, attempts(run)));
      const made = cell + " " + run.status;
      if (made !== drawn.made) {
        // of the same run they stay, with what is opened in them
        drawn = { made, box: element("div") };
        Page.pictures(drawn.box, { ...ask, cell }).catch(() => {});
      }
      parts.push(drawn.box);
      if (run.own_code.length) parts.push(element("p", {}, "own code: " + run.own_code.join(", ")));
      panel.replaceChildren(...parts);
    }

    function comparer(items, cell, compare) {
      const options = [element("option", { value: "" }, "compare with …")];
      for (const [id, each] of items) {
        if (!id.startsWith("cell:") || id === "cell:" + cell) continue;
        const value = id.slice(5);
        options.push(element("option", { value, selected: value === compare }, (each.name || "run") + (each.fold ? " fold " + each.fold : "") + " seed " + each.seed));
        if (options.length > 2000) break;
      }
      return element("p", {}, element("select", { "aria-label": "compare with", onchange: (event) => Page.go({ compare: event.currentTarget.value || null }) }, options));
    }

    const onKey = (event) => {
      if (event.key === "Escape" && !panel.hidden) close();
    };
    document.addEventListener("keydown", onKey, { signal });

    return async (items, changed) => {
      const state = Page.state();
      const [cell, compare] = [state.get("cell") || "", state.get("compare") || ""];
      const asked = cell + " " + compare;
      const moved = changed && (changed.has("cell:" + cell) || changed.has("cell:" + compare));
      if (asked === shown && !moved) return;
      const opens = cell && panel.hidden;
      if (opens) back = document.activeElement;
      const isNew = asked !== shown;
      shown = asked;
      panel.hidden = !cell;
      document.body.classList.toggle("opened", Boolean(cell));
      if (!cell) {
        drawn = { made: "", box: null }; // looked for again when it is opened again
        if (back && back.isConnected) back.focus();
        return;
      }
      const top = panel.scrollTop;
      try {
        await show(items, cell, compare, () => asked === shown);
      } catch (error) {
        if (asked !== shown) return;
        panel.replaceChildren(element("button", { type: "button", class: "close", onclick: close, "aria-label": "close" }, "×"), element("p", { class: "problem" }, error.message));
      }
      panel.scrollTop = isNew ? 0 : top;
      if (opens) panel.focus();
    };
  };
})(window.Page);
