/** The remedies of one gate, on the page of training. */

import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { RemedyView } from "../gate/RemedyView";

export function RemedySheet({ run }: { run: string }) {
  const path = `/v1/workbench/remedy?${new URLSearchParams({ run }).toString()}`;
  const { value, error } = useServer<Schemas["RemedyComparison"]>(path);
  if (error) return <ErrorNote text={error} />;
  if (!value) return <p className="quiet">Reading…</p>;
  return <RemedyView remedy={value} />;
}
