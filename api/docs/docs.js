// RapiDoc takes colours by attributes. The page of a problem is shown when the document above it has its height.
const api = document.querySelector("rapi-doc");
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => api.setAttribute("theme", dark.matches ? "dark" : "light");
dark.addEventListener("change", paint);
paint();
api.addEventListener("spec-loaded", () => document.getElementById(location.hash.slice(1))?.scrollIntoView());
