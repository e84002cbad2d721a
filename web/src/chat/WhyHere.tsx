/** Why a token: the graph of what led to it, traced here under the answer's own steering. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { BASE } from "../app/base";
import { formatHash } from "../state/hash_state";
import { type WhyAsked, describeTrace } from "./trace_request";

const EVERY_MS = 1000;

export function WhyHere(asked: WhyAsked) {
  const { run, busy, error } = useAction();
  const [started, setStarted] = useState<Schemas["JobCard"] | null>(null);
  const jobs = useServer<Schemas["JobList"]>(started ? "/v1/workbench/jobs" : null, EVERY_MS);
  const job = jobs.value?.jobs.find(({ number }) => number === started?.number) ?? started;
  const request = describeTrace(asked);
  if (!request) return <p className="quiet">Why: a graph knows no reasoning before an answer.</p>;
  const trace = async () => {
    setStarted(await askJson<Schemas["JobCard"]>("/v1/workbench/traces", { body: request }));
  };
  return (
    <section className="why" aria-label="Why this token">
      {job === null && (
        <button type="button" disabled={busy} onClick={() => run(trace)}>
          Why this token? Trace it
        </button>
      )}
      {error && <ErrorNote text={error} />}
      {job?.state === "running" && (
        <p role="status">
          <progress
            aria-label="Progress of the graph"
            max={Math.max(1, job.total)}
            {...(job.total ? { value: job.done } : {})}
          />{" "}
          tracing what led to it
        </p>
      )}
      {job?.state === "done" && (
        <p>
          Why: <a href={`${BASE}graph?${new URLSearchParams({ run: job.run }).toString()}`}>the graph</a>, or{" "}
          <a href={`${BASE}circuits${formatHash({ run: job.run })}`}>check it</a>
          {request.steer.length > 0 && " (of the steered model: what the steering adds counts as bias)"}
        </p>
      )}
      {(job?.state === "failed" || job?.state === "stopped") && <ErrorNote text={job.error ?? "it was stopped"} />}
    </section>
  );
}
