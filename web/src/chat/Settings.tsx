/** How answers are drawn, and the system prompt of the conversation. */

import type { Capabilities } from "../api/client";
import type { ChatState } from "./chat_state";

interface SettingsProps {
  server: Capabilities;
  state: ChatState;
  change: (changes: Partial<ChatState>) => void;
}

export function Settings({ server, state, change }: SettingsProps) {
  return (
    <details className="settings">
      <summary>
        Temperature {state.temperature}, at most {Math.min(state.maxTokens, server.max_tokens)} tokens, seed {state.seed}
        {state.system.trim() && ", a system prompt"}
      </summary>
      <NumberField
        label="Temperature"
        value={state.temperature}
        low={0}
        high={2}
        step={0.1}
        set={(temperature) => change({ temperature })}
      />
      <NumberField
        label="Most tokens"
        value={Math.min(state.maxTokens, server.max_tokens)}
        low={1}
        high={server.max_tokens}
        step={1}
        set={(maxTokens) => change({ maxTokens: Math.round(maxTokens) })}
      />
      <NumberField
        label="Seed"
        value={state.seed}
        low={0}
        high={2 ** 31}
        step={1}
        set={(seed) => change({ seed: Math.round(seed) })}
      />
      <label className="wide">
        System prompt
        <textarea
          rows={3}
          value={state.system}
          placeholder="none"
          onChange={(event) => change({ system: event.target.value })}
        />
      </label>
      <p className="quiet">Both answers of a turn draw from its seed. The address holds all of this page.</p>
    </details>
  );
}

interface NumberFieldProps {
  label: string;
  value: number;
  low: number;
  high: number;
  step: number;
  set: (value: number) => void;
}

function NumberField({ label, value, low, high, step, set }: NumberFieldProps) {
  return (
    <label>
      {label}
      <input
        type="number"
        min={low}
        max={high}
        step={step}
        value={value}
        onChange={(event) => {
          const given = event.target.valueAsNumber;
          if (Number.isFinite(given)) set(Math.max(low, Math.min(high, given)));
        }}
      />
    </label>
  );
}
