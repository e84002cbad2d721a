/** Features: latents by words, token or text; a latent's page; and what it does on a text of one's own. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import type { PageProps } from "../app/pages";
import { ErrorNote } from "../app/ErrorNote";
import { formatNumber, formatPercent } from "../state/format";
import { type StateForm, useHashState } from "../state/hash_state";
import { readInteger } from "../state/values";
import { FeatureSheet } from "./FeatureSheet";
import { MapSheet } from "./MapSheet";
import "../style/desk.css";
import "../style/features.css";

const WAYS = { words: "Words", token: "A token", text: "A text" } as const;
type Way = keyof typeof WAYS;

export interface FeaturesState {
  dictionary: string;
  by: Way;
  query: string;
  /** -1 for none. */
  feature: number;
  /** A text of the reader's own. */
  text: string;
  /** Whether the map is shown. */
  map: boolean;
}

const FEATURES_FORM: StateForm<FeaturesState> = {
  read: (params) => ({
    dictionary: params["dictionary"] ?? "",
    by: params["by"] === "token" || params["by"] === "text" ? params["by"] : "words",
    query: params["query"] ?? "",
    feature: readInteger(params["feature"], -1, -1, 1e9),
    text: params["text"] ?? "",
    map: params["map"] === "1",
  }),
  write: ({ dictionary, by, query, feature, text, map }) => ({
    dictionary,
    by: by === "words" ? "" : by,
    query,
    feature: feature < 0 ? "" : String(feature),
    text,
    map: map ? "1" : "",
  }),
};

