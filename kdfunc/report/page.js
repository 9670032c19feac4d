// Controls name a function of plotly.js and its arguments; see the template.
const act = (control) => {
  const { call, chart, args, off } = control.dataset;
  const given = JSON.parse(off && !control.checked ? off : args, (_, value) =>
    value === "$value" ? control.value : value);
  Plotly[call](chart, ...given);
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
const theme = document.getElementById("theme");
const show = (dark) => {
  document.documentElement.style.colorScheme = dark ? "dark" : "light";
  theme.setAttribute("aria-pressed", dark);
};
show(matchMedia("(prefers-color-scheme: dark)").matches);
theme.addEventListener("click", () => show(theme.getAttribute("aria-pressed") !== "true"));
// Charts side by side were drawn before their neighbours took their share of the width.
for (const chart of document.querySelectorAll(".js-plotly-plot")) Plotly.Plots.resize(chart);
