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
// A label that the frame would cut goes to the other side of its mark, or moves along.
// Returns whether the mark is in the frame.
const fit = (text, frame) => {
  text.style.translate = "";
  const box = text.getBoundingClientRect(), anchor = text.getAttribute("text-anchor");
  const { left, right, top, bottom, width, height } = box, reach = height + 18;
  const mark = { start: left, end: right }[anchor] ?? (left + right) / 2;
  let [x, y] = [0, 0];
  if (right > frame.right) x = anchor === "start" ? -width - 18 : frame.right - right - 2;
  if (left < frame.left) x = anchor === "end" ? width + 18 : frame.left - left + 2;
  if (top < frame.top) y = reach;
  if (bottom > frame.bottom) y = -reach;
  text.style.translate = `${x}px ${y}px`;
  return frame.left <= mark && mark <= frame.right && frame.top < bottom + y && top + y < frame.bottom;
};
// Of labels that lie on each other the first stays; pointing at a mark tells the others.
const clear = (chart) => {
  const kept = [], frame = chart.getBoundingClientRect();
  for (const text of chart.querySelectorAll(".textpoint text")) {
    const seen = fit(text, frame), box = text.getBoundingClientRect();
    const free = !box.width || seen && kept.every((other) =>
      box.right <= other.left || other.right <= box.left ||
      box.bottom <= other.top || other.bottom <= box.top);
    text.style.visibility = free ? "" : "hidden";
    if (free && box.width) kept.push(box);
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
