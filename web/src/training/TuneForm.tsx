/** Tuning the served model on data that was brought here. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { DataChoice, TraitChoice } from "../gate/choices";
import { readInteger, readNumber } from "../state/values";

export function TuneForm({ refresh }: { refresh: () => void }) {
  const data = useServer<Schemas["DataList"]>("/v1/workbench/data");
  const known = useServer<Schemas["ScreenableTraits"]>("/v1/workbench/data-traits");
  const files = data.value?.data ?? [];
  const traits = known.value?.traits ?? [];
  const [file, setFile] = useState("");
  const [steps, setSteps] = useState("");
  const [rate, setRate] = useState("1e-5");
  const [every, setEvery] = useState(20);
  const [left, setLeft] = useState<readonly string[] | null>(null);
  const { run, busy, error } = useAction();
  if (data.value && !files.length) return <p className="quiet">Bring conversations to the page of data first.</p>;
  const unchosen = left ?? traits;
  const submit = () =>
    run(async () => {
      const body: Schemas["TuneRequest"] = {
        data: file || (files[0]?.name ?? ""),
        learning_rate: readNumber(rate, 1e-5, 1e-9, 1),
        checkpoint_every: every,
        prevent: traits.filter((trait) => !unchosen.includes(trait)),
        seed: 0,
        ...(steps ? { steps: readInteger(steps, 1, 1, 10_000) } : {}),
      };
      await askJson("/v1/workbench/tunings", { body });
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
      <DataChoice label="Data" data={files} value={file || (files[0]?.name ?? "")} change={setFile} />
      <label className="field">
        Steps
        <input
          inputMode="numeric"
          placeholder="once through the data"
          value={steps}
          onChange={(event) => setSteps(event.target.value.replaceAll(/\D/g, ""))}
        />
      </label>
      <label className="field">
        Learning rate
        <input value={rate} onChange={(event) => setRate(event.target.value)} />
      </label>
      <p className="quiet">1e-5 is for models of billions of parameters; the organism takes 3e-4.</p>
      <label className="field">
        A checkpoint every so many steps
        <input
          type="number"
          min={1}
          value={every}
          onChange={(event) => setEvery(readInteger(event.target.value, 20, 1, 10_000))}
        />
      </label>
      {traits.length > 0 && (
        <TraitChoice legend="Prevented while training" traits={traits} left={unchosen} change={setLeft} />
      )}
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy || !files.length}>
        Tune
      </button>
    </form>
  );
}
