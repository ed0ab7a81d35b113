"use strict";

// The figures, from the texts that stand where they are to be.
const shown = [...document.querySelectorAll(".bokeh")].map((place) => {
  const item = JSON.parse(place.firstChild.textContent);
  place.textContent = "";
  return Bokeh.embed.embed_item(item, place.id);
});

const named = (name) => Bokeh.documents.map((each) => each.get_model_by_name(name)).find((each) => each);

// Another choice of axes is a copy of columns, and a limit leaves points out.
function control(form) {
  const figure = named(form.dataset.controls);
  const points = figure.renderers.filter((each) => each.view.filter.booleans);
  const sources = [...new Set(points.map((each) => each.data_source))];
  const line = named("front-line");
  const steps = line && line.data_source.data;
  const { x, y, limit, cost } = form.elements;
  const label = (choice) => choice.selectedOptions[0].textContent;

  function chooseAxes() {
    for (const source of sources) {
      const data = { ...source.data };
      const unknown = data.x.map(() => NaN);
      for (const [place, choice] of [["x", x], ["y", y]]) {
        data[place] = data[choice.value];
        for (const end of ["low", "high"]) {
          data[`${place}_${end}`] = data[`${choice.value}_${end}`] ?? unknown;
        }
      }
      source.data = data;
    }
    figure.below[0].axis_label = label(x);
    figure.left[0].axis_label = label(y);
    if (line) {
      const own = x.value === form.dataset.x && y.value === form.dataset.y;
      line.data_source.data = own ? steps : { x: [], y: [] };
    }
  }

  function limitCost() {
    const { low, high, decimals } = cost.selectedOptions[0].dataset;
    // In equal ratios, for costs differ by orders of magnitude.
    const share = limit.value / limit.max;
    const most = share === 1 ? Number(high) : (+low || 1e-9) * Math.pow(+high / (+low || 1e-9), share);
    form.querySelector("output").textContent = most.toFixed(decimals);
    for (const each of points) {
      const values = each.data_source.data[cost.value];
      each.view.filter.booleans = Array.from(values, (value) => !(value > most * (1 + 1e-9)));
    }
  }

  for (const choice of [x, y]) choice.addEventListener("change", chooseAxes);
  for (const choice of [limit, cost]) choice.addEventListener("input", limitCost);
  form.addEventListener("submit", (event) => event.preventDefault());
  limitCost();
}

Promise.all(shown).then(() => {
  document.querySelectorAll("[data-controls]").forEach(control);
  document.documentElement.dataset.ready = "yes";
});

// Colours are CSS variables, which canvases take when they are painted.
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const each of Bokeh.documents.flatMap((page) => page.roots())) each.change.emit();
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "selected";
    }
  });
}
