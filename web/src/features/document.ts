/** The public feature document, as far as it is shown. */

import { isFiniteNumber, isRecord } from "../state/values";

export interface FeatureExample {
  tokens: string[];
  activations: number[];
  peak: number;
}

export interface FeatureDocument {
  groups: { name: string; examples: FeatureExample[] }[];
  topLogits: string[];
  bottomLogits: string[];
  histogram: number[];
  lowest: number;
  highest: number;
}

const listOf = <T>(value: unknown, is: (one: unknown) => one is T): T[] =>
  Array.isArray(value) ? value.filter(is) : [];
const isText = (value: unknown): value is string => typeof value === "string";

/** What cannot be read is left out. */
export function readDocument(document: Record<string, unknown>): FeatureDocument {
  const groups = listOf(document["examples_quantiles"], isRecord).map((group) => ({
    name: isText(group["quantile_name"]) ? group["quantile_name"] : "",
    examples: listOf(group["examples"], isRecord).map((example) => ({
      tokens: listOf(example["tokens"], isText),
      activations: listOf(example["tokens_acts_list"], isFiniteNumber),
      peak: isFiniteNumber(example["train_token_ind"]) ? example["train_token_ind"] : -1,
    })),
  }));
  return {
    groups: groups.filter(({ examples }) => examples.length),
    topLogits: listOf(document["top_logits"], isText),
    bottomLogits: listOf(document["bottom_logits"], isText),
    histogram: listOf(document["histogram"], isFiniteNumber),
    lowest: isFiniteNumber(document["act_min"]) ? document["act_min"] : 0,
    highest: isFiniteNumber(document["act_max"]) ? document["act_max"] : 0,
  };
}
