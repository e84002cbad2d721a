import { expect, it } from "vitest";
import { readAsk, readFields } from "./schema.ts";

const SCHEMA = {
  properties: {
    questions: { type: "array", items: { type: "string" }, description: "What is asked." },
    system: { type: "string", default: "" },
    samples: { type: "integer", default: 2, minimum: 1, maximum: 32 },
    coefficient: { type: "number", default: 1.5 },
    strange: { type: "object" },
  },
  required: ["questions"],
};

it("makes a field of every property that it can", () => {
  const fields = readFields(SCHEMA);
  expect(fields.map(({ name, kind, first }) => [name, kind, first])).toEqual([
    ["questions", "lines", ""],
    ["system", "text", ""],
    ["samples", "integer", "2"],
    ["coefficient", "number", "1.5"],
  ]);
  expect(fields[2]).toMatchObject({ low: 1, high: 32, isRequired: false });
  expect(readFields({})).toEqual([]);
});

it("asks with lists, numbers and texts, and leaves out what is empty and need not be", () => {
  const fields = readFields(SCHEMA);
  expect(readAsk(fields, { questions: "One?\n\n Two?", samples: "3" })).toEqual({
    questions: ["One?", " Two?"],
    samples: 3,
    coefficient: 1.5,
  });
  expect(readAsk(fields, {})["questions"]).toEqual([]);
});
