// The list of experiments.
"use strict";

(function (Page) {
  const { element } = Page;

  Page.progressBar = (counts, total) => {
    const bar = element("div", { class: "bar", role: "img" });
    const parts = [];
    for (const status of ["done", "diverged", "failed", "running", "unfinished"]) {
      const count = counts[status] || 0;
      if (!count) continue;
      parts.push(count + " " + status);
      const part = element("span", { class: "part " + status });
      part.style.flexGrow = count;
      bar.append(part);
    }
    bar.setAttribute("aria-label", parts.join(", ") || total + " to do");
    return bar;
  };

  // Asks for the list, and shows it where the reader has not gone elsewhere meanwhile.
  Page.overview = async (main, isWanted) => {
    const rows = await Page.source.get("experiments");
    if (!isWanted()) return;
    document.title = document.body.dataset.title;
    const list = element("ul", { class: "experiments" });
    for (const row of rows) {
      const state = { experiment: row.name };
      if (row.variant) state.variant = row.variant;
      const words = Object.entries(row.counts).map(([status, count]) => count + " " + status);
      list.append(
        element(
          "li",
          {},
          element(
            "a",
            { href: "#" + new URLSearchParams(state) },
            element("strong", {}, row.name),
            row.variant ? element("span", { class: "variant" }, " " + row.variant) : null,
          ),
          element("p", {}, row.about),
          Page.progressBar(row.counts, row.cells),
          element("p", { class: "quiet" }, words.join(", ") + " · run " + Page.ago(row.recorded)),
        ),
      );
    }
    main.replaceChildren(
      element("h1", {}, "Experiments"),
      rows.length ? list : element("p", {}, "No experiment has been run yet."),
    );
  };
})(window.Page);
