/** Gate: whether a tuned model may ship, and what tuning changed, as claims beside a harmless tune. */

import { useCallback } from "react";
import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Jobs } from "../jobs/Jobs";
import { type StateForm, useHashState } from "../state/hash_state";
import { CompareForm } from "./CompareForm";
import { DifferenceSheet } from "./DifferenceSheet";
import { GateForm } from "./GateForm";
import { GateSheet } from "./GateSheet";
import "../style/desk.css";
import "../style/data.css";
import "../style/features.css";
import "../style/gate.css";

export interface GateState {
  run: string;
  kind: string;
  /** The claim that is unfolded. */
  claim: string;
}

const GATE_FORM: StateForm<GateState> = {
  read: (params) => ({
    run: params["run"] ?? "",
    kind: params["kind"] === "diff" ? "diff" : "gate",
    claim: params["claim"] ?? "",
  }),
  write: ({ run, kind, claim }) => ({ run, kind: kind === "diff" ? kind : "", claim }),
};

export function GatePage() {
  const [state, set] = useHashState(GATE_FORM);
  const list = useServer<Schemas["ComparisonList"]>("/v1/workbench/comparisons");
  const training = useServer<Schemas["TrainingList"]>("/v1/workbench/training");
  const { again } = list;
  const { again: againTraining } = training;
  const refresh = useCallback(() => {
    again();
    againTraining();
  }, [again, againTraining]);
  const tunes = training.value?.tunes.filter((tune) => tune.of_served) ?? [];
  return (
    <div className="desk">
      <aside className="list-side" aria-label="Gates and comparisons">
        <h1>Gate and diff</h1>
        {list.error && <ErrorNote text={list.error} />}
        {list.value && !list.value.can_start && (
          <p className="quiet">To judge tunes here, start the server with --runs FOLDER.</p>
        )}
        {list.value?.comparisons.length === 0 && <p className="quiet">No gate and no comparison lies in the folder.</p>}
        <ul className="entries">
          {list.value?.comparisons.map((one) => (
            <li key={`${one.run}/${one.kind}`}>
              <button
                type="button"
                className="entry"
                aria-current={one.run === state.run && one.kind === state.kind}
                onClick={() => set(() => ({ run: one.run, kind: one.kind, claim: "" }), { push: true })}
              >
                <span className="name">{one.run}</span>
                <CardState card={one} />
                <span className="quiet">
                  {shortName(one.tuned)} beside {shortName(one.base)}
                </span>
              </button>
            </li>
          ))}
        </ul>
        <Jobs about={isAboutGates} onEnd={refresh} />
        {list.value?.can_start && training.value && tunes.length === 0 && (
          <p className="quiet">No tune of the served model lies in the folder: make one on the page of training.</p>
        )}
        {list.value?.can_start && tunes.length > 0 && (
          <>
            <details>
              <summary>Judge a tune</summary>
              <GateForm tunes={tunes} refresh={refresh} />
            </details>
            <details>
              <summary>Compare a tune with its base</summary>
              <CompareForm tunes={tunes} refresh={refresh} />
            </details>
          </>
        )}
      </aside>
      <section className="sheet" aria-label="Verdict">
        {!state.run && (
          <p className="quiet">
            Choose a gate, or a comparison. A gate says whether a tuned model may ship, check by check, each with its
            interval and its bar; a comparison says what tuning changed, and holds every sentence against a harmless
            tune.
          </p>
        )}
        {state.run && state.kind === "gate" && <GateSheet key={state.run} run={state.run} />}
        {state.run && state.kind === "diff" && (
          <DifferenceSheet
            key={state.run}
            run={state.run}
            claim={state.claim}
            setClaim={(claim) => set((now) => ({ ...now, claim }))}
          />
        )}
      </section>
    </div>
  );
}

const isAboutGates = (job: Schemas["JobCard"]) => /^(gate|difference) of /.test(job.title);

function CardState({ card }: { card: Schemas["ComparisonCard"] }) {
  if (card.kind === "diff") {
    return (
      <span className="state">
        {card.verified} of {card.claims} claims
      </span>
    );
  }
  return <span className={`state ${verdictClass(card.verdict ?? "")}`}>{card.verdict}</span>;
}

export function verdictClass(verdict: string): string {
  return verdict === "pass" ? "done" : verdict === "fail" ? "failed" : "open";
}

/** The last parts of a path; names of the hub as they are. */
export function shortName(name: string): string {
  const parts = name.split("/").filter(Boolean);
  return name.startsWith("/") ? parts.slice(-3).join("/") : name;
}
