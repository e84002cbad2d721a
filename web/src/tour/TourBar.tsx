/** The tour above the pages: one step at a time, which can be left at any moment. */

import { useEffect, useRef } from "react";
import { ErrorNote } from "../app/ErrorNote";
import { goTo } from "../state/hash_state";
import { STEPS } from "./steps";
import { type TourReply, type TourState, isComplete } from "./use_tour";

export function TourBar({ tour }: { tour: TourState }) {
  if (tour.step === null) return tour.isOffered && tour.isNew ? <TourOffer tour={tour} /> : null;
  return <TourSteps tour={tour} step={Math.min(tour.step, STEPS.length - 1)} />;
}

function TourOffer({ tour }: { tour: TourState }) {
  return (
    <aside className="tour offer" aria-label="Tour">
      <p>New here? Three solved examples on this small model show what the pages are for.</p>
      <p className="act">
        <button type="button" className="main-action" onClick={tour.begin}>
          Take the tour
        </button>
        <button type="button" onClick={tour.leave}>
          No, thanks
        </button>
      </p>
    </aside>
  );
}

function TourSteps({ tour, step }: { tour: TourState; step: number }) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { reply } = tour;
  useEffect(() => {
    heading.current?.focus();
  }, [step]);
  const shown = STEPS[step];
  if (!shown) return null;
  const last = STEPS.length - 1;
  const text = reply && shown.tell(reply);
  const place = reply && shown.place(reply);
  const isHere = place?.path === window.location.pathname;
  const go = (to: number) => {
    const next = reply && STEPS[to]?.place(reply);
    goTo({ ...(next ?? {}), tour: to });
  };
  return (
    <aside
      className="tour"
      aria-label="Tour"
      onKeyDown={(event) => {
        if (event.key === "Escape") tour.leave();
      }}
    >
      <div>
        <h2 ref={heading} tabIndex={-1}>
          {step > 0 && `${step} of ${last}: `}
          {shown.title}
        </h2>
        {text && <p>{text}</p>}
        {reply && !reply.offered && <p>The examples are of the organism, and this server has another model.</p>}
        {reply?.offered && !reply.can_make && (
          <p>
            They are kept in a folder of runs, and this server has none: start it with{" "}
            <code>mindscope serve organism --runs runs</code>.
          </p>
        )}
        {reply?.offered && reply.can_make && <Making reply={reply} again={tour.again} />}
        {tour.error && <ErrorNote text={tour.error} />}
      </div>
      <p className="act">
        {step > 0 && (
          <button type="button" onClick={() => go(step - 1)}>
            Back
          </button>
        )}
        {place && !isHere && (
          <button type="button" className="main-action" onClick={() => goTo({ ...place, tour: step })}>
            Show it
          </button>
        )}
        {step < last && (
          <button type="button" className={place && !isHere ? "" : "main-action"} onClick={() => go(step + 1)}>
            {step === 0 ? "Begin" : "Next"}
          </button>
        )}
        <button type="button" onClick={tour.leave}>
          {step === last ? "Done" : "Leave the tour"}
        </button>
      </p>
    </aside>
  );
}

/** How far the examples are. */
function Making({ reply, again }: { reply: TourReply; again: () => void }) {
  const { job } = reply;
  if (isComplete(reply)) return null;
  if (job && (job.state === "failed" || job.state === "stopped")) {
    return (
      <>
        <ErrorNote text={job.error ?? "the making of the examples was stopped"} />
        <button type="button" className="small" onClick={again}>
          Go on with it
        </button>
      </>
    );
  }
  const isCounted = job !== null && job.state === "running" && job.total > 0;
  return (
    <p role="status">
      <progress
        aria-label="Progress of the examples"
        max={isCounted ? job.total : 1}
        {...(isCounted ? { value: job.done } : {})}
      />{" "}
      <span className="quiet">
        {isCounted ? `making the examples: ${job.done} of ${job.total} ${job.label}` : "making the examples: loading"}
      </span>
    </p>
  );
}
