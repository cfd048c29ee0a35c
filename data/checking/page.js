"use strict";
// Above each list: shows its items that hold the words and are of the chosen kind, and opens or closes them all.
for (const bar of document.querySelectorAll(".browse")) {
  const items = [...document.getElementById(bar.dataset.list).children];
  const words = bar.querySelector("input");
  const kind = bar.querySelector("select");
  const count = bar.querySelector("output");
  const show = () => {
    for (const item of items) {
      const isOfKind = kind.value === "" || item.dataset.kind === kind.value;
      item.hidden = !(isOfKind && item.textContent.toLowerCase().includes(words.value.toLowerCase()));
    }
    count.value = `${items.filter((item) => !item.hidden).length} of ${items.length}`;
  };
  words.addEventListener("input", show);
  kind.addEventListener("change", show);
  bar.querySelector("button").addEventListener("click", () => {
    const shown = items.filter((item) => !item.hidden);
    const open = shown.some((item) => !item.open);
    for (const item of shown) item.open = open;
  });
  bar.hidden = false;
  show();
}
