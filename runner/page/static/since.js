// What changed since another version of the experiment was finished: spec, cells, numbers.
"use strict";

(function (Page) {
  const { element } = Page;

  function numbers(moved) {
    const metrics = [...new Set(moved.flatMap((row) => Object.keys(row.numbers)))];
    const titles = ["cell", "runs", ...metrics.flatMap((name) => [name.replaceAll("_", " ") + " before", "now", "difference"])];
    const rows = moved.map((row) => [
      element("a", { href: Page.link({ cell: row.cell, compare: null }) }, row.name),
      Page.number(row.runs),
      ...metrics.flatMap((name) => {
        const [before, now] = row.numbers[name] || [null, null];
        return [Page.number(before), Page.number(now), before === null ? "" : Page.number(now - before)];
      }),
    ]);
    return Page.table(titles, rows);
  }

  function cells(counts) {
    const parts = [["same", "as before"], ["other", "with another run"], ["new", "new"], ["gone", "gone"]];
    return parts.filter(([name]) => counts[name]).map(([name, words]) => counts[name].toLocaleString("en") + " " + words).join(", ");
  }

  function list(title, names) {
    if (!names.length) return null;
    const shown = names.slice(0, 30).join("; ") + (names.length > 30 ? "; and " + (names.length - 30).toLocaleString("en") + " more" : "");
    return element("p", {}, title + ": " + shown);
  }

  Page.since = (container, ask) => {
    const box = element("div");
    const section = element("div", { hidden: true }, element("h2", {}, "Since another version was finished"), box);
    container.append(section);
    return Page.ofResults(container, "since", ask, (answer) => {
      section.hidden = !answer;
      if (!answer) return;
      const parts = [element("p", { class: "quiet" }, "Compared with the version of the spec that was last run " + Page.when(answer.recorded) + ". Cells: " + cells(answer.cells) + ".")];
      if (answer.spec.length) parts.push(Page.table(["spec", "before", "now"], answer.spec.map((row) => [row.name, Page.setting(row.first), Page.setting(row.second)])));
      else parts.push(element("p", {}, "The spec is as it was: the data, own code or this program changed."));
      parts.push(list("New", answer.new), list("Gone", answer.gone));
      if (answer.moved.length) parts.push(numbers(answer.moved));
      if (answer.more) parts.push(element("p", { class: "note" }, "and " + Page.count(answer.more, "cell") + " that moved less"));
      box.replaceChildren(...parts.filter(Boolean));
    });
  };
})(window.Page);
