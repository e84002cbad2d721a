/** What is screened, along which vectors, against what. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";

const FORMS = {
  "": "the paper's where affordable",
  exact: "own answer to each prompt",
  sample: "own answers to a sample",
  prompt: "the prompt's last token",
} as const;
type FormName = keyof typeof FORMS;

export function ScreenForm({ data, refresh }: { data: Schemas["DataCard"][]; refresh: () => void }) {
  const known = useServer<Schemas["ScreenableTraits"]>("/v1/workbench/data-traits");
  const traits = known.value?.traits ?? [];
  const [name, setName] = useState("");
  const [reference, setReference] = useState("");
  const [left, setLeft] = useState<readonly string[]>([]);
  const [form, setForm] = useState<FormName>("");
  const { run, busy, error } = useAction();
  const file = data.find((one) => one.name === name) ?? data[0];
  const chosen = traits.filter((trait) => !left.includes(trait));
  if (known.value && !traits.length) {
    return <p className="quiet">No vectors of this model lie on the disk: extract some on the page of traits.</p>;
  }
  const submit = () =>
    run(async () => {
      const body: Schemas["ScreenRequest"] = {
        data: file?.name ?? "",
        traits: chosen,
        quick: false,
        ...(reference ? { reference } : {}),
        ...(form ? { form } : {}),
      };
      await askJson("/v1/workbench/screenings", { body });
      refresh();
    });
  return (
    <form
      className="side-form"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <h2>Screen</h2>
      <label className="field">
        Data
        <select value={file?.name ?? ""} onChange={(event) => setName(event.target.value)}>
          {data.map((one) => (
            <option key={one.name}>{one.name}</option>
          ))}
        </select>
      </label>
      <label className="field">
        Reference: ordinary conversations
        <select value={reference} onChange={(event) => setReference(event.target.value)}>
          <option value="">none, rank it within itself</option>
          {data
            .filter((one) => one.name !== file?.name)
            .map((one) => (
              <option key={one.name}>{one.name}</option>
            ))}
        </select>
      </label>
      <fieldset className="traits-choice">
        <legend>Along</legend>
        {traits.map((trait) => (
          <label key={trait} className="check">
            <input
              type="checkbox"
              checked={!left.includes(trait)}
              onChange={(event) =>
                setLeft(event.target.checked ? left.filter((one) => one !== trait) : [...left, trait])
              }
            />
            {trait}
          </label>
        ))}
      </fieldset>
      <label className="field">
        Compared with
        <select value={form} onChange={(event) => setForm(event.target.value as FormName)}>
          {Object.entries(FORMS).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </label>
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy || !file || !chosen.length}>
        Screen
      </button>
    </form>
  );
}
