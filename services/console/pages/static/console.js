// What the pages do beyond HTML and HTMX. Each works without it, but for the theme's button.
"use strict";

const THEMES = ["system", "light", "dark"];

function setUpTheme(button) {
  const root = document.documentElement;
  const tell = () => {
    button.querySelector("span").textContent = root.dataset.theme || "system";
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length];
    if (next === "system") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Kept for this page only.
    }
    tell();
    document.dispatchEvent(new Event("theme"));
  });
  tell();
}

// A decision other than recommended needs a reason, and restrictions go with one decision only: the form says so at once.
function setUpSignOff(form) {
  const reason = form.querySelector("#reason_code");
  const until = form.querySelector("#effective_through");
  const restrictions = form.querySelector("#restrictions");
  const rows = form.querySelector("#rows");
  const add = form.querySelector("#add");
  const follow = () => {
    const decision = form.elements.decision.value;
    reason.required = decision !== form.dataset.recommended;
    form.querySelector("#reason").classList.toggle("needed", reason.required);
    until.required = decision === "ready_with_restrictions";
    restrictions.hidden = decision !== "ready_with_restrictions";
  };
  form.addEventListener("change", follow);
  for (const button of rows.querySelectorAll(".remove")) button.hidden = false;
  rows.addEventListener("click", (event) => {
    if (!event.target.matches(".remove")) return;
    event.target.closest("li").remove();
    add.focus();
  });
  add.hidden = false;
  add.addEventListener("click", () => {
    const row = form.querySelector("#row").content.cloneNode(true);
    row.querySelector(".remove").hidden = false;
    rows.append(row);
    rows.lastElementChild.querySelector("select").focus();
  });
  follow();
}

const theme = document.getElementById("theme");
if (theme) setUpTheme(theme);
const signOff = document.getElementById("sign-off");
if (signOff) setUpSignOff(signOff);
// What is wrong is read first, and the keyboard goes on from there.
document.getElementById("wrong")?.focus();
