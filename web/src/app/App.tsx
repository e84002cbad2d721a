/** The frame of all pages: who is served, the navigation, and the door where a token is asked for. */

import { type MouseEvent, Suspense, useCallback, useEffect, useState } from "react";
import { type Capabilities, RefusedError, askJson, describeError, keepToken } from "../api/client";
import { goTo } from "../state/hash_state";
import { TourBar } from "../tour/TourBar";
import { useTour } from "../tour/use_tour";
import { ErrorNote } from "./ErrorNote";
import { BASE } from "./base";
import { PAGES, findPage } from "./pages";

type Door = { kind: "waiting" } | { kind: "open"; server: Capabilities } | { kind: "shut"; error: unknown };

export function App() {
  const [door, setDoor] = useState<Door>({ kind: "waiting" });
  const [path, setPath] = useState(window.location.pathname);
  const enter = useCallback(() => {
    askJson<Capabilities>("/v1/mindscope/capabilities").then(
      (server) => setDoor({ kind: "open", server }),
      (error: unknown) => setDoor({ kind: "shut", error }),
    );
  }, []);
  useEffect(enter, [enter]);
  useEffect(() => {
    const follow = () => setPath(window.location.pathname);
    window.addEventListener("popstate", follow);
    return () => window.removeEventListener("popstate", follow);
  }, []);
  const page = findPage(path);
  useEffect(() => {
    document.title = `${page.title} · mindscope`;
  }, [page]);
  const visit = (event: MouseEvent<HTMLAnchorElement>) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    goTo({ path: event.currentTarget.pathname });
  };
  const tour = useTour(door.kind === "open");
  const vector = tour.reply?.steered?.vector;
  const isNew = door.kind === "open" && vector !== undefined && door.server.vectors.every(({ name }) => name !== vector);
  useEffect(() => {
    if (isNew) enter(); // the tour gave the server a vector
  }, [isNew, enter]);
  return (
    <>
      <a className="skip" href="#main" onClick={skip}>
        Skip to the page
      </a>
      <header className="top">
        <span className="mark">mindscope</span>
        <nav aria-label="Pages">
          {PAGES.map(({ name, title }) => (
            <a
              key={name}
              href={`${BASE}${name}`}
              aria-current={name === page.name ? "page" : undefined}
              onClick={visit}
            >
              {title}
            </a>
          ))}
        </nav>
        {tour.isOffered && tour.step === null && (
          <button type="button" className="small" onClick={tour.begin}>
            Tour
          </button>
        )}
        {door.kind === "open" && (
          <span className="served" title={`fingerprint ${door.server.fingerprint}`}>
            {door.server.model}
            <span className="quiet">
              {" "}
              {door.server.n_layers} layers × {door.server.d_model}
            </span>
          </span>
        )}
      </header>
      <TourBar tour={tour} />
      <main id="main" tabIndex={-1}>
        {door.kind === "waiting" && <p className="quiet pad">Asking the server…</p>}
        {door.kind === "shut" && <ShutDoor error={door.error} enter={enter} />}
        {door.kind === "open" && (
          <Suspense fallback={<p className="quiet pad">Loading the page…</p>}>
            <page.Page key={page.name} server={door.server} refreshServer={enter} />
          </Suspense>
        )}
      </main>
    </>
  );
}

/** The address behind `#` is the page's state, so that a jump must not change it. */
function skip(event: MouseEvent) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function ShutDoor({ error, enter }: { error: unknown; enter: () => void }) {
  const [token, setToken] = useState("");
  if (!(error instanceof RefusedError && error.status === 401)) {
    return (
      <div className="pad">
        <ErrorNote text={describeError(error)} />
        <button type="button" onClick={enter}>
          Try again
        </button>
      </div>
    );
  }
  const submit = () => {
    keepToken(token.trim());
    enter();
  };
  return (
    <form
      className="door pad"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <h1>This server asks for a token</h1>
      <label>
        Token
        <input
          type="password"
          autoComplete="off"
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
      </label>
      <p className="quiet">It is kept in this tab until it is closed, and sent to this server alone.</p>
      <button type="submit" className="main-action">
        Enter
      </button>
    </form>
  );
}
