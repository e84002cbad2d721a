/** Where a question is written. Enter sends it, Shift and Enter begins a line. */

import { useState } from "react";

interface ComposerProps {
  isWriting: boolean;
  isSteered: boolean;
  send: (text: string) => void;
  stop: () => void;
}

export function Composer({ isWriting, isSteered, send, stop }: ComposerProps) {
  const [text, setText] = useState("");
  const submit = () => {
    if (!text.trim() || isWriting) return;
    send(text);
    setText("");
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        id="question"
        aria-label="Your question"
        placeholder="Ask something"
        rows={2}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
            event.preventDefault();
            submit();
          }
        }}
      />
      {isWriting ? (
        <button type="button" onClick={stop}>
          Stop
        </button>
      ) : (
        <button type="submit" className="main-action" disabled={!text.trim()}>
          {isSteered ? "Ask both" : "Ask"}
        </button>
      )}
    </form>
  );
}
