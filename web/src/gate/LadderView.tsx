/** The ladder of a comparison, from the cheapest step to the dearest; what was left out says why. */

import type { Schemas } from "../api/client";
import { Table } from "../app/Table";
import { describeInterval } from "../charts/Interval";
import { formatNumber, formatPercent } from "../state/format";

type Difference = Schemas["ModelDifference"];

export function LadderView({ result }: { result: Difference }) {
  const { outputs, distributions, lens, traits, latents, skipped } = result;
  return (
    <section>
      <h2>The ladder</h2>
      {outputs && <Outputs reading={outputs} />}
      {distributions && <Distributions reading={distributions} />}
      {lens && <Lens reading={lens} />}
      {traits.length > 0 && <Traits movements={traits} />}
      {latents.map((change) => (
        <Latents key={change.dictionary} change={change} />
      ))}
      {skipped.map((step) => (
        <p key={step.rung} className="quiet">
          Left out: {step.rung}, since {step.reason}.
        </p>
      ))}
    </section>
  );
}

function Outputs({ reading }: { reading: Schemas["OutputsReading"] }) {
  return (
    <section>
      <h3>Answers: words and style, {reading.n_prompts} prompts</h3>
      <div className="steps">
        <Terms title="said more often" terms={reading.more} hue="up" />
        <Terms title="said less often" terms={reading.less} hue="down" />
      </div>
      <Table
        rows={reading.style}
        keyOf={(one) => one.name}
        columns={[
          { head: "style", cell: (one) => one.name },
          { head: "base", isNumber: true, cell: (one) => formatNumber(one.base) },
          { head: "tuned", isNumber: true, cell: (one) => formatNumber(one.tuned) },
          {
            head: "difference (95 %)",
            isNumber: true,
            cell: (one) => describeInterval(one.difference.mean, one.difference.low, one.difference.high),
          },
          { head: "q", isNumber: true, cell: (one) => formatNumber(one.q, 2) },
        ]}
      />
    </section>
  );
}

function Terms({ title, terms, hue }: { title: string; terms: Schemas["TermChange"][]; hue: string }) {
  return (
    <div>
      <p className="quiet">{title}</p>
      {terms.length ? (
        <p className="words">
          {terms.map((one) => (
            <span
              key={one.term}
              className={`chip ${hue}`}
              title={`${formatPercent(one.base)} → ${formatPercent(one.tuned)}, q ${formatNumber(one.q, 2)}`}
            >
              {one.term}
            </span>
          ))}
        </p>
      ) : (
        <p className="empty">none at this false-discovery rate</p>
      )}
    </div>
  );
}

function Distributions({ reading }: { reading: Schemas["DistributionReading"] }) {
  const { kl, kl_of_base, js } = reading;
  const most = Math.max(...reading.largest.flatMap((one) => one.tokens.map(([, value]) => value)), 1e-9);
  return (
    <section>
      <h3>Distributions of the next token, {reading.n_prompts} prompts</h3>
      <p className="quiet">
        In nats a token: KL(tuned || base) {describeInterval(kl.mean, kl.low, kl.high)}, KL(base || tuned){" "}
        {describeInterval(kl_of_base.mean, kl_of_base.low, kl_of_base.high)}, Jensen-Shannon{" "}
        {describeInterval(js.mean, js.low, js.high)}.
      </p>
      <details>
        <summary>The prompts on which they lie furthest apart, by token</summary>
        {reading.largest.map((one, number) => (
          <div key={number} className="sample">
            <p className="sample-asked">{one.prompt}</p>
            <p className="tokens">
              {one.tokens.map(([text, value], place) => (
                <span
                  key={place}
                  className="token up"
                  title={formatNumber(value)}
                  style={{ "--at": `${Math.round((100 * value) / most)}%` } as React.CSSProperties}
                >
                  {text}
                </span>
              ))}
            </p>
          </div>
        ))}
      </details>
      <div className="steps">
        <Shifted title="more probable" tokens={reading.raised} hue="up" />
        <Shifted title="less probable" tokens={reading.lowered} hue="down" />
      </div>
    </section>
  );
}

function Shifted({ title, tokens, hue }: { title: string; tokens: Schemas["TokenChange"][]; hue: string }) {
  return (
    <div>
      <p className="quiet">{title}</p>
      <p className="words">
        {tokens.map((one) => (
          <span
            key={one.token}
            className={`chip ${hue}`}
            title={`${formatPercent(one.base)} → ${formatPercent(one.tuned)}`}
          >
            {one.token}
          </span>
        ))}
      </p>
    </div>
  );
}

function Lens({ reading }: { reading: Schemas["LensReading"] }) {
  return (
    <section>
      <h3>Activation difference lens at {reading.address}</h3>
      <Table
        rows={reading.places}
        keyOf={(one) => one.place}
        columns={[
          { head: "place", cell: (one) => one.place },
          { head: "norm", isNumber: true, cell: (one) => formatNumber(one.norm) },
          { head: (<>of the base&rsquo;s</>), isNumber: true, cell: (one) => formatPercent(one.share) },
          { head: "agreement of halves", isNumber: true, cell: (one) => formatNumber(one.agreement, 2) },
          { head: "through the unembedding", cell: (one) => one.logit_lens.slice(0, 12).join(" · ") },
          { head: "patchscope", cell: (one) => one.patchscope.slice(0, 12).join(" · ") },
        ]}
      />
    </section>
  );
}

function Traits({ movements }: { movements: Schemas["TraitMovement"][] }) {
  return (
    <section>
      <h3>Along persona vectors</h3>
      <Table
        rows={movements}
        keyOf={(one) => `${one.trait}/${one.layer}`}
        columns={[
          { head: "trait", cell: (one) => one.trait },
          { head: "layer", isNumber: true, cell: (one) => one.layer },
          {
            head: "shift (95 %)",
            isNumber: true,
            cell: (one) => describeInterval(one.shift.mean, one.shift.low, one.shift.high),
          },
          { head: "cosine with the vector", isNumber: true, cell: (one) => formatNumber(one.cosine, 2) },
        ]}
      />
    </section>
  );
}

function Latents({ change }: { change: Schemas["DictionaryChange"] }) {
  return (
    <section>
      <h3>
        Latents of {change.dictionary}: {change.n_changed} of {change.n_latents} changed
      </h3>
      <Table
        rows={change.changed}
        keyOf={(one) => one.latent}
        columns={[
          { head: "latent", cell: (one) => one.latent },
          { head: "base", isNumber: true, cell: (one) => formatPercent(one.base) },
          { head: "tuned", isNumber: true, cell: (one) => formatPercent(one.tuned) },
          {
            head: "difference (95 %)",
            isNumber: true,
            cell: (one) => describeInterval(one.difference.mean, one.difference.low, one.difference.high),
          },
          { head: "q", isNumber: true, cell: (one) => formatNumber(one.q, 2) },
          { head: "raises", cell: (one) => one.promotes.join(" · ") },
        ]}
      />
    </section>
  );
}
