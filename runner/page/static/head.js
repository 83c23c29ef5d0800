// The head of an experiment: how far it is, what sharing saved, when it will be done, who works.
"use strict";

(function (Page) {
  const { element } = Page;

  function worth(estimate) {
    if (!estimate.ratio) return "";
    const off = Math.round((estimate.ratio - 1) * 100);
    const word = off === 0 ? "exact" : Math.abs(off) + " % too " + (off > 0 ? "short" : "long");
    return "earlier predictions were " + word + " over " + Page.count(estimate.of, "stage");
  }

  // One line a process, which may do several stages together.
  function together(workers) {
    const processes = new Map();
    for (const each of workers) {
      const key = [each.host, each.pid, each.device, each.alive].join();
      const known = processes.get(key);
      if (known) {
        known.stages += 1;
        known.since = Math.min(known.since, each.since);
      } else {
        processes.set(key, { ...each, stages: 1 });
      }
    }
    return processes.values();
  }

  function facts(head) {
    const rows = [];
    const saved = head.epochs_read - head.epochs_trained;
    if (head.epochs_read) {
      const share = saved > 0 ? ", " + saved.toLocaleString("en") + " saved by sharing" : "";
      rows.push(["epochs", head.epochs_trained.toLocaleString("en") + " trained for " + head.epochs_read.toLocaleString("en") + " read" + share]);
    }
    const estimate = head.estimate;
    const open = head.counts.running + head.counts.unfinished;
    if (open && estimate.seconds !== null) {
      const unknown = estimate.unknown ? ", without " + Page.count(estimate.unknown, "training") + " never measured" : "";
      rows.push(["left", "about " + Page.seconds(estimate.seconds) + (estimate.workers ? "" : " of work, nobody is at it") + unknown]);
    }
    if (worth(estimate)) rows.push(["predicted", worth(estimate)]);
    for (const each of together(head.workers)) {
      const stages = each.stages > 1 ? each.stages + " stages together, " : "";
      const state = each.alive ? stages + "since " + Page.ago(each.since) : "gone: its work will be taken over";
      rows.push([each.alive ? "at work" : "lost", "process " + each.pid + " on " + each.host + " (" + each.device + "), " + state]);
    }
    if (head.failure) rows.push(["last failure", head.failure.error || "no message"]);
    rows.push(["spec", head.path + ", run " + Page.ago(head.recorded)]);
    return rows;
  }

  Page.head = (container) => {
    const title = element("h1");
    const about = element("p", { class: "about" });
    const bar = element("div");
    const words = element("p", { class: "counts", "aria-live": "polite" });
    const list = element("dl", { class: "facts" });
    container.append(title, about, bar, words, list);
    return (items, changed) => {
      const head = items.get("head");
      if (!head || (changed && !changed.has("head"))) return;
      title.replaceChildren(head.name, head.variant ? element("span", { class: "variant" }, " " + head.variant) : "");
      document.title = head.name + " · " + document.body.dataset.title;
      Page.setText(about, head.about);
      bar.replaceChildren(Page.progressBar(head.counts, head.cells));
      const parts = Object.entries(head.counts).filter(([, count]) => count);
      Page.setText(words, parts.map(([status, count]) => count + " " + status).join(", ") + " of " + Page.count(head.cells, "cell"));
      list.replaceChildren(...facts(head).flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
    };
  };
})(window.Page);
