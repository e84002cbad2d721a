/** What went wrong, in the server's words, read out as it appears. */
export function ErrorNote({ text }: { text: string }) {
  return (
    <p role="alert" className="error-note">
      {text}
    </p>
  );
}
