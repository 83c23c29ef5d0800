// Pictures of a run: the confusion matrix, whose numbers open the images behind them, the most
// confident wrong ones, and the figures of its analyses.
"use strict";

(function (Page) {
  const { element } = Page;

  // A file has its pictures in it; a server is asked for them by their hash alone.
  const address = (digest) => (digest.startsWith("data:") ? digest : "picture/" + encodeURIComponent(digest));

  function sheet(box, images, title) {
    const list = element("ul", { class: "images" });
    for (const each of images) {
      const words = each.label + " as " + each.predicted + " " + Page.number(each.probability);
      const picture = element("img", { src: address(each.digest), alt: each.name, title: each.name, loading: "lazy" });
      list.append(element("li", { class: each.label === each.predicted ? "" : "wrong" }, picture, element("span", {}, words)));
    }
    box.replaceChildren(element("h4", {}, title), images.length ? list : element("p", { class: "quiet" }, "no such images"));
  }

  function confusion(found, ask) {
    const box = element("div", { "aria-live": "polite" });
    async function open(parameters, title, button) {
      button.disabled = true;
      try {
        sheet(box, await Page.source.get("images", { ...ask, split: found.split, ...parameters }), title);
      } catch (error) {
        box.replaceChildren(element("p", { class: "problem" }, error.message));
      }
      button.disabled = false;
    }
    function number(row, column, count) {
      const [label, predicted] = [found.classes[row], found.classes[column]];
      const title = label + " predicted as " + predicted;
      const onclick = (event) => open({ label, predicted }, title, event.currentTarget);
      return element("button", { type: "button", class: "number", "aria-label": count + ", " + title, onclick }, String(count));
    }
    let table;
    if (found.matrix) {
      const head = element("tr", {}, element("th", { scope: "col" }, "class"), found.classes.map((each) => element("th", { scope: "col", class: "right" }, each)));
      const rows = found.matrix.map((counts, row) => {
        const all = counts.reduce((sum, each) => sum + each, 0);
        const cells = counts.map((count, column) => {
          const cell = element("td", { class: "right" + (row === column ? " right-class" : "") }, count ? number(row, column, count) : "");
          if (count && row !== column) cell.style.setProperty("--heat", Math.min(70, 10 + Math.round((200 * count) / all)) + "%");
          return cell;
        });
        return element("tr", {}, element("th", { scope: "row" }, found.classes[row]), cells);
      });
      table = element("table", { class: "confusion" }, element("thead", {}, head), element("tbody", {}, rows));
    } else {
      const head = element("tr", {}, ["class", "predicted as", "images"].map((each) => element("th", { scope: "col" }, each)));
      const rows = found.pairs.map(([row, column, count]) => element("tr", {}, element("td", {}, found.classes[row]), element("td", {}, found.classes[column]), element("td", { class: "right" }, number(row, column, count))));
      table = element("table", {}, element("thead", {}, head), element("tbody", {}, rows));
    }
    const most = ["wrong", "right"].map((kind) => element("button", { type: "button", onclick: (event) => open({ kind }, "most confident " + kind, event.currentTarget) }, "most confident " + kind));
    const title = "Confusion, " + found.split + " images, epoch " + found.epoch;
    return [element("h3", {}, title), element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, table), element("p", { class: "controls" }, most), box];
  }

  function figure(each, ask) {
    const box = element("div");
    const details = element("details", {}, element("summary", {}, each.name === each.kind ? each.kind : each.name + " (" + each.kind + ")"), box);
    details.addEventListener("toggle", async () => {
      if (!details.open || box.childNodes.length) return;
      box.append(element("p", { class: "quiet" }, "drawing …"));
      try {
        const pages = await Page.source.get("figure", { ...ask, analysis: each.key });
        box.replaceChildren(...pages.map((page) => element("img", { class: "figure", src: address(page.digest), alt: each.name + ": " + page.name })));
      } catch (error) {
        box.replaceChildren(element("p", { class: "problem" }, error.message));
      }
    });
    return details;
  }

  Page.pictures = async (container, ask) => {
    const found = await Page.source.get("pictures", ask);
    const parts = found.confusions.flatMap((each) => confusion(each, ask));
    if (found.figures.length) parts.push(element("h3", {}, "Analyses"), ...found.figures.map((each) => figure(each, ask)));
    container.replaceChildren(...parts);
  };
})(window.Page);
