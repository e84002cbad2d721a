/** Data: bring a file, screen it along persona vectors, and see which samples would move the model. */

import { useCallback, useRef } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Jobs } from "../jobs/Jobs";
import { type StateForm, useHashState } from "../state/hash_state";
import { ScreenForm } from "./ScreenForm";
import { ScreeningSheet } from "./ScreeningSheet";
import "../style/desk.css";
import "../style/data.css";

export interface DataState {
  run: string;
  folder: string;
  trait: string;
  /** What samples must hold to be shown. */
  find: string;
}

const DATA_FORM: StateForm<DataState> = {
  read: (params) => ({
    run: params["run"] ?? "",
    folder: params["folder"] ?? "",
    trait: params["trait"] ?? "",
    find: params["find"] ?? "",
  }),
  write: ({ run, folder, trait, find }) => ({ run, folder, trait, find }),
};

export function DataPage() {
  const [state, set] = useHashState(DATA_FORM);
  const data = useServer<Schemas["DataList"]>("/v1/workbench/data");
  const screenings = useServer<Schemas["ScreeningList"]>("/v1/workbench/screenings");
  const { again: againData } = data;
  const { again: againScreenings } = screenings;
  const refresh = useCallback(() => {
    againData();
    againScreenings();
  }, [againData, againScreenings]);
  return (
    <div className="desk">
      <aside className="list-side" aria-label="Data sets">
        <h1>Data</h1>
        {data.error && <ErrorNote text={data.error} />}
        {data.value && !data.value.can_upload && (
          <p className="quiet">To bring data here, start the server with --runs FOLDER.</p>
        )}
        {data.value?.can_upload && <Upload refresh={refresh} />}
        {data.value && data.value.data.length > 0 && (
          <>
            <ul className="entries">
              {data.value.data.map((file) => (
                <DataEntry key={file.name} file={file} refresh={refresh} />
              ))}
            </ul>
            <ScreenForm data={data.value.data} refresh={refresh} />
          </>
        )}
        <Jobs about={isAboutData} onEnd={refresh} />
        {screenings.error && <ErrorNote text={screenings.error} />}
        {screenings.value && screenings.value.screenings.length > 0 && (
          <section>
            <h2>Screenings</h2>
            <ul className="entries">
              {screenings.value.screenings.map((one) => (
                <li key={`${one.run}/${one.folder}`}>
                  <button
                    type="button"
                    className="entry"
                    aria-current={one.run === state.run && one.folder === state.folder}
                    onClick={() =>
                      set(() => ({ run: one.run, folder: one.folder, trait: "", find: "" }), { push: true })
                    }
                  >
                    <span className="name">{nameOfFile(one.data)}</span>
                    <span className="quiet">
                      {one.samples} samples · {listNames(one.traits)} ·{" "}
                      {one.reference ? `against ${nameOfFile(one.reference)}` : "within itself"}
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
      </aside>
      <section className="sheet" aria-label="Screening">
        {state.run ? (
          <ScreeningSheet
            key={`${state.run}/${state.folder}`}
            state={state}
            set={(changes) => set((now) => ({ ...now, ...changes }))}
          />
        ) : (
          <p className="quiet">
            Bring a file of conversations, screen it, and choose the screening: its samples stand here, those first
            that lie farthest along a trait.
          </p>
        )}
      </section>
    </div>
  );
}

const isAboutData = (job: Schemas["JobCard"]) => job.title.startsWith("screening of ");

/** The first names, and how many more there are. */
export function listNames(names: readonly string[], most = 4): string {
  const shown = names.slice(0, most).join(", ");
  return names.length > most ? `${shown} and ${names.length - most} more` : shown;
}

export function nameOfFile(path: string): string {
  return path.split("/").at(-1) ?? path;
}

function Upload({ refresh }: { refresh: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const { run, busy, error } = useAction();
  const take = (file: File) =>
    run(async () => {
      const name = file.name.replaceAll(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[^A-Za-z0-9]+/, "");
      await askJson(`/v1/workbench/data/${encodeURIComponent(name)}`, {
        method: "PUT",
        body: new Blob([file]),
      });
      refresh();
    });
  return (
    <div className="upload">
      <label>
        Bring a file
        <input
          ref={field}
          type="file"
          accept=".jsonl,.json,.csv,.tsv,.parquet"
          disabled={busy}
          onChange={(event) => {
            const [file] = event.target.files ?? [];
            if (file) take(file);
            event.target.value = "";
          }}
        />
      </label>
      {busy && <p className="quiet">Looking through it…</p>}
      {error && <ErrorNote text={error} />}
    </div>
  );
}

function DataEntry({ file, refresh }: { file: Schemas["DataCard"]; refresh: () => void }) {
  const { run, busy, error } = useAction();
  const remove = async () => {
    await askJson(`/v1/workbench/data/${encodeURIComponent(file.name)}`, { method: "DELETE" });
    refresh();
  };
  return (
    <li className="data-entry">
      <span className="name">{file.name}</span>
      <button type="button" className="small" disabled={busy} onClick={() => run(remove)}>
        Delete<span className="unseen"> {file.name}</span>
      </button>
      <p className="quiet">{file.description ?? file.error}</p>
      {error && <ErrorNote text={error} />}
    </li>
  );
}
