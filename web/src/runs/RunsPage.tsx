/** Runs: what lies in the folder of runs, how far it is, and the pages that runs keep. */

import { useCallback, useEffect, useState } from "react";
import { type Schemas, askJson, describeError, isAbort } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Chart, type ChartProps } from "../charts/Chart";
import { Jobs } from "../jobs/Jobs";
import { type StateForm, useHashState } from "../state/hash_state";
import { ClaimTable } from "./ClaimTable";
import { findSeries } from "./metrics";
import "../style/desk.css";

interface RunsState {
  run: string;
  /** Only runs that state claims of a paper. */
  studies: boolean;
  page: string;
  metric: string;
}

const RUNS_FORM: StateForm<RunsState> = {
  read: (params) => ({
    run: params["run"] ?? "",
    studies: params["studies"] === "1",
    page: params["page"] ?? "",
    metric: params["metric"] ?? "",
  }),
  write: ({ run, studies, page, metric }) => ({ run, studies: studies ? "1" : "", page, metric }),
};

const LIST_MS = 3000;
const LIVE_MS = 2000;

export function RunsPage() {
  const [state, set] = useHashState(RUNS_FORM);
  const { value, error, again } = useServer<Schemas["RunList"]>("/v1/workbench/runs", LIST_MS);
  const studies = useServer<Schemas["StudyList"]>("/v1/workbench/studies");
  const found = new Map((studies.value?.studies ?? []).map((study) => [study.run, study]));
  const shown = value?.runs.filter((run) => !state.studies || found.has(run.name)) ?? [];
  const { again: againStudies } = studies;
  const refresh = useCallback(() => {
    again();
    againStudies();
  }, [again, againStudies]);
  return (
    <div className="desk">
      <aside className="list-side" aria-label="Runs">
        <h1>Runs</h1>
        {error && <ErrorNote text={error} />}
        {value && !value.folder && (
          <p className="quiet">This server was started without a folder of runs: start it with --runs FOLDER.</p>
        )}
        {value?.folder && value.runs.length === 0 && <p className="quiet">There are no runs in the folder yet.</p>}
        {found.size > 0 && (
          <label className="check">
            <input
              type="checkbox"
              checked={state.studies}
              onChange={(event) => set((now) => ({ ...now, studies: event.target.checked }))}
            />
            Studies alone: claims of papers
          </label>
        )}
        {/* Above the list: it grows while a job runs, and would move a button from under the pointer. */}
        <Jobs onEnd={refresh} />
        <ul className="entries">
          {shown.map((run) => (
            <li key={run.name}>
              <button
                type="button"
                className="entry"
                aria-current={run.name === state.run}
                onClick={() => set((now) => ({ ...now, run: run.name, page: "", metric: "" }), { push: true })}
              >
                <span className="name">{run.name}</span>
                <span className={`state ${run.status}`}>{run.status}</span>
                <span className="quiet">
                  {run.kind} · {formatTime(run.started)}
                  {found.has(run.name) && ` · ${describeStudy(found.get(run.name))}`}
                </span>
              </button>
            </li>
          ))}
        </ul>
      </aside>
      <section className="sheet" aria-label="Run">
        {state.run ? (
          <RunView
            key={state.run}
            state={state}
            set={(changes) => set((now) => ({ ...now, ...changes }))}
            refresh={refresh}
          />
        ) : (
          <p className="quiet">Choose a run.</p>
        )}
      </section>
    </div>
  );
}

function describeStudy(study: Schemas["StudyCard"] | undefined): string {
  if (!study) return "";
  return `${study.hold} of ${study.hold + study.fail} claims hold`;
}

interface RunViewProps {
  state: RunsState;
  refresh: () => void;
  set: (changes: Partial<RunsState>) => void;
}

function RunView({ state, set, refresh }: RunViewProps) {
  const path = `/v1/workbench/runs/${state.run.split("/").map(encodeURIComponent).join("/")}`;
  // One that broke off is looked at too: it may be taken up, here or elsewhere.
  const [isDone, setDone] = useState(false);
  const { value: run, error, again } = useServer<Schemas["RunDetail"]>(path, isDone ? 0 : LIVE_MS);
  const study = useServer<Schemas["StudyView"]>(`/v1/workbench/study?${new URLSearchParams({ run: state.run }).toString()}`);
  if (run?.status === "done" && !isDone) setDone(true);
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
      {run.can_resume && (
        <ResumeRun
          run={run.name}
          resumed={() => {
            again();
            refresh();
          }}
        />
      )}
      {run.status !== "done" && run.status !== "running" && !run.can_resume && (
        <p className="quiet">
          It broke off, and was not started here by you: give its command yourself to let it go on.
        </p>
      )}
      {run.command.length > 0 && (
        <p className="command">
          <code>mindscope {run.command.join(" ")}</code>
        </p>
      )}
      {study.value && study.value.claims.length > 0 && <ClaimTable claims={study.value.claims} />}
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

function ResumeRun({ run: name, resumed }: { run: string; resumed: () => void }) {
  const { run, busy, error } = useAction();
  const resume = async () => {
    await askJson("/v1/workbench/resumed", { body: { run: name } });
    resumed();
  };
  return (
    <div>
      <button type="button" className="main-action" disabled={busy} onClick={() => run(resume)}>
        Go on with it
      </button>{" "}
      <span className="quiet">what it finished is kept</span>
      {error && <ErrorNote text={error} />}
    </div>
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
      x: { label: "line of the log", tickFormat: "d" },
      y: { label: name, grid: true, nice: true },
      marks: [plot.line(JSON.parse(points) as [number, number][], { stroke: "var(--c1)", marker: "dot" })],
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
