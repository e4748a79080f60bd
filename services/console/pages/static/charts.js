// Each chart is drawn from the table beside it, in the colours of its legend: a figure has one source.
"use strict";

const HEIGHT = 168;
const drawn = new Map();

const figure = (text) => (text === "" || text === undefined ? null : Number(text));
const column = (rows, name) => rows.map((row) => figure(row.dataset[name]));
const constant = (rows, value) => rows.map(() => value);

function colour(name) {
  const probe = document.createElement("i");
  probe.className = `ink-${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function axes(unitOfX) {
  const ink = colour("muted");
  const grid = { stroke: colour("line"), width: 1 };
  const ticks = { ...grid, size: 4 };
  const font = "12px Inter, sans-serif";
  return [
    { stroke: ink, font, grid: { show: false }, ticks, size: 30, ...unitOfX },
    { stroke: ink, font, grid, ticks, size: 44 },
  ];
}

const line = (name, more) => ({ stroke: colour(name), width: 2, points: { show: false }, spanGaps: true, ...more });
const dots = (name, more) => ({
  stroke: colour(name),
  width: 1,
  points: { show: true, size: 8, fill: colour(name), stroke: colour(name) },
  spanGaps: true,
  ...more,
});

const WEEKS = { values: (_, splits) => splits.map((week) => (week === 0 ? "Start" : Number.isInteger(week) ? `W${week}` : "")), space: 26 };
const MONTHS = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const DAYS = { values: (_, splits) => splits.map((at) => MONTHS.format(at * 1000)), space: 60 };

// From a figure's tables to what uPlot draws: [data, series, axes, scales].
const KINDS = {
  demand(chart) {
    const rows = [...chart.querySelectorAll("tr[data-x]")];
    const required = Number(chart.dataset.required);
    const data = [column(rows, "x"), constant(rows, required), column(rows, "target"), column(rows, "shown")];
    const top = Math.max(required, ...data[2], ...data[3]) * 1.12 || 1;
    return {
      data,
      series: [{}, line("required", { dash: [6, 4] }), line("target", { width: 1.5 }), dots("shown")],
      axes: axes(WEEKS),
      scales: { x: { time: false, range: weeks }, y: { range: [0, top] } },
    };
  },
  pain(chart) {
    const rows = [...document.querySelectorAll(".sessions tr[data-x]")];
    const days = rows.map((row) => Date.parse(`${row.dataset.x}T00:00:00Z`) / 1000);
    const data = [days, column(rows, "before"), column(rows, "after"), column(rows, "later")];
    const series = [{}, line("before"), line("after", { dash: [3, 3] }), dots("later", { width: 0 })];
    const baseline = figure(chart.dataset.baseline);
    if (baseline !== null) {
      data.push(constant(rows, baseline));
      series.push(line("required", { dash: [6, 4], width: 1.5 }));
    }
    return { data, series, axes: axes(DAYS), scales: { x: { time: true }, y: { range: [0, 10] } } };
  },
  attendance(chart) {
    const rows = [...chart.querySelectorAll("tr[data-x]")];
    return {
      data: [column(rows, "x"), column(rows, "shown")],
      series: [{}, line("shown", { width: 0, fill: colour("shown"), paths: uPlot.paths.bars({ size: [0.55, 40] }) })],
      axes: axes(WEEKS),
      scales: { x: { time: false, range: weeks }, y: { range: [0, 100] } },
    };
  },
};

function weeks(_, first, last) {
  return [Math.min(first, 1) - 0.5, Math.max(last, 8) + 0.5];
}

function draw(chart, again) {
  const place = chart.querySelector(".plot");
  if (!place) return;
  const what = KINDS[chart.dataset.chart](chart);
  const figures = JSON.stringify(what.data);
  const before = drawn.get(place);
  if (before && !again && before.figures === figures) return;
  before?.plot.destroy();
  const plot = new uPlot(
    { width: place.clientWidth, height: HEIGHT, legend: { show: false }, cursor: { show: false }, ...what },
    what.data,
    place,
  );
  drawn.set(place, { plot, figures });
}

function drawAll(again) {
  for (const place of drawn.keys()) if (!place.isConnected) drawn.delete(place);
  for (const chart of document.querySelectorAll("[data-chart]")) draw(chart, again);
}

document.fonts.ready.then(() => {
  drawAll(true);
  new ResizeObserver(() => {
    for (const [place, { plot }] of drawn) {
      if (place.clientWidth && place.clientWidth !== plot.width) plot.setSize({ width: place.clientWidth, height: HEIGHT });
    }
  }).observe(document.getElementById("main"));
});
document.addEventListener("theme", () => drawAll(true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));
document.addEventListener("htmx:after:swap", () => drawAll(false));
