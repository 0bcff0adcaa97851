"use strict";
// The page says everything without this script; it only lets one choose.
(() => {
  const remembered = {
    get() { try { return localStorage.getItem("rlhf-theme"); } catch { return null; } },
    set(theme) { try { localStorage.setItem("rlhf-theme", theme); } catch { /* a page from a file may not remember */ } },
  };
  const names = { system: "as the system", light: "light", dark: "dark" };
  const order = Object.keys(names);
  const button = document.getElementById("theme");
  const show = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = "Theme: " + names[theme];
  };
  let theme = order.includes(remembered.get()) ? remembered.get() : "system";
  show(theme);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    remembered.set(theme);
    show(theme);
  });

  const choice = document.getElementById("filter");
  if (!choice) return;
  const samples = [...document.querySelectorAll(".sample")];
  const filter = () => {
    const kind = document.getElementById("kind").value;
    const outcome = document.getElementById("outcome").value;
    let shown = 0;
    for (const sample of samples) {
      const fits = (!kind || sample.dataset.kind === kind) && (!outcome || sample.dataset.outcome === outcome);
      sample.hidden = !fits;
      if (fits) shown += 1;
    }
    document.getElementById("matching").textContent = shown + " shown";
  };
  choice.hidden = false;
  choice.addEventListener("change", filter);
  // Browsers remember what was chosen before the page was loaded again.
  filter();
})();
