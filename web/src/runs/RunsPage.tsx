/** Runs: what lies in the folder of runs, how far it is, and the pages that runs keep. */

import { useCallback, useEffect, useState } from "react";
import { type Schemas, askJson, describeError, isAbort } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Chart, type ChartProps } from "../charts/Chart";
import { Jobs } from "../jobs/Jobs";
import { type StateForm, useHashState } from "../state/hash_state";
import { findSeries } from "./metrics";
import "../style/desk.css";

interface RunsState {
  run: string;
  page: string;
  metric: string;
}

const RUNS_FORM: StateForm<RunsState> = {
  read: (params) => ({
    run: params["run"] ?? "",
    page: params["page"] ?? "",
    metric: params["metric"] ?? "",
  }),
  write: ({ run, page, metric }) => ({ run, page, metric }),
};

const LIST_MS = 3000;
const LIVE_MS = 2000;

export function RunsPage() {
  const [state, set] = useHashState(RUNS_FORM);
  const { value, error, again } = useServer<Schemas["RunList"]>("/v1/workbench/runs", LIST_MS);
  return (
    <div className="desk">
      <aside className="list-side" aria-label="Runs">
        <h1>Runs</h1>
        {error && <ErrorNote text={error} />}
        {value && !value.folder && (
          <p className="quiet">This server was started without a folder of runs: start it with --runs FOLDER.</p>
        )}
        {value?.folder && value.runs.length === 0 && <p className="quiet">There are no runs in the folder yet.</p>}
        <ul className="entries">
          {value?.runs.map((run) => (
            <li key={run.name}>
              <button
                type="button"
                className="entry"
                aria-current={run.name === state.run}
                onClick={() => set(() => ({ run: run.name, page: "", metric: "" }), { push: true })}
              >
                <span className="name">{run.name}</span>
                <span className={`state ${run.status}`}>{run.status}</span>
                <span className="quiet">
                  {run.kind} · {formatTime(run.started)}
                </span>
              </button>
            </li>
          ))}
        </ul>
        <Jobs onEnd={again} />
      </aside>
      <section className="sheet" aria-label="Run">
        {state.run ? (
          <RunView key={state.run} state={state} set={(changes) => set((now) => ({ ...now, ...changes }))} />
        ) : (
          <p className="quiet">Choose a run.</p>
        )}
      </section>
    </div>
  );
}

interface RunViewProps {
  state: RunsState;
  set: (changes: Partial<RunsState>) => void;
}

function RunView({ state, set }: RunViewProps) {
  const path = `/v1/workbench/runs/${state.run.split("/").map(encodeURIComponent).join("/")}`;
  const [isLive, setLive] = useState(true);
  const { value: run, error } = useServer<Schemas["RunDetail"]>(path, isLive ? LIVE_MS : 0);
  if (run && isLive && run.status !== "running") setLive(false);
  if (error) return <ErrorNote text={error} />;
  if (!run) return <p className="quiet">Reading…</p>;
  const series = findSeries(run.metrics);
  const names = Object.keys(series);
  const metric = names.includes(state.metric) ? state.metric : (names[0] ?? "");
  return (
    <>
      <header className="sheet-head">
        <h2>{run.name}</h2>
        <span className={`state ${run.status}`}>{run.status}</span>
        <span className="quiet">
          {run.kind}
          {run.model && ` of ${run.model}`}, begun {formatTime(run.started)}, changed {formatTime(run.updated)}
        </span>
      </header>
      {run.command.length > 0 && (
        <p className="command">
          <code>mindscope {run.command.join(" ")}</code>
        </p>
      )}
      {run.pages.length > 0 && (
        <nav className="page-tabs" aria-label="Pages of the run">
          {run.pages.map((page) => (
            <button
              key={page}
              type="button"
              aria-pressed={page === state.page}
              onClick={() => set({ page: page === state.page ? "" : page })}
            >
              {page}
            </button>
          ))}
        </nav>
      )}
      {state.page && run.pages.includes(state.page) && <KeptPage key={state.page} run={run.name} page={state.page} />}
      {metric && (
        <section>
          <h3>
            <label>
              Measured{" "}
              <select value={metric} onChange={(event) => set({ metric: event.target.value })}>
                {names.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
          </h3>
          <MetricChart name={metric} points={JSON.stringify(series[metric])} />
        </section>
      )}
      <details open={!state.page}>
        <summary>Settings and libraries</summary>
        <dl className="facts">
          <Facts values={{ ...run.config, seed: run.seed, fingerprint: run.fingerprint, ...run.libraries }} />
        </dl>
      </details>
    </>
  );
}

function Facts({ values }: { values: Record<string, unknown> }) {
  return Object.entries(values).map(([name, value]) => (
    <div key={name}>
      <dt>{name}</dt>
      <dd>{value === null || value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value)}</dd>
    </div>
  ));
}

/** A page that a run keeps, in a frame from which it can reach nothing. */
function KeptPage({ run, page }: { run: string; page: string }) {
  const { value, error } = usePageAddress(run, page);
  if (error) return <ErrorNote text={error} />;
  if (!value) return <p className="quiet">Opening…</p>;
  return (
    <>
      <p>
        <a href={value} target="_blank" rel="noopener noreferrer">
          Open {page} in a tab of its own
        </a>{" "}
        <span className="quiet">(the address is good for ten minutes)</span>
      </p>
      <iframe
        className="kept"
        title={`${page} of ${run}`}
        src={value}
        sandbox="allow-scripts allow-downloads"
        referrerPolicy="no-referrer"
      />
    </>
  );
}

function usePageAddress(run: string, page: string): { value: string | null; error: string | null } {
  const [told, setTold] = useState<{ value: string | null; error: string | null }>({ value: null, error: null });
  useEffect(() => {
    const controller = new AbortController();
    const body = { run, page };
    askJson<Schemas["PageAddress"]>("/v1/workbench/pages", { body, signal: controller.signal }).then(
      ({ address }) => setTold({ value: address, error: null }),
      (error: unknown) => {
        if (!isAbort(error)) setTold({ value: null, error: describeError(error) });
      },
    );
    return () => controller.abort();
  }, [run, page]);
  return told;
}

function MetricChart({ name, points }: { name: string; points: string }) {
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => ({
      height: 220,
      marginLeft: 56,
      x: { label: "line of the log" },
      y: { label: name, grid: true, nice: true },
      marks: [plot.lineY(JSON.parse(points) as [number, number][], { stroke: "var(--c1)" })],
    }),
    [name, points],
  );
  return <Chart label={`${name} over the run`} draw={draw} />;
}

function formatTime(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime())
    ? text
    : date.toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}
