/* The interactive twin of a figure, drawn by plotly from the numbers that the still one was drawn from. */

const LIBRARY = document.currentScript.dataset.library;
const WIDE = 700; // pixels: below, panels stand below each other
let loading = null;

function library() {
  loading = loading || new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = LIBRARY;
    script.onload = resolve;
    script.onerror = () => { loading = null; reject(new Error(LIBRARY)); };
    document.head.append(script);
  });
  return loading;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/* A spec's points, one object each, with what its series says of all of them. */
function pointsOf(spec) {
  return spec.series.flatMap((series, index) => {
    const columns = Object.entries(series.rows);
    const length = Math.max(...columns.map(([, values]) => values.length));
    return Array.from({length}, (_, i) => {
      const point = {index, cell: i, panel: series.panel, recipe: series.recipe, schedule: series.schedule};
      for (const [name, values] of columns) point[name] = values.length === 1 ? values[0] : values[i];
      return point;
    });
  });
}

function distinct(points, name) {
  return [...new Set(points.map((point) => point[name]).filter((value) => value !== undefined && value !== null && value !== ""))];
}

class Twin {
  constructor(place, spec, name, title) {
    Object.assign(this, {place, spec, name, title, points: pointsOf(spec)});
    this.state = {recipe: null, schedule: null, seed: "mean", version: spec.focus === null ? "all" : String(spec.focus)};
    this.plot = element("div", {className: "plot"});
    this.values = element("div", {className: "scroll", tabIndex: 0});
    this.values.setAttribute("role", "region");
    this.values.setAttribute("aria-label", `Values of ${title}`);
    const table = element("details", {}, element("summary", {textContent: "Values as a table"}), this.values);
    table.addEventListener("toggle", () => this.tabulate());
    this.table = table;
    place.append(this.controls(), this.plot, table);
    this.draw();
    document.addEventListener("theme", () => this.draw());
    let width = place.clientWidth;
    new ResizeObserver(() => {
      if (Math.abs(place.clientWidth - width) > 2 && place.clientWidth) { width = place.clientWidth; this.draw(); }
    }).observe(place);
  }

  controls() {
    const bar = element("div", {className: "choose"});
    for (const [name, legend] of [["recipe", "Recipes"], ["schedule", "Schedules"]]) {
      const values = distinct(this.points, name);
      if (values.length > 1) bar.append(this.boxes(name, legend, values));
    }
    const seeds = distinct(this.points, "seed").filter((seed) => seed !== "mean");
    if (seeds.length > 1 || (seeds.length === 1 && distinct(this.points, "seed").length > 1)) {
      seeds.sort((a, b) => a - b);
      const options = [["mean", "mean of seeds"], ["all", "every seed"], ...seeds.map((seed) => [seed, `seed ${seed}`])];
      bar.append(this.select("seed", "Seeds", options));
    } else this.state.seed = "any";
    const versions = distinct(this.points, "version").sort((a, b) => a - b);
    if (versions.length > 1) {
      const every = this.spec.focus === null ? [["all", "all"]] : [];
      bar.append(this.select("version", "Version", [...every, ...versions.map((v) => [String(v), String(v)])]));
    }
    for (const [text, factor] of [["Zoom in", 0.6], ["Zoom out", 1 / 0.6], ["Reset", 0]]) {
      const button = element("button", {type: "button", textContent: text});
      button.addEventListener("click", () => this.zoom(factor));
      bar.append(button);
    }
    return bar;
  }

  boxes(name, legend, values) {
    const group = element("fieldset", {}, element("legend", {textContent: legend}));
    this.state[name] = new Set(values);
    for (const value of values) {
      const box = element("input", {type: "checkbox", checked: true, value});
      box.addEventListener("change", () => {
        if (box.checked) this.state[name].add(value);
        else this.state[name].delete(value);
        this.draw();
      });
      group.append(element("label", {}, box, ` ${value}`));
    }
    return group;
  }

  select(name, text, options) {
    const select = element("select", {name});
    for (const [value, shown] of options) select.append(element("option", {value, textContent: shown}));
    select.value = this.state[name];
    select.addEventListener("change", () => { this.state[name] = select.value; this.draw(); });
    return element("label", {}, `${text} `, select);
  }

  shown(point) {
    const {recipe, schedule, seed, version} = this.state;
    if (recipe && point.recipe && !recipe.has(point.recipe)) return false;
    if (schedule && point.schedule && !schedule.has(point.schedule)) return false;
    if (point.seed !== undefined && seed !== "any") {
      if (seed === "all" ? point.seed === "mean" : point.seed !== seed) return false;
    }
    return version === "all" || point.version === undefined || point.version === null || String(point.version) === version;
  }

  /* Always as on white: on a dark page the whole plot is inverted, as still figures are. */
  colours() {
    return {text: "#1c1c1c", line: "#d8d8d8"};
  }

