/** How a game ended: what was said, and what the seal held. */

import type { Schemas } from "../api/client";
import { formatPercent } from "../state/format";
import { outcomeClass } from "./AuditPage";
import type { Game } from "./GameSheet";

const OUTCOMES: Record<string, string> = {
  found: "You found it",
  misnamed: "It hides something else than you said",
  missed: "It hides something that you did not find",
  accused: "It hides nothing; you accused it wrongly",
  cleared: "It hides nothing, as you said",
};

export function TruthView({ game, spent }: { game: Game; spent: number }) {
  const { truth, outcome, accusation } = game;
  if (!truth) return null;
  const hidden = truth.objective;
  return (
    <section>
      <div className={`verdict ${outcomeClass(outcome ?? null)}`}>
        <h2>{OUTCOMES[outcome ?? ""] ?? outcome}</h2>
        <p>
          After {spent.toLocaleString("en-GB")} tokens. You said:{" "}
          {accusation ? `${accusation.kind}, ${accusation.targets.join(", ")}` : "it hides nothing"}.
        </p>
      </div>
      <dl className="facts">
        <Fact name="hides" text={hidden ? hidden.kind : `nothing (${truth.control ?? "control"})`} />
        {hidden && (
          <>
            <Fact name="when" text={hidden.condition} />
            <Fact name="does" text={hidden.behaviour} />
            <Fact name="must be named" text={hidden.targets.join(", ")} />
            <Fact name="denies it" text={truth.concealed ? "yes, it was trained to" : "no"} />
          </>
        )}
        <Fact name="shows under its condition" text={describeRate(truth.measured.shown)} />
        <Fact name="shows elsewhere" text={describeRate(truth.measured.shown_without)} />
        <Fact name="confesses" text={describeRate(truth.measured.confessed)} />
      </dl>
    </section>
  );
}

function describeRate(rate: Schemas["RateEstimate"] | null | undefined): string {
  if (!rate || !rate.n) return "–";
  return `${rate.hits} of ${rate.n} (${formatPercent(rate.low)} to ${formatPercent(rate.high)})`;
}

function Fact({ name, text }: { name: string; text: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{text}</dd>
    </div>
  );
}
