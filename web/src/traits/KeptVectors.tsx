/** Vectors of runs that the server can steer with, or sweep. */

import { type Schemas, askJson } from "../api/client";
import { useAction } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";

interface KeptVectorsProps {
  kept: Schemas["KeptVectors"][];
  canStart: boolean;
  refresh: () => void;
}

export function KeptVectors({ kept, canStart, refresh }: KeptVectorsProps) {
  const { run, busy, error } = useAction();
  const post = (path: string, body: unknown) =>
    run(async () => {
      await askJson(path, { body });
      refresh();
    });
  return (
    <section>
      <h2>In the folder of runs</h2>
      {error && <ErrorNote text={error} />}
      <ul className="entries">
        {kept.map(({ run: name, trait }) => (
          <li key={`${name}/${trait}`} className="kept-entry">
            <span className="name">
              {trait} <span className="quiet">{name}</span>
            </span>
            <button
              type="button"
              className="small"
              disabled={busy}
              onClick={() => post("/v1/workbench/vectors", { run: name, trait })}
            >
              Use<span className="unseen"> {trait}</span>
            </button>
            {canStart && (
              <button
                type="button"
                className="small"
                disabled={busy}
                onClick={() => post("/v1/workbench/sweeps", { run: name, quick: true })}
              >
                Sweep<span className="unseen"> {trait}</span>
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
