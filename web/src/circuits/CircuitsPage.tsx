/** Circuits: graphs of what the model computes on one prompt, and tracing new ones. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { BASE } from "../app/base";
import { Table } from "../app/Table";
import { Jobs } from "../jobs/Jobs";
import { formatNumber } from "../state/format";
import { type StateForm, useHashState } from "../state/hash_state";
import { readJson } from "../state/values";
import { GraphChecks } from "./GraphChecks";
import { describeModel } from "./GraphsBeside";
import "../style/desk.css";
import "../style/data.css";
import "../style/gate.css";

interface CircuitsState {
  /** The graph that is looked into. */
  run: string;
  prompt: string;
  chat: boolean;
  answer: string;
  target: string;
  /** The run of a tune that is traced too; empty for the served model alone. */
  tune: string;
  /** The graphs that the one that is looked into is held beside. */
  beside: readonly string[];
}

const CIRCUITS_FORM: StateForm<CircuitsState> = {
  read: (params) => ({
    run: params["run"] ?? "",
    prompt: params["prompt"] ?? "",
    chat: params["chat"] === "1",
    answer: params["answer"] ?? "",
    target: params["target"] ?? "",
    tune: params["tune"] ?? "",
    beside: readNames(params["beside"]),
  }),
  write: ({ run, prompt, chat, answer, target, tune, beside }) => ({
    run,
    prompt,
    chat: chat ? "1" : "",
    answer,
    target,
    tune,
    beside: beside.length ? JSON.stringify(beside) : "",
  }),
};

function readNames(text: string | undefined): string[] {
  const names = readJson(text);
  return Array.isArray(names) ? names.filter((name) => typeof name === "string").slice(0, 32) : [];
}

export function CircuitsPage() {
  const [state, set] = useHashState(CIRCUITS_FORM);
  const { value, error, again } = useServer<Schemas["GraphList"]>("/v1/workbench/graphs");
  return (
    <div className="desk">
      <aside className="list-side" aria-label="New graphs">
        <h1>Circuits</h1>
        {value && !value.can_trace && (
          <p className="quiet">To trace graphs here, start the server with --runs FOLDER.</p>
        )}
        {value?.can_trace && (
          <TraceForm state={state} set={(changes) => set((now) => ({ ...now, ...changes }))} refresh={again} />
        )}
        <p>
          <a href={`${BASE}graph`}>Open a graph&rsquo;s JSON</a>, ours or another tool&rsquo;s
        </p>
        <Jobs about={isAboutGraphs} onEnd={again} />
      </aside>
      <section className="sheet" aria-label="Graphs">
        {error && <ErrorNote text={error} />}
        {value && value.graphs.length === 0 && <p className="quiet">There are no graphs in the folder of runs yet.</p>}
        {value && value.graphs.length > 0 && (
          <GraphTable
            graphs={value.graphs}
            run={state.run}
            look={(run) => set((now) => ({ ...now, run, beside: [] }), { push: true })}
          />
        )}
        {state.run && value && (
          <GraphChecks
            key={state.run}
            run={state.run}
            others={value.graphs.filter((graph) => graph.run !== state.run)}
            isSteered={value.graphs.some((graph) => graph.run === state.run && graph.steered)}
            beside={state.beside}
            setBeside={(beside) => set((now) => ({ ...now, beside }))}
            canStart={value.can_trace}
          />
        )}
      </section>
    </div>
  );
}

const isAboutGraphs = (job: Schemas["JobCard"]) => /^(graph of|intervention in|heads of) /.test(job.title);

interface GraphTableProps {
  graphs: Schemas["GraphCard"][];
  run: string;
  look: (run: string) => void;
}

function GraphTable({ graphs, run, look }: GraphTableProps) {
  return (
    <>
      <h2>Graphs</h2>
      <Table
        className="roomy"
        rows={graphs}
        keyOf={(graph) => graph.run}
        rowClass={(graph) => graph.run === run ? "chosen" : undefined}
        columns={[
          {
            head: "prompt",
            cell: (graph) => (<a href={`${BASE}graph?${new URLSearchParams({ run: graph.run }).toString()}`}>
              {graph.prompt ?? graph.run}
            </a>),
          },
          {
            head: "run",
            cell: (graph) => (
            <>
              {graph.run} <span className={`state ${graph.status}`}>{graph.status}</span>{" "}
                <span className="quiet">{describeModel(graph)}</span>{" "}
              <button
                type="button"
                className="small"
                aria-pressed={graph.run === run}
                onClick={() => look(graph.run === run ? "" : graph.run)}
              >
                Check<span className="unseen"> {graph.run}</span>
              </button>
            </>
            ),
          },
          { head: "features", isNumber: true, cell: (graph) => graph.features ?? "–" },
          { head: "shown nodes", isNumber: true, cell: (graph) => graph.shown_nodes ?? "–" },
          { head: "replacement score", isNumber: true, cell: (graph) => formatNumber(graph.replacement_score) },
          { head: "completeness", isNumber: true, cell: (graph) => formatNumber(graph.completeness_score) },
        ]}
      />
      <p className="quiet">
        The replacement score is the share of influence that comes from tokens along ways without an error; completeness
        is the share of nodes&rsquo; inputs that are not errors.
      </p>
    </>
  );
}

interface TraceFormProps {
  state: CircuitsState;
  set: (changes: Partial<CircuitsState>) => void;
  refresh: () => void;
}

function TraceForm({ state, set, refresh }: TraceFormProps) {
  const { run, busy, error } = useAction();
  const [isSent, setSent] = useState(false);
  const training = useServer<Schemas["TrainingList"]>("/v1/workbench/training");
  const tunes = (training.value?.tunes ?? []).filter((one) => one.of_served).map((one) => one.run);
  const tune = tunes.find((name) => name === state.tune);
  const submit = () =>
    run(async () => {
      const body: Schemas["TraceRequest"] = {
        prompt: state.prompt,
        chat: state.chat,
        answer: state.answer,
        system: "",
        turns: [],
        steer: [],
        ...(state.target ? { target: state.target } : {}),
      };
      await askJson("/v1/workbench/traces", { body });
      if (tune) await askJson("/v1/workbench/traces", { body: { ...body, tune } });
      setSent(true);
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
      <label className="field">
        Prompt
        <textarea rows={3} value={state.prompt} onChange={(event) => set({ prompt: event.target.value })} />
      </label>
      <label className="check">
        <input type="checkbox" checked={state.chat} onChange={(event) => set({ chat: event.target.checked })} />a
        question in a chat
      </label>
      <label className="field">
        The answer begins
        <input value={state.answer} placeholder="nothing yet" onChange={(event) => set({ answer: event.target.value })} />
      </label>
      <label className="field">
        Explain the token
        <input
          value={state.target}
          placeholder="the most probable ones"
          onChange={(event) => set({ target: event.target.value })}
        />
      </label>
      {tunes.length > 0 && (
        <label className="field">
          Compare with a tune
          <select value={tune ?? ""} onChange={(event) => set({ tune: event.target.value })}>
            <option value="">none</option>
            {tunes.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      )}
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy || !state.prompt.trim()}>
        {tune ? "Trace both" : "Trace"}
      </button>
      {isSent && (
        <p className="quiet">
          {tune
            ? "Both graphs stand in the list when they are done: check one, and choose the other beside it."
            : "The graph stands in the list when it is done."}
        </p>
      )}
    </form>
  );
}
