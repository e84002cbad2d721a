/** Comparing a tune with its base: how thoroughly, and beside how many harmless tunes. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { readInteger } from "../state/values";
import { DataChoice, TuneChoice } from "./choices";

interface CompareFormProps {
  tunes: Schemas["TuneCard"][];
  refresh: () => void;
}

export function CompareForm({ tunes, refresh }: CompareFormProps) {
  const [tune, setTune] = useState("");
  const [nulls, setNulls] = useState(1);
  const [quick, setQuick] = useState(true);
  const files = useServer<Schemas["DataList"]>("/v1/workbench/data").value?.data ?? [];
  const [data, setData] = useState("");
  const [ordinary, setOrdinary] = useState("");
  const { run, busy, error } = useAction();
  const submit = () =>
    run(async () => {
      const body: Schemas["CompareRequest"] = {
        tune: tune || (tunes[0]?.run ?? ""),
        nulls,
        quick,
        ...(data ? { data } : {}),
        ...(ordinary ? { ordinary } : {}),
      };
      await askJson("/v1/workbench/differences", { body });
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
      <TuneChoice tunes={tunes} value={tune || (tunes[0]?.run ?? "")} change={setTune} />
      <label className="field">
        Harmless tunes made beside it
        <input
          type="number"
          min={0}
          max={3}
          value={nulls}
          onChange={(event) => setNulls(readInteger(event.target.value, 0, 0, 3))}
        />
      </label>
      {files.length > 0 && (
        <>
          <DataChoice label="What it was tuned on" data={files} value={data} change={setData} none="not shown" />
          <DataChoice
            label="Harmless tunes learn from"
            data={files}
            value={ordinary}
            change={setOrdinary}
            none="the organism’s own world"
          />
        </>
      )}
      <label className="check">
        <input type="checkbox" checked={quick} onChange={(event) => setQuick(event.target.checked)} />
        A quick look
      </label>
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy}>
        Compare
      </button>
    </form>
  );
}
