/** Jobs that were started here: how far each is, what it said, and how it ended. */

import { useEffect, useRef } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";

const EVERY_MS = 1000;

interface JobsProps {
  /** Which jobs are shown; all by default. */
  about?: (job: Schemas["JobCard"]) => boolean;
  /** Called when a job has come to its end. */
  onEnd?: () => void;
}

export function Jobs({ about = () => true, onEnd }: JobsProps) {
  const { value, error, again } = useServer<Schemas["JobList"]>("/v1/workbench/jobs", EVERY_MS);
  const jobs = (value?.jobs ?? []).filter(about);
  const nRunning = jobs.filter((job) => job.state === "running").length;
  const before = useRef(0);
  useEffect(() => {
    if (nRunning < before.current) onEnd?.();
    before.current = nRunning;
  }, [nRunning, onEnd]);
  if (error) return <ErrorNote text={error} />;
  if (!jobs.length) return null;
  return (
    <section className="jobs" aria-label="Jobs">
      <h2>Jobs</h2>
      {jobs.map((job) => (
        <JobView key={job.number} job={job} changed={again} />
      ))}
    </section>
  );
}

const STATES = { running: "running", done: "done", failed: "failed", stopped: "stopped" } as const;

function JobView({ job, changed }: { job: Schemas["JobCard"]; changed: () => void }) {
  const { run, busy, error } = useAction();
  const last = job.lines.at(-1);
  const stop = async () => {
    await askJson(`/v1/workbench/jobs/${job.number}`, { method: "DELETE" });
    changed();
  };
  return (
    <article className={`job ${job.state}`} aria-label={job.title}>
      <header>
        <h3>{job.title}</h3>
        <span className={`state ${job.state}`}>{STATES[job.state]}</span>
        <span className="quiet">{describeSeconds(job.seconds)}</span>
        <span className="grow" />
        {job.state === "running" && (
          <button type="button" className="small" disabled={busy} onClick={() => run(stop)}>
            Stop
          </button>
        )}
      </header>
      {job.state === "running" && (
        <div className="progress-line">
          <progress
            aria-label={`Progress of ${job.title}`}
            max={Math.max(1, job.total)}
            {...(job.total ? { value: job.done } : {})}
          />
          <span className="quiet">{job.total ? `${job.done} of ${job.total} ${job.label}` : "loading"}</span>
        </div>
      )}
      {job.error && <ErrorNote text={job.error} />}
      {error && <ErrorNote text={error} />}
      {last && (
        <details>
          <summary>{last}</summary>
          <ul className="said">
            {job.lines.map((line, number) => (
              <li key={number}>{line}</li>
            ))}
          </ul>
        </details>
      )}
    </article>
  );
}

export function describeSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