export function FeaturesPage({ server }: PageProps) {
  const [state, set] = useHashState(FEATURES_FORM);
  const { value, error } = useServer<Schemas["DictionaryList"]>("/v1/workbench/dictionaries");
  const known = value?.dictionaries ?? [];
  const chosen = known.find((one) => one.name === state.dictionary) ?? known[0];
  const change = (changes: Partial<FeaturesState>, push = false) =>
    set((now) => ({ ...now, ...changes }), { push });
  return (
    <div className="desk">
      <aside className="list-side" aria-label="Search">
        <h1>Features</h1>
        {error && <ErrorNote text={error} />}
        {value && known.length === 0 && (
          <p className="quiet">
            This server has no dictionary: start it with --dictionary NAME=FILE, such as sae=organism:sae.2.
          </p>
        )}
        {chosen && (
          <>
            <label className="field">
              Dictionary
              <select
                value={chosen.name}
                onChange={(event) => change({ dictionary: event.target.value, feature: -1 })}
              >
                {known.map(({ name }) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            <DictionaryFacts dictionary={chosen} />
            {chosen.survey !== null && (
              <button type="button" aria-pressed={state.map} onClick={() => change({ map: !state.map }, true)}>
                {state.map ? "Hide the map" : "Show the map"}
              </button>
            )}
            {chosen.survey !== null && (
              <Search
                key={chosen.name}
                dictionary={chosen.name}
                state={state}
                change={change}
                choose={(feature) => change({ dictionary: chosen.name, feature }, true)}
              />
            )}
          </>
        )}
      </aside>
      <section className="sheet" aria-label="Feature">
        {chosen?.survey && state.map && (
          <MapSheet
            key={chosen.name}
            dictionary={chosen.name}
            feature={state.feature}
            choose={(feature) => change({ dictionary: chosen.name, feature }, true)}
          />
        )}
        {chosen?.survey && state.feature >= 0 ? (
          <FeatureSheet
            key={`${chosen.name}/${state.feature}`}
            server={server}
            dictionary={chosen.name}
            state={state}
            change={change}
          />
        ) : (
          <p className="quiet">Choose a feature.</p>
        )}
      </section>
    </div>
  );
}

function DictionaryFacts({ dictionary }: { dictionary: Schemas["SurveyedDictionary"] }) {
  const { latents, survey, tokens, dead, dense, labels } = dictionary;
  if (survey === null) {
    return (
      <p className="quiet">
        {latents} latents. No run in the folder of --runs is a survey of them: mindscope feature survey reads a corpus
        once, and then they can be searched here. They can be steered with by their numbers on the page of chat.
      </p>
    );
  }
  return (
    <p className="quiet">
      {latents} latents, of which {dead} never and {dense} on more than a tenth of {tokens} tokens were active in{" "}
      {survey}; {labels} have labels that were made for them.
    </p>
  );
}

interface SearchProps {
  dictionary: string;
  state: FeaturesState;
  change: (changes: Partial<FeaturesState>) => void;
  choose: (feature: number) => void;
}

function Search({ dictionary, state, change, choose }: SearchProps) {
  const [query, setQuery] = useState(state.query);
  const params = new URLSearchParams({ dictionary, by: state.by, query: state.query }).toString();
  const { value, error } = useServer<Schemas["FeatureMatches"]>(
    state.query ? `/v1/workbench/features?${params}` : null,
  );
  const number = Number(query);
  return (
    <>
      <form
        className="side-form"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          if (/^\d{1,9}$/.test(query.trim()) && state.by === "words") choose(number);
          else change({ query: query.trim() });
        }}
      >
        <fieldset className="choice">
          <legend className="unseen">Search by</legend>
          {(Object.keys(WAYS) as Way[]).map((way) => (
            <label key={way}>
              <input type="radio" name="by" checked={state.by === way} onChange={() => change({ by: way })} />
              <span>{WAYS[way]}</span>
            </label>
          ))}
        </fieldset>
        <label className="field">
          <span className="unseen">What to search for</span>
          <input
            type="search"
            value={query}
            placeholder={{ words: "words, or a number", token: "capital", text: "a sentence" }[state.by]}
            onChange={(event) => setQuery(event.target.value)}
          />
        </label>
        <button type="submit" className="main-action" disabled={!query.trim()}>
          Search
        </button>
      </form>
      {error && <ErrorNote text={error} />}
      {value && value.matches.length === 0 && <p className="empty">nothing</p>}
      <ul className="entries">
        {value?.matches.map((match) => (
          <li key={match.feature}>
            <button
              type="button"
              className="entry"
              aria-current={match.feature === state.feature}
              onClick={() => choose(match.feature)}
            >
              <span className="name">{match.label || match.name}</span>
              <span className="state">{match.feature}</span>
              <span className="quiet">{describeMatch(match)}</span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

function describeMatch({ score, token, activation, share, density }: Schemas["FeatureMatch"]): string {
  const parts = [
    token == null ? null : `at “${token.trim()}”`,
    score == null ? null : `score ${formatNumber(score)}`,
    activation == null ? null : `${formatNumber(activation)}, ${formatPercent(share ?? 0)} of its highest`,
    `on ${formatPercent(density)} of tokens`,
  ];
  return parts.filter((part) => part !== null).join(" · ");
}

export interface OwnTextProps {
  feature: string;
  text: string;
  setText: (text: string) => void;
}

/** What a feature reads on a text of one's own, as a user's turn of a chat. */
export function OwnText({ feature, text, setText }: OwnTextProps) {
  const { run, busy, error } = useAction();
  const [read, setRead] = useState<Schemas["ReadReply"] | null>(null);
  const values = read ? (Object.values(read.readings)[0] ?? []) : [];
  const highest = Math.max(1e-9, ...values);
  const submit = () =>
    run(async () => {
      const body = { messages: [{ role: "user", content: text }], features: [feature] };
      setRead(await askJson<Schemas["ReadReply"]>("/v1/workbench/read", { body }));
    });
  return (
    <section>
      <h3>On a text of your own</h3>
      <form
        className="own-text"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <textarea rows={2} aria-label="Your text" value={text} onChange={(event) => setText(event.target.value)} />
        <button type="submit" disabled={busy || !text.trim()}>
          Read
        </button>
      </form>
      {error && <ErrorNote text={error} />}
      {read && (
        <p className="context">
          {read.tokens.map((token, place) => {
            const value = values[place] ?? 0;
            return (
              <span
                key={place}
                className={`token up${token.role === "special" ? " quiet" : ""}`}
                style={{ "--at": `${Math.round((100 * Math.max(0, value)) / highest)}%` } as React.CSSProperties}
                title={formatNumber(value)}
              >
                {token.text}
              </span>
            );
          })}
        </p>
      )}
      {read && values.every((value) => value === 0) && <p className="empty">nowhere active</p>}
    </section>
  );
}
