/** Training: tuned models, how far each moved along traits, checkpoint by checkpoint, and remedies head to head. */

import { useCallback } from "react";
import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { Interval, describeInterval, findReach } from "../charts/Interval";
import { shortName } from "../gate/GatePage";
import { Jobs } from "../jobs/Jobs";
import { type StateForm, useHashState } from "../state/hash_state";
import { RemedySheet } from "./RemedySheet";
import { ShiftSheet } from "./ShiftSheet";
import { TuneForm } from "./TuneForm";
import { TuneSheet } from "./TuneSheet";
import "../style/desk.css";
import "../style/data.css";
import "../style/features.css";
import "../style/gate.css";

const KINDS = ["tune", "shift", "remedy"] as const;
type Kind = (typeof KINDS)[number];

export interface TrainingState {
  run: string;
  kind: Kind;
  layer: string;
  at: string;
}

const TRAINING_FORM: StateForm<TrainingState> = {
  read: (params) => ({
    run: params["run"] ?? "",
    kind: KINDS.find((kind) => kind === params["kind"]) ?? "tune",
    layer: params["layer"] ?? "",
    at: params["at"] ?? "",
  }),
  write: ({ run, kind, layer, at }) => ({ run, kind: kind === "tune" ? "" : kind, layer, at }),
};

export function TrainingPage() {
  const [state, set] = useHashState(TRAINING_FORM);
  const training = useServer<Schemas["TrainingList"]>("/v1/workbench/training");
  const gates = useServer<Schemas["ComparisonList"]>("/v1/workbench/comparisons");
  const { again } = training;
  const { again: againGates } = gates;
  const refresh = useCallback(() => {
    again();
    againGates();
  }, [again, againGates]);
  const choose = (kind: Kind, run: string) => set(() => ({ run, kind, layer: "", at: "" }), { push: true });
  const list = training.value;
  const remedies = gates.value?.comparisons.filter((one) => one.remedies) ?? [];
  const tune = list?.tunes.find((one) => one.run === state.run);
  return (
    <div className="desk">
      <aside className="list-side" aria-label="Trainings">
        <h1>Training</h1>
        {training.error && <ErrorNote text={training.error} />}
        {list && !list.can_start && <p className="quiet">To tune here, start the server with --runs FOLDER.</p>}
        {list && (
          <EntryList title="Tuned models" none="There are no tuned models yet.">
            {list.tunes.map((one) => (
              <Entry
                key={one.run}
                name={one.run}
                current={state.kind === "tune" && one.run === state.run}
                about={`${one.rows} conversations, ${one.steps} steps${one.treatments.length ? ` · ${one.treatments.join(", ")}` : ""}`}
                choose={() => choose("tune", one.run)}
              />
            ))}
          </EntryList>
        )}
        {list && list.shifts.length > 0 && (
          <EntryList title="Shifts">
            {list.shifts.map((one) => (
              <Entry
                key={one.run}
                name={one.run}
                current={state.kind === "shift" && one.run === state.run}
                about={`${one.traits.join(", ")} · ${one.models === 1 ? "before and after" : `${one.models} checkpoints`}`}
                choose={() => choose("shift", one.run)}
              />
            ))}
          </EntryList>
        )}
        {remedies.length > 0 && (
          <EntryList title="Remedies head to head">
            {remedies.map((one) => (
              <Entry
                key={one.run}
                name={one.run}
                current={state.kind === "remedy" && one.run === state.run}
                about="one training for each remedy"
                choose={() => choose("remedy", one.run)}
              />
            ))}
          </EntryList>
        )}
        <Jobs about={isAboutTraining} onEnd={refresh} />
        {list?.can_start && (
          <details>
            <summary>Tune the served model</summary>
            <TuneForm refresh={refresh} />
          </details>
        )}
      </aside>
      <section className="sheet" aria-label="Training">
        {!state.run && list && (
          <>
            <p className="quiet">
              Choose a tuned model, a measured shift, or remedies that were compared. Side by side: how far each tuned
              model ended from its base.
            </p>
            <ShiftsSideBySide shifts={list.shifts} />
          </>
        )}
        {state.run && state.kind === "tune" && tune && <TuneSheet key={tune.run} tune={tune} refresh={refresh} />}
        {state.run && state.kind === "tune" && list && !tune && (
          <ErrorNote text={`no tuned model is called ${state.run} here`} />
        )}
        {state.run && state.kind === "shift" && (
          <ShiftSheet
            key={state.run}
            run={state.run}
            layer={state.layer}
            at={state.at}
            set={(changes) => set((now) => ({ ...now, ...changes }))}
          />
        )}
        {state.run && state.kind === "remedy" && <RemedySheet key={state.run} run={state.run} />}
      </section>
    </div>
  );
}

/** Columns of the table of all shifts. */
const MOST_TRAITS = 6;

const isAboutTraining = (job: Schemas["JobCard"]) => /^(training on|shift of) /.test(job.title);

function EntryList({ title, none, children }: { title: string; none?: string; children: React.ReactElement[] }) {
  return (
    <section>
      <h2>{title}</h2>
      {children.length === 0 && none && <p className="quiet">{none}</p>}
      <ul className="entries">{children}</ul>
    </section>
  );
}

interface EntryProps {
  name: string;
  about: string;
  current: boolean;
  choose: () => void;
}

function Entry({ name, about, current, choose }: EntryProps) {
  return (
    <li>
      <button type="button" className="entry" aria-current={current} onClick={choose}>
        <span className="name">{name}</span>
        <span className="quiet">{about}</span>
      </button>
    </li>
  );
}

function ShiftsSideBySide({ shifts }: { shifts: Schemas["ShiftCard"][] }) {
  if (!shifts.length) return <p className="quiet">No shift was measured yet.</p>;
  const traits = [...new Set(shifts.flatMap((one) => one.ended.map((end) => end.trait)))].slice(0, MOST_TRAITS);
  const find = (card: Schemas["ShiftCard"], trait: string) => card.ended.find((end) => end.trait === trait);
  return (
    <Table
      className="checks"
      rows={shifts}
      keyOf={(one) => one.run}
      columns={[
        { head: "run", cell: (one) => one.run },
        { head: "base", cell: (one) => shortName(one.base) },
        ...traits.map((trait) => {
          const ends = shifts.flatMap((card) => find(card, trait) ?? []);
          const reach = findReach(ends.flatMap(({ low, high }) => [low, high]));
          return {
            head: `along ${trait}`,
            cell: (one: Schemas["ShiftCard"]) => {
              const end = find(one, trait);
              if (!end) return "–";
              return (
                <>
                  <Interval estimate={end.shift} low={end.low} high={end.high} reach={reach} />
                  <div className="figures">
                    {describeInterval(end.shift, end.low, end.high)} at layer {end.layer}
                  </div>
                </>
              );
            },
          };
        }),
      ]}
    />
  );
}
