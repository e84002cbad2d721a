/** Dials: how far each vector or latent is turned up. */

import { useId, useState } from "react";
import type { Capabilities } from "../api/client";
import { isLatent } from "./answers";
import { type Dials as DialValues, MOST_COEFFICIENT } from "./chat_state";

const REACH = 3;
/** Of a slider; a number beyond it can be written. */

interface DialsProps {
  server: Capabilities;
  dials: DialValues;
  setDials: (dials: DialValues) => void;
}

export function Dials({ server, dials, setDials }: DialsProps) {
  const vectors = server.vectors.map(({ name, default: places }) => ({ name, where: places.join(", ") }));
  const known = new Set(vectors.map(({ name }) => name));
  const others = Object.keys(dials)
    .filter((name) => !known.has(name))
    .map((name) => ({ name, where: isLatent(server, name) ? "latent" : "not on this server" }));
  const set = (name: string, at: number) => setDials({ ...dials, [name]: at });
  const remove = (name: string) =>
    setDials(Object.fromEntries(Object.entries(dials).filter(([key]) => key !== name)));
  return (
    <section className="dials">
      <div className="side-head">
        <h2>Dials</h2>
        <button
          type="button"
          className="small"
          disabled={!Object.values(dials).some((at) => at !== 0)}
          onClick={() => setDials(Object.fromEntries(Object.keys(dials).map((name) => [name, 0])))}
        >
          All to 0
        </button>
      </div>
      {vectors.length + others.length === 0 && <p className="quiet">This server has no vectors.</p>}
      {[...vectors, ...others].map(({ name, where }) => (
        <Dial
          key={name}
          name={name}
          where={where}
          at={dials[name] ?? 0}
          set={(at) => set(name, at)}
          {...(known.has(name) ? {} : { remove: () => remove(name) })}
        />
      ))}
      {Object.keys(server.dictionaries).length > 0 && (
        <AddLatent server={server} add={(name) => set(name, dials[name] ?? 0)} />
      )}
    </section>
  );
}

interface DialProps {
  name: string;
  where: string;
  at: number;
  set: (at: number) => void;
  remove?: () => void;
}

function Dial({ name, where, at, set, remove }: DialProps) {
  const id = useId();
  const take = (text: string) => {
    const value = Number(text);
    if (text !== "" && Number.isFinite(value)) {
      set(Math.max(-MOST_COEFFICIENT, Math.min(MOST_COEFFICIENT, value)));
    }
  };
  return (
    <div className={at === 0 ? "dial" : "dial turned"}>
      <label htmlFor={id} title={`written at ${where}`}>
        {name}
        <span className="quiet"> {where}</span>
      </label>
      <input
        type="number"
        step={0.1}
        aria-label={`Coefficient of ${name}`}
        value={at}
        onChange={(event) => take(event.target.value)}
      />
      <input
        id={id}
        type="range"
        min={-REACH}
        max={REACH}
        step={0.1}
        value={Math.max(-REACH, Math.min(REACH, at))}
        onChange={(event) => take(event.target.value)}
        onDoubleClick={() => set(0)}
      />
      {remove && (
        <button type="button" className="small" aria-label={`Remove ${name}`} onClick={remove}>
          ×
        </button>
      )}
    </div>
  );
}

function AddLatent({ server, add }: { server: Capabilities; add: (name: string) => void }) {
  const names = Object.keys(server.dictionaries);
  const [dictionary, setDictionary] = useState(names[0] ?? "");
  const [latent, setLatent] = useState("");
  const most = server.dictionaries[dictionary] ?? 0;
  const name = `${dictionary}/${latent}`;
  const isThere = isLatent(server, name);
  return (
    <form
      className="add-latent"
      onSubmit={(event) => {
        event.preventDefault();
        if (isThere) {
          add(name);
          setLatent("");
        }
      }}
    >
      <select
        aria-label="Dictionary"
        value={dictionary}
        onChange={(event) => setDictionary(event.target.value)}
      >
        {names.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
      <input
        inputMode="numeric"
        aria-label={`Latent of ${dictionary}, 0 to ${most - 1}`}
        placeholder={`latent 0–${most - 1}`}
        value={latent}
        onChange={(event) => setLatent(event.target.value.trim())}
      />
      <button type="submit" disabled={!isThere}>
        Add
      </button>
    </form>
  );
}
