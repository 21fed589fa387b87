// Before the first paint, and whenever somebody switches Airflow's theme: next-themes keeps it under `theme`.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme") ?? "system";
    const dark = chosen === "dark" || (chosen !== "light" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  apply();
  addEventListener("storage", apply);
  system.addEventListener("change", apply);
})();
