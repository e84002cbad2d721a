/** Judging a tune: what it was tuned on, and what is watched for. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { DataChoice, TraitChoice, TuneChoice } from "./choices";

interface GateFormProps {
  tunes: Schemas["TuneCard"][];
  refresh: () => void;
}

export function GateForm({ tunes, refresh }: GateFormProps) {
  const data = useServer<Schemas["DataList"]>("/v1/workbench/data").value?.data ?? [];
  const known = useServer<Schemas["ScreenableTraits"]>("/v1/workbench/data-traits");
  const traits = known.value?.traits ?? [];
  const [tune, setTune] = useState("");
  const [file, setFile] = useState("");
  const [ordinary, setOrdinary] = useState("");
  const [left, setLeft] = useState<readonly string[]>([]);
  const [remedy, setRemedy] = useState(false);
  const { run, busy, error } = useAction();
  const chosen = traits.filter((trait) => !left.includes(trait));
  const body: Schemas["GateRequest"] = {
    tune: tune || (tunes[0]?.run ?? ""),
    data: file || (data[0]?.name ?? ""),
    ...(ordinary ? { ordinary } : {}),
    traits: chosen,
    remedy,
    nulls: 0,
  };
  const submit = () =>
    run(async () => {
      await askJson("/v1/workbench/gates", { body });
      refresh();
    });
  if (!data.length) return <p className="quiet">Bring what it was tuned on to the page of data first.</p>;
  if (known.value && !traits.length) return <p className="quiet">No vectors of this model lie on the disk.</p>;
  return (
    <form
      className="side-form"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <TuneChoice tunes={tunes} value={body.tune} change={setTune} />
      <DataChoice label="What it was tuned on" data={data} value={body.data} change={setFile} />
      <DataChoice label="Ordinary conversations" data={data} value={ordinary} change={setOrdinary} none="the default" />
      <TraitChoice legend="Watched for" traits={traits} left={left} change={setLeft} />
      <label className="check">
        <input type="checkbox" checked={remedy} onChange={(event) => setRemedy(event.target.checked)} />
        Tune with every remedy too
      </label>
      <p className="quiet">By the default policy; `mindscope gate` takes one of your own.</p>
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy || !chosen.length}>
        Judge
      </button>
    </form>
  );
}
