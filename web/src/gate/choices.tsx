/** Choosing a tune, a data set or traits, as several forms do. */

import type { Schemas } from "../api/client";

interface TuneChoiceProps {
  tunes: readonly Schemas["TuneCard"][];
  value: string;
  change: (run: string) => void;
}

export function TuneChoice({ tunes, value, change }: TuneChoiceProps) {
  return (
    <label className="field">
      Tune
      <select value={value} onChange={(event) => change(event.target.value)}>
        {tunes.map(({ run }) => (
          <option key={run}>{run}</option>
        ))}
      </select>
    </label>
  );
}

interface DataChoiceProps {
  label: string;
  data: readonly Schemas["DataCard"][];
  value: string;
  change: (name: string) => void;
  /** What stands for no file, where one is not needed. */
  none?: string;
}

export function DataChoice({ label, data, value, change, none }: DataChoiceProps) {
  return (
    <label className="field">
      {label}
      <select value={value} onChange={(event) => change(event.target.value)}>
        {none !== undefined && <option value="">{none}</option>}
        {data.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

interface TraitChoiceProps {
  legend: string;
  traits: readonly string[];
  /** Those that are not chosen. */
  left: readonly string[];
  change: (left: readonly string[]) => void;
}

export function TraitChoice({ legend, traits, left, change }: TraitChoiceProps) {
  return (
    <fieldset className="traits-choice">
      <legend>{legend}</legend>
      {traits.map((trait) => (
        <label key={trait} className="check">
          <input
            type="checkbox"
            checked={!left.includes(trait)}
            onChange={(event) => change(event.target.checked ? left.filter((one) => one !== trait) : [...left, trait])}
          />
          {trait}
        </label>
      ))}
    </fieldset>
  );
}