  draw() {
    const points = this.points.filter((point) => this.shown(point));
    const groups = new Map();
    for (const point of points) groups.set(point.index, [...(groups.get(point.index) || []), point]);
    const panels = [...new Set(points.map((point) => point.panel))].sort((a, b) => a - b);
    const wide = this.place.clientWidth >= WIDE && panels.length === this.spec.panels.length;
    const colours = this.colours();
    const layout = this.layout(panels, wide, colours);
    const known = new Set();
    const several = distinct(this.points, "schedule").length > 1;
    const traces = [...groups].map(([index, mine]) => {
      const series = this.spec.series[index];
      return mine[0].value === undefined ? this.trace(series, mine, panels, known, several) : this.cells(series, mine, panels);
    });
    const options = {responsive: false, displaylogo: false, displayModeBar: false, doubleClick: "reset"};
    Plotly.react(this.plot, traces, layout, options);
    this.tabulate();
  }

  layout(panels, wide, colours) {
    const [width, height] = this.spec.size;
    const base = this.place.clientWidth;
    const each = 300;
    const total = wide ? Math.max(360, Math.min(900, base * height / width)) : each * Math.max(1, panels.length) + 60;
    const names = new Set(this.spec.series.map((series) => `${series.recipe} ${series.schedule}`)).size;
    const legend = this.spec.series.every((series) => series.rows.value) ? 10 : 30 + 20 * Math.ceil(names * 170 / base);
    const layout = {
      width: base, height: total + legend, margin: {l: wide ? 20 : 58, r: 12, t: 24, b: legend + (wide ? 0 : 20)}, paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)", font: {color: colours.text, size: 12}, hovermode: "closest",
      uirevision: `${panels} ${this.state.version} ${this.resets || 0}`, dragmode: base >= WIDE ? "zoom" : false, annotations: [],
      legend: {orientation: "h", yref: "container", y: 0, yanchor: "bottom"},
    };
    panels.forEach((index, place) => {
      const panel = this.spec.panels[index];
      const suffix = place ? String(place + 1) : "";
      const slot = 1 / Math.max(1, panels.length);
      const [left, right, bottom, top] = wide
        ? panel.box : [0, 1, 1 - (place + 1) * slot + 0.24 * slot, 1 - place * slot - 0.1 * slot];
      const axis = (which, domain, anchor) => ({
        domain, anchor, type: panel[which].log ? "log" : "linear", range: this.range(panel[which]),
        title: {text: !wide || panel[which].shows.label ? panel[which].label : "", font: {size: 11}, standoff: 6},
        showticklabels: !wide || panel[which].shows.ticks,
        gridcolor: colours.line, zerolinecolor: colours.line, linecolor: colours.line, automargin: !wide,
        ...(panel[which].names.length
          ? {tickmode: "array", tickvals: panel[which].names.map(([at]) => at), ticktext: panel[which].names.map(([, text]) => text)}
          : panel[which].ticks.length ? {tickmode: "array", tickvals: panel[which].ticks} : {}),
      });
      layout[`xaxis${suffix}`] = axis("x", [left, right], `y${suffix}`);
      layout[`yaxis${suffix}`] = axis("y", [bottom, top], `x${suffix}`);
      const text = this.spec.focus !== null ? `version ${this.state.version}` : panel.title.replace(/\n/g, ", ");
      layout.annotations.push({
        text, xref: "paper", yref: "paper", x: (left + right) / 2, xanchor: "center", y: top, yanchor: "bottom", showarrow: false, font: {size: 12},
      });
    });
    return layout;
  }

  /* What the still figure shows; another version's points may lie elsewhere. */
  range(axis) {
    if (this.spec.focus !== null && String(this.spec.focus) !== this.state.version) return undefined;
    return axis.log ? axis.range.map(Math.log10) : axis.range;
  }

  axes(series, panels) {
    const place = panels.indexOf(series.panel);
    return {xaxis: `x${place ? place + 1 : ""}`, yaxis: `y${place ? place + 1 : ""}`};
  }

  trace(series, mine, panels, known, several) {
    const panel = this.spec.panels[series.panel];
    const sideways = panel.y.names.length > 0;
    const notes = distinct(mine, "note");
    const noted = mine.length > 1 && mine.every((point) => point.note && point.note === notes[0]);
    const label = [series.recipe, several ? series.schedule : "", noted ? notes[0] : ""];
    const name = label.filter(Boolean).join(", ") || notes[0] || "value";
    const single = mine.every((point) => point.seed !== undefined && point.seed !== "mean") && this.state.seed === "all";
    const first = !known.has(name);
    known.add(name);
    const along = sideways ? "x" : "y";
    const ends = mine.some((point) => Number.isFinite(point.low) && Number.isFinite(point.high)) && {
      type: "data", symmetric: false, thickness: 1.2, color: series.colour,
      array: mine.map((point) => point.high - point[along]), arrayminus: mine.map((point) => point[along] - point.low),
    };
    return {
      type: "scatter", name, legendgroup: name, showlegend: first, ...this.axes(series, panels),
      mode: {curve: "lines+markers", line: "lines", points: "markers"}[series.kind],
      x: mine.map((point) => point.x + (sideways ? 0 : point.shift || 0)),
      y: mine.map((point) => point.y + (sideways ? point.shift || 0 : 0)),
      text: mine.map((point) => this.hover(point)), hovertemplate: "%{text}<extra></extra>",
      opacity: single ? 0.45 : 1, marker: {color: series.colour, symbol: series.symbol, size: single ? 6 : 8},
      line: {color: series.colour, dash: series.dash, width: single ? 1 : 2},
      ...(ends && series.kind !== "line" ? {[sideways ? "error_x" : "error_y"]: ends} : {}),
    };
  }

  cells(series, mine, panels) {
    return {
      type: "heatmap", ...this.axes(series, panels), x: mine.map((point) => point.x), y: mine.map((point) => point.y),
      z: mine.map((point) => series.shades[point.cell]), zmin: series.span[0], zmax: series.span[1], colorscale: series.scale, showscale: false, text: mine.map((point) => point.value.toFixed(1)), texttemplate: "%{text}",
      hovertext: mine.map((point) => this.hover(point)), hovertemplate: "%{hovertext}<extra></extra>",
    };
  }

  /* What a point says, as [name, value]; names are data, and nothing in one becomes markup. */
  facts(point) {
    const panel = this.spec.panels[point.panel];
    const named = (which) => (panel[which].names.find(([at]) => at === point[which]) || [0, point[which]])[1];
    const short = (value) => (typeof value === "number" ? Number(value.toPrecision(5)) : value);
    const facts = [["panel", panel.title.replace(/\n/g, ", ")], ["recipe", point.recipe], ["schedule", point.schedule], ["", point.note]];
    facts.push([panel.x.label || "x", short(named("x"))], [panel.y.label || "y", short(named("y"))]);
    if (point.value !== undefined) facts.push(["value", short(point.value)]);
    if (Number.isFinite(point.low)) facts.push(["95 % interval", `${short(point.low)} to ${short(point.high)}`]);
    facts.push(["version", point.version], ["n", point.n], ["seed", point.seed]);
    return facts.filter(([, value]) => value !== undefined && value !== null && value !== "");
  }

  hover(point) {
    const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
    return this.facts(point).map(([name, value]) => safe(name ? `${name}: ${value}` : value)).join("<br>");
  }

  tabulate() {
    this.values.replaceChildren();
    if (!this.table.open) return;
    const facts = this.points.filter((point) => this.shown(point)).map((point) => new Map(this.facts(point)));
    const names = [...new Set(facts.flatMap((fact) => [...fact.keys()]))];
    const head = element("tr", {}, ...names.map((name) => element("th", {scope: "col", textContent: name || "which"})));
    const rows = facts.map((fact) => element("tr", {}, ...names.map((name) => element("td", {textContent: fact.get(name) ?? ""}))));
    const table = element("table", {className: "sortable"}, element("thead", {}, head), element("tbody", {}, ...rows));
    this.values.append(table);
    sortable(table);
  }

  zoom(factor) {
    if (!factor) {
      this.resets = (this.resets || 0) + 1;
      this.draw();
      return;
    }
    const full = this.plot._fullLayout;
    const change = {};
    for (const name of Object.keys(full).filter((key) => /^[xy]axis\d*$/.test(key))) {
      const [low, high] = full[name].range;
      const [middle, half] = [(low + high) / 2, (high - low) / 2 * factor];
      change[`${name}.range`] = [middle - half, middle + half];
    }
    Plotly.relayout(this.plot, change);
  }
}

function toggle(button) {
  const place = document.getElementById(button.getAttribute("aria-controls"));
  const spec = JSON.parse(document.getElementById(button.dataset.spec).textContent);
  const shown = button.getAttribute("aria-expanded") !== "true";
  button.setAttribute("aria-expanded", String(shown));
  button.textContent = shown ? "Close the interactive figure" : "Explore";
  place.hidden = !shown;
  if (!shown || place.dataset.drawn) return;
  place.dataset.drawn = "yes";
  library().then(() => {
    new Twin(place, spec, button.dataset.name, button.dataset.name);
  }, () => {
    place.textContent = `${LIBRARY} is not beside this page; the command under “To make it again” writes it.`;
  });
}

document.querySelectorAll("button.explore").forEach((button) => {
  button.hidden = false;
  button.addEventListener("click", () => toggle(button));
});
