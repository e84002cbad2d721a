/** What a tool is asked with, read from its JSON schema, so that a form can be made of it. */

import { isRecord } from "../state/values";

export type FieldKind = "text" | "lines" | "integer" | "number";

export interface ToolField {
  name: string;
  kind: FieldKind;
  about: string;
  isRequired: boolean;
  /** As it stands in the form at first. */
  first: string;
  low: number | null;
  high: number | null;
}

/** The fields of a tool; a property of another shape is left to the tool's own default. */
export function readFields(schema: Readonly<Record<string, unknown>>): ToolField[] {
  const properties = isRecord(schema["properties"]) ? schema["properties"] : {};
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  return Object.entries(properties).flatMap(([name, property]) => {
    if (!isRecord(property)) return [];
    const kind = findKind(property);
    if (kind === null) return [];
    return [
      {
        name,
        kind,
        about: typeof property["description"] === "string" ? property["description"] : "",
        isRequired: required.includes(name),
        first: writeDefault(property["default"]),
        low: typeof property["minimum"] === "number" ? property["minimum"] : null,
        high: typeof property["maximum"] === "number" ? property["maximum"] : null,
      },
    ];
  });
}

function findKind(property: Record<string, unknown>): FieldKind | null {
  switch (property["type"]) {
    case "string":
      return "text";
    case "array":
      return isRecord(property["items"]) && property["items"]["type"] === "string" ? "lines" : null;
    case "integer":
      return "integer";
    case "number":
      return "number";
    default:
      return null;
  }
}

function writeDefault(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join("\n");
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** What is asked: lines as a list, numbers as numbers; an empty field that need not be filled is left out. */
export function readAsk(
  fields: readonly ToolField[],
  values: Readonly<Record<string, string>>,
): Record<string, string | number | string[]> {
  const ask: Record<string, string | number | string[]> = {};
  for (const field of fields) {
    const text = values[field.name] ?? field.first;
    if (!text.trim() && !field.isRequired) continue;
    if (field.kind === "lines") {
      ask[field.name] = text.split("\n").filter((line) => line.trim());
    } else if (field.kind === "text") {
      ask[field.name] = text;
    } else {
      ask[field.name] = field.kind === "integer" ? Math.round(Number(text)) : Number(text);
    }
  }
  return ask;
}
