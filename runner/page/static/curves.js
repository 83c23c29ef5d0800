// Curves of the chosen cells: seeds as a band, a shared beginning drawn once, forking at its branch.
"use strict";

(function (Page) {
  const { element } = Page;
  const MOST = 30;
  const WHOLE = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((each) => each * 10 ** power));
  const AXES = [["epoch", "epoch"], ["step", "step"], ["seconds", "seconds"]];

  // Chosen positions, each with the number of its colour, which stays while it is chosen.
  Page.chosen = new Map();

  Page.choose = (positions, wanted) => {
    const chosen = [...Page.chosen.keys()].filter((each) => !positions.includes(each));
    if (wanted) chosen.push(...positions);
    Page.go({ cells: chosen.join(",") || "none" }, true);
  };

  function takeChosen(items) {
    const written = Page.state().get("cells");
    let wanted;
    if (written === "none") wanted = [];
    else if (written) wanted = written.split(",").map(Number).filter(Number.isInteger);
    else wanted = [...new Set([...items].filter(([id]) => id.startsWith("cell:")).map(([, cell]) => cell.position))].slice(0, 10);
    for (const each of [...Page.chosen.keys()]) if (!wanted.includes(each)) Page.chosen.delete(each);
    const used = new Set(Page.chosen.values());
    for (const each of wanted) {
      if (Page.chosen.has(each)) continue;
      let colour = 0;
      while (used.has(colour)) colour++;
      used.add(colour);
      Page.chosen.set(each, colour);
    }
  }

  // What can be drawn: each metric, and of what several splits have, all of them in one.
  function choices(items) {
    const names = (items.get("metrics") || { names: [] }).names;
    const splits = new Map();
    for (const name of names) {
      const measure = name.replace(SPLIT, "");
      splits.set(measure, [...(splits.get(measure) || []), name]);
    }
    const whole = [...splits].filter(([, of]) => of.length > 1).map(([measure, of]) => [of.join(), measure + ": " + of.map(splitOf).join(", ")]);
    return [...names.map((name) => [name, name.replaceAll("_", " ")]), ...whole];
  }

  const SPLIT = /^(train_eval|train|val|test)_/;
  const SPLITS = { val: [], train: [8, 4], train_eval: [10, 3, 2, 3], test: [2, 3] };
  const splitOf = (metric) => (metric.match(SPLIT) || ["", "val"])[1];

  // Aligned columns for uPlot: x, then for each line its mean, and its range where seeds differ.
  function columns(lines) {
    const xs = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    const places = new Map(xs.map((x, index) => [x, index]));
    const series = [];
    for (const line of lines) {
      for (const name of line.seeds > 1 ? ["mean", "high", "low"] : ["mean"]) {
        const values = new Array(xs.length).fill(undefined);
        line.x.forEach((x, index) => (values[places.get(x)] = line[name][index]));
        series.push(values);
      }
    }
    return [xs, ...series];
  }

  class Curves {
    constructor(container, ask, signal) {
      this.ask = ask;
      this.plot = null;
      this.zoomed = false;
      this.shape = "";
      this.metric = element("select", { "aria-label": "metric", onchange: () => Page.go({ metric: this.metric.value }, true) });
      this.axis = element("select", { "aria-label": "horizontal axis", onchange: () => Page.go({ x: this.axis.value }, true) });
      for (const [value, text] of AXES) this.axis.append(element("option", { value }, "by " + text));
      const check = (name) => element("input", { type: "checkbox", onchange: (event) => Page.go({ [name]: event.currentTarget.checked ? "1" : null }, true) });
      this.logX = check("logx");
      this.logY = check("logy");
      this.all = element("button", { type: "button", onclick: () => Page.go({ all: "1" }, true) });
      const controls = element("div", { class: "controls" }, this.metric, this.axis, element("label", {}, this.logX, " log x"), element("label", {}, this.logY, " log y"), this.all);
      this.box = element("div", { class: "plot", role: "img" });
      this.legend = element("ul", { class: "legend" });
      this.words = element("p", { class: "quiet" });
      container.append(element("h2", {}, "Curves"), controls, this.box, this.words, this.legend);
      this.resized = new ResizeObserver(() => this.resize());
      this.resized.observe(this.box);
      const scheme = window.matchMedia("(prefers-color-scheme: dark)");
      scheme.addEventListener("change", () => this.redraw(), { signal });
      signal.addEventListener("abort", () => this.close());
    }

    update(items, changed) {
      const before = [...Page.chosen.keys()].join();
      takeChosen(items);
      const state = Page.state();
      const options = choices(items);
      const names = options.map(([value]) => value);
      if ([...this.metric.options].map((each) => each.value).join(" ") !== names.join(" ")) {
        this.metric.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
      }
      const preferred = names.includes("val_accuracy") ? "val_accuracy" : names[0] || "";
      const metric = names.includes(state.get("metric")) ? state.get("metric") : preferred;
      this.metric.value = metric;
      this.axis.value = AXES.some(([value]) => value === state.get("x")) ? state.get("x") : "epoch";
      this.logX.checked = state.has("logx");
      this.logY.checked = state.has("logy");
      const positions = [...Page.chosen.keys()];
      const drawn = state.has("all") ? positions : positions.slice(0, MOST);
      this.all.hidden = drawn.length === positions.length;
      this.all.textContent = "draw all " + positions.length + " instead of " + MOST;
      const asked = [metric, this.axis.value, drawn.join(), this.logX.checked, this.logY.checked].join(" ");
      const moved = changed && [...changed].some((id) => id.startsWith("cell:") && items.has(id) && drawn.includes(items.get(id).position));
      if (asked !== this.asked || moved) {
        if (asked !== this.asked) this.zoomed = false;
        this.asked = asked;
        this.load(metric, drawn);
      }
      return before !== positions.join();
    }

    async load(metric, drawn) {
      this.wanted = { metric, drawn };
      if (this.loading) return;
      this.loading = true;
      try {
        while (this.wanted) {
          const { metric, drawn } = this.wanted;
          this.wanted = null;
          const asked = { ...this.ask, cells: drawn.join(), metrics: metric, axis: this.axis.value };
          this.lines = drawn.length && metric ? await Page.source.get("curves", asked) : [];
          this.draw();
        }
      } catch (error) {
        this.asked = "";  // asked again at the next change
        Page.setText(this.words, error.message);
      } finally {
        this.loading = false;
      }
    }

    redraw() {
      this.shape = "";
      if (this.lines) this.draw();
    }

    draw() {
      if (this.isClosed) return;
      const lines = this.lines.filter((line) => Page.chosen.has(line.position));
      const data = columns(lines);
      const shape = [this.asked, lines.map((line) => line.position + "/" + line.metric + "/" + line.seeds).join()].join(" ");
      this.describe(lines);
      this.box.hidden = !lines.length;
      this.metric.hidden = !this.metric.options.length;
      if (this.plot && shape === this.shape) {
        const { min, max } = this.plot.scales.x;
        this.plot.setData(data, !this.zoomed);
        if (this.zoomed) this.plot.setScale("x", { min, max });
        return;
      }
      this.shape = shape;
      if (this.plot) this.plot.destroy();
      this.plot = null;
      if (!lines.length) return;
      this.plot = new uPlot(this.options(lines), data, this.box);
    }

    options(lines) {
      const style = getComputedStyle(document.documentElement);
      const ink = style.getPropertyValue("--ink").trim();
      const grid = style.getPropertyValue("--line").trim();
      const series = [{}];
      const bands = [];
      for (const line of lines) {
        const number = Page.chosen.get(line.position);
        const colour = Page.colour(number);
        const dash = this.several() ? SPLITS[splitOf(line.metric)] : Page.dash(number);
        series.push({ label: line.name || "run", stroke: colour, width: 2, dash, spanGaps: true, points: { show: line.x.length < 2, size: 6 } });
        if (line.seeds > 1) {
          series.push({ stroke: "transparent", spanGaps: true, points: { show: false } }, { stroke: "transparent", spanGaps: true, points: { show: false } });
          bands.push({ series: [series.length - 2, series.length - 1], fill: colour + "2e" });
        }
      }
      const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
      return {
        width: Math.max(this.box.clientWidth, 240),
        height: Math.min(360, Math.max(240, this.box.clientWidth * 0.5)),
        legend: { show: false },
        cursor: { drag: { x: true, y: false } },
        scales: { x: { time: false, distr: this.logX.checked ? 3 : 1 }, y: { distr: this.logY.checked ? 3 : 1 } },
        axes: [{ ...axis, label: this.axis.value, labelSize: 24, ...(this.axis.value === "seconds" ? {} : { incrs: WHOLE }) }, { ...axis, size: 64 }],
        series,
        bands,
        hooks: {
          setSelect: [(plot) => (this.zoomed = plot.select.width > 0 || this.zoomed)],
          ready: [(plot) => plot.over.addEventListener("dblclick", () => (this.zoomed = false))],
        },
      };
    }

    several() {
      return this.metric.value.includes(",");
    }

    describe(lines) {
      const named = this.metric.selectedOptions[0];
      const what = (named ? named.textContent : "nothing") + " by " + this.axis.value;
      Page.setAttribute(this.box, "aria-label", what + " of " + Page.count(lines.length, "cell"));
      const bands = lines.some((line) => line.seeds > 1);
      Page.setText(this.words, lines.length ? "Drag to zoom, double click to see all." + (bands ? " Bands are the range over seeds or folds." : "") + (this.several() ? " Validation is solid, training dashed, test dotted." : "") : "Nothing is recorded of the chosen cells yet.");
      this.legend.replaceChildren(
        ...lines.map((line) => {
          const mark = element("span", { class: "swatch" });
          mark.style.background = Page.colour(Page.chosen.get(line.position));
          const last = line.mean[line.mean.length - 1];
          const other = lines.find((each) => each.position === line.shared_with && each.metric === line.metric);
          const split = this.several() ? " " + splitOf(line.metric).replace("_", " ") : "";
          const shared = other ? " (from " + this.axis.value + " " + Page.number(line.shared_until) + "; before as " + (other.name || "run") + ")" : "";
          return element("li", { "data-position": line.position, "data-points": line.x.length }, mark, " " + (line.name || "run") + split + " " + Page.number(last) + shared);
        }),
      );
    }

    // Lets go of what would outlive the experiment's page.
    close() {
      this.isClosed = true;
      this.resized.disconnect();
      if (this.plot) this.plot.destroy();
      this.plot = null;
    }

    resize() {
      if (this.plot && this.box.clientWidth) {
        this.plot.setSize({ width: Math.max(this.box.clientWidth, 240), height: this.plot.height });
      }
    }
  }

  Page.curves = (container, ask, signal) => {
    const curves = new Curves(container, ask, signal);
    return (items, changed) => curves.update(items, changed);
  };
})(window.Page);
