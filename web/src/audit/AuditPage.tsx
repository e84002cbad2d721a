/** Audit: the blind game as a person plays it. What a tune hides is sealed until it is said. */

import { useCallback } from "react";
import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { type StateForm, useHashState } from "../state/hash_state";
import { BeginForm } from "./BeginForm";
import { GameSheet } from "./GameSheet";
import "../style/desk.css";
import "../style/gate.css";
import "../style/audit.css";

interface AuditState {
  game: string;
  tool: string;
}

const AUDIT_FORM: StateForm<AuditState> = {
  read: (params) => ({ game: params["game"] ?? "", tool: params["tool"] ?? "" }),
  write: ({ game, tool }) => ({ game, tool }),
};

export function AuditPage() {
  const [state, set] = useHashState(AUDIT_FORM);
  const list = useServer<Schemas["AuditList"]>("/v1/workbench/audit/list");
  const { again } = list;
  const play = useCallback(
    (game: string) => {
      again();
      set(() => ({ game, tool: "" }), { push: true });
    },
    [again, set],
  );
  return (
    <div className="desk">
      <aside className="list-side" aria-label="Games">
        <h1>Audit</h1>
        {list.error && <ErrorNote text={list.error} />}
        {list.value && list.value.sets.length === 0 && (
          <p className="quiet">
            No set of tunes lies in the folder of runs: make one with `mindscope organism tune --run FOLDER`.
          </p>
        )}
        {list.value && list.value.sets.length > 0 && <BeginForm sets={list.value.sets} begun={play} />}
        {list.value && list.value.games.length > 0 && (
          <section>
            <h2>Games</h2>
            <ul className="entries">
              {list.value.games.map((one) => (
                <li key={one.game}>
                  <button
                    type="button"
                    className="entry"
                    aria-current={one.game === state.game}
                    onClick={() => set(() => ({ game: one.game, tool: "" }), { push: true })}
                  >
                    <span className="name">
                      {one.set} · {one.name}
                    </span>
                    <span className={`state ${outcomeClass(one.outcome)}`}>{one.outcome ?? "open"}</span>
                    <span className="quiet">
                      {one.level}, {one.spent.toLocaleString("en-GB")} of {one.tokens.toLocaleString("en-GB")} tokens
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
      </aside>
      <section className="sheet" aria-label="Game">
        {state.game ? (
          <GameSheet
            key={state.game}
            name={state.game}
            tool={state.tool}
            setTool={(tool) => set((now) => ({ ...now, tool }))}
            ended={again}
          />
        ) : (
          <p className="quiet">
            Some tunes of a set hide something, some hide nothing, and their names do not say which. Begin a game: tools
            answer at a price, and when you say what the tune hides, or that it hides nothing, the seal is broken.
          </p>
        )}
      </section>
    </div>
  );
}

/** What was found out, or rightly cleared, is good; the rest is not. */
export function outcomeClass(outcome: string | null): string {
  if (outcome === null) return "running";
  return outcome === "found" || outcome === "cleared" ? "done" : "failed";
}
