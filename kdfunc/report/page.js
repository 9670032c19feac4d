// Controls name a function of plotly.js and its arguments; see the template.
const act = (control) => {
  const { call, chart, args, off } = control.dataset;
  const given = JSON.parse(off && !control.checked ? off : args, (_, value) =>
    value === "$value" ? control.value : value);
  // A pause rejects what it interrupts.
  Promise.resolve(Plotly[call](chart, ...given)).catch(() => {});
};
for (const control of document.querySelectorAll("[data-call]")) {
  control.addEventListener(control.tagName === "BUTTON" ? "click" : "input", () => act(control));
}
for (const slider of document.querySelectorAll("input[type=range]")) {
  document.getElementById(slider.dataset.chart).on("plotly_animatingframe", ({ name }) => {
    slider.value = name;
    slider.closest(".play").querySelector("output").value = name;
  });
}
// The button names what it does.
const theme = document.getElementById("theme");
const show = (dark) => {
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  theme.textContent = dark ? "Light theme" : "Dark theme";
};
show(matchMedia("(prefers-color-scheme: dark)").matches);
theme.addEventListener("click", () => show(document.documentElement.dataset.theme !== "dark"));
// Labels are beside their marks, in the frame and clear of other labels, and of other
// marks where there is room for it. Of labels without a place the first stays; pointing
// at a mark tells the others.
const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
const within = (a, b) => b.left <= a.left && a.right <= b.right && b.top <= a.top && a.bottom <= b.bottom;
const places = ({ left, right, top, bottom }, mark) => {
  const across = (mark.left + mark.right - left - right) / 2, down = (mark.top + mark.bottom - top - bottom) / 2;
  const [x, y] = [[mark.left - right - 4, mark.right - left + 4], [mark.top - bottom, mark.bottom - top]];
  const corners = x.flatMap((dx) => y.map((dy) => [dx, dy]));
  return [[0, 0], [x[1], down], [x[0], down], [across, y[1]], [across, y[0]], ...corners];
};
const clear = (chart) => {
  const frame = chart.getBoundingClientRect(), kept = [];
  const marks = [...chart.querySelectorAll(".point")].map((point) => [point.__data__, point.getBoundingClientRect()]);
  const large = marks.filter(([, box]) => box.width > 8);
  for (const text of chart.querySelectorAll(".textpoint text")) {
    text.style.translate = "";
    const drawn = text.getBoundingClientRect();
    if (!drawn.width) continue;
    const [point, mark] = marks.find(([data]) => data === text.__data__);
    const seen = !apart(mark, frame);
    const free = places(drawn, mark).map(([x, y]) => [x, y, new DOMRect(drawn.x + x, drawn.y + y, drawn.width, drawn.height)])
      .filter(([, , box]) => within(box, frame) && kept.every((other) => apart(box, other)));
    const best = free.find(([, , box]) => large.every(([data, other]) => data === point || apart(box, other))) ?? free[0];
    text.style.visibility = best && seen ? "" : "hidden";
    if (!best || !seen) continue;
    text.style.translate = `${best[0]}px ${best[1]}px`;
    kept.push(best[2]);
  }
};
// On paper a chart is as wide as its place: what was drawn for the screen is scaled.
const scale = (chart) => {
  const { width, height } = chart._fullLayout;
  chart.style.setProperty("--shape", `${width} / ${height}`);
  chart.style.setProperty("--drawn", `${width}px`);
  for (const svg of chart.querySelectorAll(".main-svg")) svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
};
// Charts side by side were drawn before their neighbours took their share of the width.
for (const chart of document.querySelectorAll(".js-plotly-plot")) {
  const settle = () => { scale(chart); clear(chart); };
  for (const event of ["plotly_afterplot", "plotly_animated"]) chart.on(event, settle);
  Plotly.Plots.resize(chart).then(settle);
}
// A click on a column's name sorts the rows by it, another click the other way round.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement, table = heading.closest("table");
    const before = heading.getAttribute("aria-sort");
    const down = before ? before === "ascending" : button.dataset.first === "descending";
    for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => row.cells[heading.cellIndex].dataset.value ?? "";
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const sign = Number.isNaN(x - y) ? x.localeCompare(y) : x - y;
      return down ? -sign : sign;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  });
}
// On paper, verdicts have their numbers.
for (const [event, open] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => {
    for (const numbers of document.querySelectorAll(".verdict details")) numbers.open = open;
  });
}
