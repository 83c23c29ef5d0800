// A metric against a setting; with three or more settings, parallel coordinates.
"use strict";

(function (Page) {
  const { element, drawn } = Page;
  const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [640, 300, 64, 24, 16, 46];

  // Ticks whose texts do not touch one another.
  function apart(ticks, gap) {
    const kept = [];
    for (const tick of ticks) {
      if (!kept.length || Math.abs(tick[0] - kept[kept.length - 1][0]) >= gap) kept.push(tick);
    }
    return kept;
  }

  // Places of values along an axis: numbers by size (or by order of magnitude), others in order;
  // `gap` is what the text of a tick needs.
  function axis(values, from, to, words, gap) {
    const known = [...new Set(values.map((each) => JSON.stringify(each)))].map((each) => JSON.parse(each));
    const numbers = known.filter((each) => typeof each === "number");
    if (numbers.length === known.length && numbers.length > 1) {
      numbers.sort((a, b) => a - b);
      const [low, high] = [numbers[0], numbers[numbers.length - 1]];
      const isLog = low > 0 && high / low >= 30;
      const at = isLog ? Math.log : (value) => value;
      const place = (value) => from + ((at(value) - at(low)) / (at(high) - at(low))) * (to - from);
      const steps = numbers.length <= 8 ? numbers : [0, 0.25, 0.5, 0.75, 1].map((each) => numbers[Math.round(each * (numbers.length - 1))]);
      return { place, ticks: apart(steps.map((value) => [place(value), words(value)]), gap) };
    }
    const order = new Map(known.map((each, index) => [JSON.stringify(each), index]));
    const step = (to - from) / Math.max(known.length, 1);
    const place = (value) => from + step * (order.get(JSON.stringify(value)) + 0.5);
    return { place, ticks: apart(known.map((value) => [place(value), Page.value(value).slice(0, 18)]), gap) };
  }

  function opened(point) {
    return Page.link({ cell: point.cell, compare: null });
  }

  function scatter(data, path, metric) {
    const points = data.points.filter((point) => typeof point.metrics[metric] === "number");
    const across = axis(points.map((point) => point.settings[path]), LEFT, WIDTH - RIGHT, Page.setting, 48);
    const up = axis(points.map((point) => point.metrics[metric]), HEIGHT - BOTTOM, TOP, Page.number, 14);
    const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "drawing" });
    for (const [x, text] of across.ticks) picture.append(drawn("text", { x, y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, text));
    for (const [y, text] of up.ticks) {
      picture.append(drawn("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y, class: "grid" }));
      picture.append(drawn("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, text));
    }
    for (const point of points) {
      const where = { cx: across.place(point.settings[path]), cy: up.place(point.metrics[metric]), r: 5 };
      const title = drawn("title", {}, point.name + ": " + Page.number(point.metrics[metric]));
      picture.append(drawn("a", { href: opened(point), "aria-label": point.name }, drawn("circle", { ...where, class: "point" }, title)));
    }
    return picture;
  }

  function parallel(data, metric) {
    const points = data.points.filter((point) => typeof point.metrics[metric] === "number");
    const columns = [...data.settings.map(([path, name]) => [name, (point) => point.settings[path]]), [metric.replaceAll("_", " "), (point) => point.metrics[metric]]];
    const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "drawing" });
    const axes = columns.map(([name, of], index) => {
      const x = LEFT + (index * (WIDTH - LEFT - RIGHT - 40)) / (columns.length - 1);
      const { place, ticks } = axis(points.map(of), HEIGHT - BOTTOM, TOP + 6, index < columns.length - 1 ? Page.setting : Page.number, 14);
      return { x, name, of, place, ticks };
    });
    const values = points.map((point) => point.metrics[metric]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    for (const point of points) {
      const d = axes.map((each, index) => (index ? "L" : "M") + each.x + " " + each.place(each.of(point))).join(" ");
      const strength = high > low ? (point.metrics[metric] - low) / (high - low) : 1;
      const title = drawn("title", {}, point.name + ": " + Page.number(point.metrics[metric]));
      picture.append(drawn("a", { href: opened(point), "aria-label": point.name }, drawn("path", { d, class: "thread", "stroke-opacity": 0.25 + 0.75 * strength }, title)));
    }
    for (const each of axes) {
      picture.append(drawn("line", { x1: each.x, x2: each.x, y1: TOP, y2: HEIGHT - BOTTOM, class: "axis" }));
      picture.append(drawn("text", { x: each.x, y: HEIGHT - 14, "text-anchor": "middle", class: "name" }, each.name));
      for (const [y, text] of each.ticks) picture.append(drawn("text", { x: each.x + 6, y: y + 4 }, text));
    }
    return picture;
  }

  Page.settings = (container, ask) => {
    const box = element("div");
    const metric = element("select", { "aria-label": "metric", onchange: () => show() });
    const setting = element("select", { "aria-label": "setting", onchange: () => show() });
    const section = element("div", { hidden: true }, element("h2", {}, "Metric against setting"), element("div", { class: "controls" }, metric, setting), box);
    container.append(section);
    let data = null;

    function options(select, pairs) {
      const value = select.value;
      if ([...select.options].map((each) => each.value).join(" ") === pairs.map(([each]) => each).join(" ")) return;
      select.replaceChildren(...pairs.map(([each, text]) => element("option", { value: each }, text)));
      if (pairs.some(([each]) => each === value)) select.value = value;
    }

    function show() {
      section.hidden = !data.settings.length || !data.metrics.length;
      if (section.hidden) return;
      options(metric, data.metrics.map((each) => [each, each.replaceAll("_", " ")]));
      const many = data.settings.length >= 3 ? [["*", "all settings"]] : [];
      options(setting, [...many, ...data.settings.map(([path, name]) => [path, "against " + name])]);
      const picture = setting.value === "*" ? parallel(data, metric.value) : scatter(data, setting.value, metric.value);
      box.replaceChildren(picture);
    }

    return Page.ofResults(container, "points", ask, (answer) => {
      data = answer;
      show();
    });
  };
})(window.Page);
