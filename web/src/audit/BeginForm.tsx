/** A new game: which tune, what may be looked at, and for how many tokens. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { readInteger } from "../state/values";

const LEVELS = {
  base: "the model before tuning too",
  dictionary: "the inside, by directions and latents",
  data: "answers and training data",
  "black-box": "answers alone",
} as const;
type Level = keyof typeof LEVELS;

interface BeginFormProps {
  sets: Schemas["OrganismSetCard"][];
  begun: (game: string) => void;
}

export function BeginForm({ sets, begun }: BeginFormProps) {
  const [chosen, setChosen] = useState("");
  const [name, setName] = useState("");
  const [level, setLevel] = useState<Level>("base");
  const [tokens, setTokens] = useState(60_000);
  const { run, busy, error } = useAction();
  const set = sets.find((one) => one.run === chosen) ?? sets[0];
  if (!set) return null;
  const tune = set.organisms.includes(name) ? name : (set.organisms[0] ?? "");
  const begin = async () => {
    const body: Schemas["BeginRequest"] = { set: set.run, name: tune, level, tokens };
    begun((await askJson<Schemas["BegunGame"]>("/v1/workbench/audit/games", { body })).game);
  };
  return (
    <form
      className="side-form"
      onSubmit={(event) => {
        event.preventDefault();
        run(begin);
      }}
    >
      <h2>A new game</h2>
      <label className="field">
        Set
        <select value={set.run} onChange={(event) => setChosen(event.target.value)}>
          {sets.map((one) => (
            <option key={one.run}>{one.run}</option>
          ))}
        </select>
      </label>
      <label className="field">
        Tune
        <select value={tune} onChange={(event) => setName(event.target.value)}>
          {set.organisms.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <label className="field">
        What may be looked at
        <select value={level} onChange={(event) => setLevel(event.target.value as Level)}>
          {Object.entries(LEVELS).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </label>
      <label className="field">
        Budget in tokens
        <input
          type="number"
          min={1000}
          step={1000}
          value={tokens}
          onChange={(event) => setTokens(readInteger(event.target.value, 60_000, 1000, 10_000_000))}
        />
      </label>
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy}>
        {busy ? "Beginning…" : "Begin"}
      </button>
    </form>
  );
}
