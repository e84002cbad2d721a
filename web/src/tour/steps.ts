/** The steps of the tour: what each says of the example that the server made, and where that is seen. */

import { BASE } from "../app/base";
import { CHAT_FORM, FIRST_STATE } from "../chat/chat_state";
import { formatNumber, formatPercent } from "../state/format";
import type { Params } from "../state/hash_state";
import type { TourReply } from "./use_tour";

export interface TourStep {
  title: string;
  /** What to do there, and what it shows; null while the example is being made. */
  tell: (reply: TourReply) => string | null;
  place: (reply: TourReply) => { path: string; params: Params } | null;
}

export const STEPS: readonly TourStep[] = [
  {
    title: "Three solved examples",
    tell: () =>
      "On a model small enough that its whole world is known. They are computed on this machine from what is " +
      "bundled, in about a minute, and stay in the folder of runs. Each is a page as you would use it: change what you like.",
    place: () => null,
  },
  {
    title: "Turn a dial, and watch the meter",
    tell: ({ steered }) =>
      steered &&
      `The dial of ${steered.vector} is at ${formatNumber(steered.coefficient)}. Press “Answer”: the question is answered ` +
        "twice from the same seed, as the model is and with the vector added. The meters say how far each answer lies " +
        "along the vector, the colours at which tokens; a click on a token tells the rest.",
    place: ({ steered }) => {
      if (!steered) return null;
      const dials = { [steered.vector]: steered.coefficient };
      const turn = { user: steered.question, seed: 0, dials, answers: {} };
      const params = CHAT_FORM.write({ ...FIRST_STATE, dials, colour: steered.vector, turns: [turn] });
      return { path: `${BASE}chat`, params };
    },
  },
  {
    title: "Find the rows that were planted",
    tell: ({ screened }) =>
      screened &&
      `Of ${screened.rows} conversations ${screened.planted} were planted in an ${screened.trait} voice; their names begin ` +
        `with “planted”. The screening, which does not know them, has ${screened.on_top} of them among its ` +
        `${screened.planted} highest samples, and ${screened.beyond} rows beyond the threshold that ordinary ` +
        "conversations set. No row of the threshold is one of these.",
    place: ({ screened }) =>
      screened && {
        path: `${BASE}data`,
        params: { run: screened.run, folder: screened.folder, trait: screened.trait },
      },
  },
  {
    title: "Ask why, and check the answer",
    tell: ({ traced }) => {
      if (!traced) return null;
      const start = `“${traced.prompt}” as a graph of ${traced.features} features. `;
      if (traced.token === null || traced.before === null || traced.after === null) {
        return `${start}Its most influential features are being turned off in the model.`;
      }
      const token = JSON.stringify(traced.token);
      return (
        `${start}Its most influential features turned off, the next token ${token} falls from ` +
        `${formatPercent(traced.before)} to ${formatPercent(traced.after)}; what the graph foretold and what ` +
        `happened agree with r = ${formatNumber(traced.r, 2)}. Under “Interventions” you can turn off others.`
      );
    },
    place: ({ traced }) => traced && { path: `${BASE}circuits`, params: { run: traced.run } },
  },
];
