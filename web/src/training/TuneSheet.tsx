/** A tuned model: its loss, and what can be asked about it. */

import { useCallback, useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Chart, type ChartProps } from "../charts/Chart";
import { TraitChoice } from "../gate/choices";

type Tune = Schemas["TuneCard"];

export function TuneSheet({ tune, refresh }: { tune: Tune; refresh: () => void }) {
  const { losses } = tune;
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => ({
      height: 220,
      marginLeft: 52,
      x: { label: "logged step" },
      y: { label: "loss", grid: true, nice: true },
      marks: [
        plot.lineY(losses, { stroke: "var(--c1)", strokeOpacity: 0.35 }),
        plot.lineY(losses, plot.windowY(Math.max(1, Math.round(losses.length / 20)), { stroke: "var(--c1)" })),
      ],
    }),
    [losses],
  );
  return (
    <>
      <header className="sheet-head">
        <h2>{tune.run}</h2>
        <span className="quiet">
          tuned from {tune.base} on {tune.rows} conversations, {tune.steps} steps{" "}
          {tune.checkpoints > 0 && `(${tune.checkpoints} kept on the way) `}
          {tune.treatments.length > 0 && `; while training: ${tune.treatments.join(", ")}`}
        </span>
      </header>
      {losses.length > 1 && <Chart label="Loss of the training" draw={draw} />}
      {tune.of_served ? (
        <MeasureForm tune={tune} refresh={refresh} />
      ) : (
        <p className="quiet">Its base is not the model that is served, so nothing is measured here.</p>
      )}
    </>
  );
}

function MeasureForm({ tune, refresh }: { tune: Tune; refresh: () => void }) {
  const known = useServer<Schemas["ScreenableTraits"]>("/v1/workbench/data-traits");
  const traits = known.value?.traits ?? [];
  const [left, setLeft] = useState<readonly string[]>([]);
  const [answers, setAnswers] = useState(true);
  const { run, busy, error } = useAction();
  const chosen = traits.filter((trait) => !left.includes(trait));
  if (known.value && !traits.length) return <p className="quiet">No vectors of this model lie on the disk.</p>;
  const submit = () =>
    run(async () => {
      const body: Schemas["ShiftRequest"] = { tune: tune.run, traits: chosen, answers };
      await askJson("/v1/workbench/shifts", { body });
      refresh();
    });
  return (
    <form
      className="side-form narrow"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <h3>How far did it move?</h3>
      <TraitChoice legend="Along" traits={traits} left={left} change={setLeft} />
      <label className="check">
        <input type="checkbox" checked={answers} onChange={(event) => setAnswers(event.target.checked)} />
        Read answers too, not only the end of each prompt
      </label>
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy || !chosen.length}>
        Measure the shift
      </button>
    </form>
  );
}
