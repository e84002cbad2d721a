/** Making vectors: of a trait that is known, of a word and its opposite, or of a name with what it means. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";

type Way = "poles" | "known" | "described";

interface ExtractionProps {
  known: Schemas["KnownTrait"][];
  canStart: boolean;
  refresh: () => void;
}

export function Extraction({ known, canStart, refresh }: ExtractionProps) {
  const [way, setWay] = useState<Way>("poles");
  const [values, setValues] = useState<Record<string, string>>({});
  const [isQuick, setQuick] = useState(true);
  const { run, busy, error } = useAction();
  const of = (name: string) => values[name] ?? "";
  const set = (name: string) => (value: string) => setValues((now) => ({ ...now, [name]: value }));
  const chosen = known.find((trait) => trait.name === of("known")) ?? known[0];
  const body: Schemas["ExtractionRequest"] = {
    quick: isQuick,
    writer: way === "described" && of("writer") === "model" ? "model" : "bundled",
    ...(way === "poles" && { positive: of("positive").trim(), negative: of("negative").trim() }),
    ...(way === "known" && { known: chosen?.name ?? "" }),
    ...(way === "described" && {
      name: of("name").trim(),
      description: of("description").trim(),
    }),
  };
  const isWhole = Object.values(body).every((value) => value !== "");
  if (!canStart) {
    return <p className="quiet">To make vectors here, start the server with --runs FOLDER.</p>;
  }
  return (
    <form
      className="side-form"
      onSubmit={(event) => {
        event.preventDefault();
        run(async () => {
          await askJson("/v1/workbench/extractions", { body });
          refresh();
        });
      }}
    >
      <fieldset className="choice">
        <legend className="unseen">How the trait is given</legend>
        {(["poles", "known", "described"] as const).map((one) => (
          <label key={one}>
            <input type="radio" name="way" checked={way === one} onChange={() => setWay(one)} />
            <span>{{ poles: "Two poles", known: "Bundled", described: "Described" }[one]}</span>
          </label>
        ))}
      </fieldset>
      {way === "poles" && (
        <>
          <TextField label="Word" hint="patient" value={of("positive")} set={set("positive")} />
          <TextField label="Opposite" hint="impatient" value={of("negative")} set={set("negative")} />
        </>
      )}
      {way === "known" && (
        <>
          <label className="field">
            Trait
            <select value={chosen?.name ?? ""} onChange={(event) => set("known")(event.target.value)}>
              {known.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <p className="quiet">{chosen?.description}</p>
        </>
      )}
      {way === "described" && (
        <>
          <TextField label="Name" hint="risk-seeking" value={of("name")} set={set("name")} />
          <label className="field">
            What it means
            <textarea
              rows={3}
              value={of("description")}
              onChange={(event) => set("description")(event.target.value)}
            />
          </label>
          <label className="check">
            <input
              type="checkbox"
              checked={of("writer") === "model"}
              onChange={(event) => set("writer")(event.target.checked ? "model" : "")}
            />
            the served model writes its own instructions
          </label>
          <p className="quiet">
            Otherwise bundled ones take the name and the description. A small model cannot write them, and says so.
          </p>
        </>
      )}
      <label className="check">
        <input type="checkbox" checked={isQuick} onChange={(event) => setQuick(event.target.checked)} />
        quick: too few answers for a measurement
      </label>
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy || !isWhole}>
        Extract
      </button>
      <p className="quiet">
        Answers are judged without a key: by a classifier made of the trait&rsquo;s own prompted answers, or exactly
        where the trait is the organism&rsquo;s.
      </p>
    </form>
  );
}

interface TextFieldProps {
  label: string;
  hint: string;
  value: string;
  set: (value: string) => void;
}

function TextField({ label, hint, value, set }: TextFieldProps) {
  return (
    <label className="field">
      {label}
      <input value={value} placeholder={hint} maxLength={60} onChange={(event) => set(event.target.value)} />
    </label>
  );
}
