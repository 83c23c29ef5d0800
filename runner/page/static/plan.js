// The plan as it comes alive: each stage under the one that it goes on from.
"use strict";

(function (Page) {
  const { element } = Page;
  const ORDER = ["running", "failed", "stopped", "diverged", "waiting", "done"];

  function share(node) {
    if (node.epochs) return node.epochs_done / node.epochs;
    const done = (node.counts.done || 0) + (node.counts.diverged || 0);
    return node.count ? done / node.count : 0;
  }

  function words(node) {
    const parts = [];
    if (node.epochs) parts.push(node.epochs_done + "/" + node.epochs + " epochs");
    else if (node.count > 1) parts.push((node.counts.done || 0) + "/" + node.count);
    if (node.seconds || node.predicted !== null) {
      const predicted = node.predicted === null ? "" : " of " + Page.seconds(node.predicted) + " predicted";
      parts.push(Page.seconds(node.seconds) + predicted);
    }
    if (node.runs > 1) parts.push("for " + node.runs + " runs");
    parts.push(...node.workers);
    return parts.join(" · ");
  }

  function status(node) {
    return ORDER.find((each) => node.counts[each]) || "waiting";
  }

  Page.plan = (container) => {
    const list = element("ul", { class: "plan", "aria-label": "Plan" });
    container.append(list);
    const rows = new Map();

    function build(items) {
      rows.clear();
      list.replaceChildren();
      for (const key of items.get("plan").nodes) {
        const node = items.get("node:" + key);
        if (!node) continue;
        const name = element("span", { class: "stage" });
        const detail = element("span", { class: "detail" });
        const filled = element("span", { class: "filled" });
        const row = element("li", {}, element("span", { class: "track" }, filled), name, detail);
        row.style.setProperty("--depth", Math.min(node.depth, 8));
        rows.set(key, { row, name, detail, filled });
        list.append(row);
      }
    }

    function show(key, node) {
      const parts = rows.get(key);
      if (!parts) return;
      const many = node.count > 1 && node.kind === "train" ? node.count + " × " : "";
      Page.setText(parts.name, many + node.title + (node.for ? " · " + node.for : ""));
      Page.setText(parts.detail, words(node));
      parts.filled.style.width = Math.round(1000 * share(node)) / 10 + "%";
      Page.setAttribute(parts.row, "class", status(node));
      Page.setAttribute(parts.row, "data-status", status(node));
    }

    return (items, changed) => {
      if (!items.get("plan")) return;
      const all = !changed || changed.has("plan");
      if (all) build(items);
      for (const [id, value] of items) {
        if (id.startsWith("node:") && (all || changed.has(id))) show(id.slice(5), value);
      }
    };
  };
})(window.Page);
