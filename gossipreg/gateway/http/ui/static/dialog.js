// Dialogs: before anything is changed, one says what will happen; what came of it is shown in the same place.

import { fill, h } from "./dom.js";
import { call } from "./rpc.js";
import { keepToken, tokenFault } from "./token.js";

/** Ask before `method` is called.
 *
 * `title`: what is done, to what. `effects`: sentences that say what will happen. `verb`: the text of the button.
 * `fields`: {`name`, `label`, `hint`, `required`} of what the person may write. `params(values)`: those of the method.
 * `outcome(result)`: a sentence, in words, or {`tone`, `text`} where not all went well. */
export function confirm({ title, effects, verb, danger = false, method, fields = [], params, outcome }) {
  const inputs = fields.map(({ name, label, hint = "", required = false }) => {
    const input = h("input", { id: `field-${name}`, name, required, maxlength: 200, autocomplete: "off", "aria-describedby": `hint-${name}` });
    return { input, row: [h("label", { for: `field-${name}` }, label), input, h("p", { class: "hint", id: `hint-${name}` }, hint)] };
  });
  const token = h("input", { id: "write-token", type: "password", autocomplete: "off" });
  const tokenRow = h("div", { class: "token-row", hidden: true }, h("label", { for: "write-token" }, "Token (a line of the sidecar's --http-token-file)"), token);
  const status = h("p", { class: "outcome", role: "status" });
  const cancel = h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
  const act = h("button", { type: "submit", class: danger ? "main danger" : "main" }, verb);
  const form = h(
    "form",
    { on: { submit: (event) => run(event) } },
    h("h2", { id: "dialog-title" }, title),
    h("ul", { class: "effects" }, effects.map((effect) => h("li", null, effect))),
    inputs.map(({ row }) => row),
    tokenRow,
    status,
    h("div", { class: "buttons" }, cancel, act),
  );
  const dialog = open(form);
  (inputs[0]?.input ?? cancel).focus();

  async function run(event) {
    event.preventDefault();
    const values = Object.fromEntries(inputs.map(({ input }) => [input.name, input.value.trim()]));
    const fault = tokenFault(token.value.trim());
    if (fault) {
      show("bad", `This is no token: ${fault}.`);
      return;
    }
    if (token.value) keepToken(token.value.trim());
    act.disabled = true;
    dialog.setAttribute("aria-busy", "true");
    show("", "Asking the sidecar …");
    try {
      const result = await call(method, params(values));
      const came = outcome(result);
      if (typeof came === "string") show("good", came);
      else show(came.tone, came.text);
      act.remove();
      tokenRow.hidden = true;
      for (const { input } of inputs) input.disabled = true;
      cancel.textContent = "Close";
      cancel.focus();
    } catch (error) {
      show("bad", `${error.code ?? "error"}: ${error.message}`);
      act.disabled = false;
      if (error.needsToken) { // to look may be open where to change is not
        tokenRow.hidden = false;
        token.focus();
      }
    }
    dialog.removeAttribute("aria-busy");
  }

  function show(tone, text) {
    status.className = `outcome ${tone && `tone-${tone}`}`;
    status.textContent = text;
  }
}

/** Ask for the token; `keep(text)` gets it. */
export function askForToken({ message, wrong, keep }) {
  if (document.querySelector("dialog.token")) return;
  const status = h("p", { class: "outcome tone-bad", role: "status" });
  const input = h("input", { id: "token", type: "password", required: true, autocomplete: "off", "aria-describedby": "token-hint" });
  const form = h(
    "form",
    {
      on: {
        submit: (event) => {
          event.preventDefault();
          const fault = tokenFault(input.value.trim());
          if (fault) {
            status.textContent = `This is no token: ${fault}.`;
            return;
          }
          dialog.removeEventListener("close", askAgain);
          dialog.close();
          keep(input.value.trim());
        },
      },
    },
    h("h2", { id: "dialog-title" }, wrong ? "This token is not accepted" : "This sidecar asks for a token"),
    wrong && h("p", null, message),
    h("label", { for: "token" }, "Token"),
    input,
    h(
      "p",
      { class: "hint", id: "token-hint" },
      "A line of the file that --http-token-file names. This tab keeps it until you close it.",
    ),
    status,
    h("div", { class: "buttons" }, h("button", { type: "submit", class: "main" }, "Show the cluster")),
  );
  const dialog = open(form, "token");
  const askAgain = () => askForToken({ message, wrong, keep }); // there is nothing behind it to go back to
  dialog.addEventListener("close", askAgain);
  input.focus();
}

function open(content, kind = "") {
  const dialog = h("dialog", { class: kind, "aria-labelledby": "dialog-title" }, content);
  dialog.addEventListener("close", () => dialog.remove());
  fill(document.getElementById("dialogs"), dialog);
  dialog.showModal();
  return dialog;
}
