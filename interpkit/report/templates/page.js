"use strict";
// Without this script the page says the same; with it, it can be sorted, searched and asked what if.
(() => {
  document.documentElement.classList.add("js");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const count = (n) => n.toLocaleString("en-GB");
  const limit = (t) => String(Number(t.toPrecision(6))).replace(/^0\./, ".");

  // A threshold that moves: each figure counts again from its own layer's best concepts.
  const recount = (data, t) => {
    const [rows, iou] = data.best[0];
    const by = data.categories.map(() => [0, new Set(), new Set()]);
    let detectors = 0;
    iou.forEach((value, unit) => {
      if (value > t) {
        const [n, top] = by[data.category[rows[unit]]];
        by[data.category[rows[unit]]][0] = n + 1;
        top.add(rows[unit]);
        detectors += 1;
      }
    });
    data.best.slice(1).forEach(([mine, values], g) => values.forEach((value, unit) => value > t && by[g][2].add(mine[unit])));
    return { detectors, by: by.map(([n, top, every]) => [n, top.size, every.size]) };
  };
  const figures = all("figure.distribution").map((figure) => {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const input = figure.querySelector("input");
    const reset = figure.querySelector(".reset");
    const out = (name, text) => { figure.querySelector(`[data-out="${name}"]`).textContent = text; };
    const show = (t) => {
      const { detectors, by } = recount(data, t);
      const total = (i) => by.reduce((sum, numbers) => sum + numbers[i], 0);
      const at = `${Math.min(t / figure.dataset.right * 100, 100)}%`;
      figure.querySelector(".veil").setAttribute("width", at);
      all(".line", figure).forEach((line) => { line.setAttribute("x1", at); line.setAttribute("x2", at); });
      out("threshold", limit(t));
      out("detectors", count(detectors));
      if (data.chance.length) out("chance", count(data.chance.filter((value) => value > t).length));
      out("top", count(total(1)));
      out("every", count(total(2)));
      by.forEach((numbers, g) => out(`by-${g}`, numbers.map(count).join(" / ")));
      input.setAttribute("aria-valuetext", `${limit(t)}: ${detectors} detectors`);
      reset.hidden = t === data.threshold;
    };
    input.hidden = false;
    figure.querySelector(".script").hidden = false;
    figure.querySelector(".static").hidden = true;
    input.addEventListener("input", () => show(input.valueAsNumber));
    const set = (t) => { input.value = t; show(t); };
    reset.addEventListener("click", () => { set(data.threshold); input.focus(); });
    return set;
  });

  // Units: one finder drives table and cards; both keep the same order.
  const number = (cell) => { const x = parseFloat(cell.textContent.replace(/,/g, "")); return Number.isNaN(x) ? -Infinity : x; };
  const value = { n: number, v: (cell) => Number(cell.dataset.v), t: (cell) => cell.textContent };
  const layers = all(".layer").map((layer) => {
    const table = layer.querySelector("table.units");
    if (!table) return { clear() {} };
    const body = table.tBodies[0];
    const part = table.closest("section");
    const sheets = all(".sheet", part);
    const size = sheets[0]?.children.length;
    const cards = new Map(all(".card", part).map((card) => [card.dataset.u, card]));
    const finder = part.querySelector(".finder");
    const heads = all("th", table.tHead);
    let rows = [...body.rows];
    const facts = new Map(rows.map((row) => {
      const text = row.textContent.toLowerCase();
      const [category, concept] = ["td.mid", "td.concept"].map((at) => row.querySelector(at)?.textContent ?? "");
      return [row, { text: ` ${text}`, category, concept, unit: row.dataset.u, detector: row.classList.contains("d") }];
    }));
    const groups = all("optgroup", finder).map((group) => group.label);
    const fits = (fact, { words, what, detectors }) => {
      if (detectors && !fact.detector) return false;
      if (what && fact.category !== groups[parseInt(what.slice(1), 10)]) return false;
      if (what[0] === "c" && fact.concept !== what.slice(what.indexOf(" ") + 1)) return false;
      return /^\d+$/.test(words) ? fact.unit === words : fact.text.includes(words);
    };
    // Sheets are filled from the first, so that those left over can go: one out of sight would keep its height.
    const arrange = () => {
      // A page of chosen units holds their cards alone, but every unit's row.
      const pictured = rows.filter((row) => cards.has(row.dataset.u));
      const order = [...pictured.filter((row) => !row.hidden), ...pictured.filter((row) => row.hidden)];
      const shown = pictured.filter((row) => !row.hidden).length;
      sheets.forEach((sheet, i) => {
        sheet.append(...order.slice(i * size, (i + 1) * size).map((row) => cards.get(row.dataset.u)));
        sheet.hidden = i * size >= shown;
      });
    };
    const filter = () => {
      const asked = {
        words: finder.elements.words.value.trim().toLowerCase(),
        what: finder.elements.what?.value ?? "",
        detectors: finder.elements.detectors?.checked ?? false,
      };
      const hidden = rows.map((row) => !fits(facts.get(row), asked));
      const shown = hidden.filter((hide) => !hide).length;
      if (rows.some((row, i) => row.hidden !== hidden[i])) {
        rows.forEach((row, i) => {
          const card = cards.get(row.dataset.u);
          row.hidden = hidden[i];
          if (card) card.hidden = hidden[i];
        });
        arrange();
      }
      finder.querySelector("output").textContent = shown === rows.length ? `${count(shown)} units` : `${count(shown)} of ${count(rows.length)} units`;
    };
    const sort = (head) => {
      const column = heads.indexOf(head);
      const read = value[head.dataset.sort];
      const first = head.dataset.sort === "t" || column === 0 ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const direction = head.getAttribute("aria-sort") === first ? other : first;
      const sign = direction === "ascending" ? 1 : -1;
      const keys = new Map(rows.map((row) => [row, read(row.cells[column])]));
      const compare = head.dataset.sort === "t" ? (a, b) => a.localeCompare(b) : (a, b) => (a > b) - (a < b);
      rows.sort((a, b) => sign * compare(keys.get(a), keys.get(b)) || a.dataset.u - b.dataset.u);
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      body.append(...rows);
      arrange();
    };
    heads.forEach((head) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(head));
    });
    finder.hidden = false;
    finder.addEventListener("input", filter);
    finder.addEventListener("submit", (event) => event.preventDefault());
    filter();
    return { clear() { finder.reset(); filter(); } };
  });

  // Matrices: the cell under the pointer in words; its value is read back from its colour.
  const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
  const shortly = (name) => (name.length > 60 ? `${name.slice(0, 60)}…` : name);
  const nearest = (stops, pixel) => {
    const at = (share) => {
      const place = share * (stops.length - 1);
      const low = Math.min(Math.floor(place), stops.length - 2);
      return stops[low].map((value, i) => value + (place - low) * (stops[low + 1][i] - value));
    };
    let best = [Infinity, 0];
    for (let i = 0; i < 256; i += 1) {
      const far = at(i / 255).reduce((sum, value, c) => sum + (value - pixel[c]) ** 2, 0);
      if (far < best[0]) best = [far, i / 255];
    }
    return best[1];
  };
  all(".cells").forEach((cells) => {
    const image = cells.querySelector("img");
    let known;
    const read = () => {
      document.body.append(tip);
      const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      const sides = JSON.parse(cells.querySelector("script").textContent);
      const stops = cells.dataset.stops.split(" ").map((stop) => [0, 2, 4].map((i) => parseInt(stop.slice(i, i + 2), 16)));
      return { canvas, context, sides, stops };
    };
    const word = ({ names, block, first }, i) => (first.length ? `unit ${first[i]} (${shortly(names[block[i]])})` : shortly(names[block[i]]));
    const show = (event) => {
      known ??= read();
      const box = cells.getBoundingClientRect();
      const place = (at, from, size, n) => Math.min(Math.max(Math.floor((at - from) / size * n), 0), n - 1);
      const x = place(event.clientX, box.left, box.width, known.canvas.width);
      const y = place(event.clientY, box.top, box.height, known.canvas.height);
      const value = nearest(known.stops, known.context.getImageData(x, y, 1, 1).data) * cells.dataset.top;
      tip.textContent = `${word(known.sides[0], y)}, ${word(known.sides[1], x)}: about ${limit(Number(value.toPrecision(2)))}`;
      tip.hidden = false;
      tip.style.left = `${Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${event.clientY + 16 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 8 : event.clientY + 16}px`;
    };
    cells.addEventListener("pointermove", show);
    cells.addEventListener("pointerleave", () => { tip.hidden = true; });
  });

  // A graph: the node that is pointed at or stepped to, with its edges, and its card beside it.
  all(".knots").forEach((figure) => {
    const peek = figure.querySelector(".peek");
    const knots = all(".knot", figure);
    const ends = (tie) => tie.dataset.ends.split(" ");
    const clear = () => {
      figure.classList.remove("lit");
      all(".on,.near", figure).forEach((one) => one.classList.remove("on", "near"));
      peek.hidden = true;
    };
    const show = (knot) => {
      clear();
      const key = knot.dataset.knot;
      const ties = all(".tie", figure).filter((tie) => ends(tie).includes(key));
      const tied = new Set(ties.flatMap(ends));
      figure.classList.add("lit");
      ties.forEach((tie) => tie.classList.add("on"));
      knots.forEach((one) => one.classList.toggle("near", tied.has(one.dataset.knot)));
      knots.forEach((one) => one.classList.toggle("on", one.dataset.knot === key));
      const card = document.getElementById(knot.getAttribute("href").slice(1)).cloneNode(true);
      card.removeAttribute("id");
      peek.replaceChildren(card);
      peek.hidden = false;
      const box = knot.querySelector(".back").getBoundingClientRect();
      const below = box.bottom + 8 + peek.offsetHeight < innerHeight;
      peek.style.left = `${Math.max(Math.min(box.left, innerWidth - peek.offsetWidth - 8), 8)}px`;
      peek.style.top = `${below ? box.bottom + 8 : Math.max(box.top - peek.offsetHeight - 8, 8)}px`;
    };
    knots.forEach((knot) => {
      knot.addEventListener("pointerenter", () => show(knot));
      knot.addEventListener("focus", () => show(knot));
      knot.addEventListener("pointerleave", clear);
      knot.addEventListener("blur", clear);
    });
    figure.addEventListener("keydown", ({ key }) => { if (key === "Escape") clear(); });
    figure.querySelector(".script").hidden = false;
  });

  // Further crops wait in templates: half of the page's elements would otherwise be kept for nobody.
  addEventListener("toggle", ({ target }) => {
    const waiting = target.open && target.querySelector("template");
    if (!waiting) return;
    // They bring the shade alone, whose path is a frame and then the outline.
    all("path", waiting.content).forEach((shade) => {
      const outline = shade.cloneNode();
      outline.setAttribute("d", shade.getAttribute("d").replace(/^[^z]*z/, ""));
      shade.after(outline);
    });
    waiting.replaceWith(waiting.content);
  }, true);

  // One layer at a time; a link to a unit opens its layer and drops a filter that hides it.
  const panels = all(".layer");
  const tabs = all(".switch a");
  const open = (which) => {
    panels.forEach((panel, i) => { panel.hidden = i !== which; });
    tabs.forEach((tab, i) => (i === which ? tab.setAttribute("aria-current", "true") : tab.removeAttribute("aria-current")));
  };
  const follow = () => {
    const hash = location.hash.slice(1);
    if (hash.startsWith("threshold=")) figures.forEach((set) => set(Number(hash.slice(10))));
    const target = hash && document.getElementById(hash);
    const which = target ? panels.findIndex((panel) => panel.contains(target)) : -1;
    if (which >= 0) {
      const panel = panels[which];
      if (panel.hidden) open(which);
      if (target.hidden) layers[which].clear();
      if (panel !== target) target.scrollIntoView();
    }
  };
  open(0);
  follow();
  addEventListener("hashchange", follow);
  // Pictures that were never scrolled to are printed too.
  addEventListener("beforeprint", () => all("img[loading=lazy]").forEach((image) => { image.loading = "eager"; }));
})();
