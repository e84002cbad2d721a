/** A tool and what it is asked: the form is made of the tool's own schema. */

import { useId, useState } from "react";
import type { Schemas } from "../api/client";
import { useAction } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { type ToolField, readAsk, readFields } from "./schema";

interface ToolFormProps {
  tools: Schemas["ToolCard"][];
  tool: string;
  setTool: (tool: string) => void;
  call: (tool: string, ask: Record<string, unknown>) => Promise<void>;
}

export function ToolForm({ tools, tool, setTool, call }: ToolFormProps) {
  const chosen = tools.find((one) => one.name === tool) ?? tools[0];
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const { run, busy, error } = useAction();
  if (!chosen) return null;
  const fields = readFields(chosen.arguments);
  return (
    <form
      className="side-form"
      onSubmit={(event) => {
        event.preventDefault();
        run(() => call(chosen.name, readAsk(fields, values)));
      }}
    >
      <h3>Call a tool</h3>
      <label className="field">
        Tool
        <select
          value={chosen.name}
          onChange={(event) => {
            setValues({});
            setTool(event.target.value);
          }}
        >
          {tools.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name.replaceAll("_", " ")}
            </option>
          ))}
        </select>
      </label>
      <p className="quiet">{chosen.about}</p>
      {fields.map((field) => (
        <FieldInput
          key={`${chosen.name}/${field.name}`}
          field={field}
          value={values[field.name] ?? field.first}
          change={(value) => setValues((now) => ({ ...now, [field.name]: value }))}
        />
      ))}
      {error && <ErrorNote text={error} />}
      <button type="submit" className="main-action" disabled={busy}>
        {busy ? "Working…" : "Call"}
      </button>
    </form>
  );
}

interface FieldInputProps {
  field: ToolField;
  value: string;
  change: (value: string) => void;
}

function FieldInput({ field, value, change }: FieldInputProps) {
  const about = useId();
  const shared = { value, "aria-describedby": about, required: field.isRequired };
  return (
    <label className="field">
      {field.name}
      {field.kind === "lines" && (
        <textarea rows={3} {...shared} onChange={(event) => change(event.target.value)} />
      )}
      {field.kind === "text" && <input {...shared} onChange={(event) => change(event.target.value)} />}
      {(field.kind === "integer" || field.kind === "number") && (
        <input
          type="number"
          step={field.kind === "integer" ? 1 : "any"}
          {...(field.low === null ? {} : { min: field.low })}
          {...(field.high === null ? {} : { max: field.high })}
          {...shared}
          onChange={(event) => change(event.target.value)}
        />
      )}
      <span id={about} className="quiet">
        {field.about}
        {field.kind === "lines" && " One a line."}
      </span>
    </label>
  );
}
