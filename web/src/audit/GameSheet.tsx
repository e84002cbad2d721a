/** A game: the budget as it runs, a tool to call, what the tools told, and the verdict that ends it. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { ReportView } from "./ReportView";
import { ToolForm } from "./ToolForm";
import { TruthView } from "./TruthView";
import { VerdictForm } from "./VerdictForm";

export type Game = Schemas["PersonGame"];

interface GameSheetProps {
  /** Of the game's run. */
  name: string;
  tool: string;
  setTool: (tool: string) => void;
  ended: () => void;
}

export function GameSheet({ name, tool, setTool, ended }: GameSheetProps) {
  const query = new URLSearchParams({ game: name }).toString();
  const { value, error } = useServer<Game>(`/v1/workbench/audit/game?${query}`);
  const [after, setAfter] = useState<Game | null>(null);
  const [marked, setMarked] = useState<readonly string[]>([]);
  const game = after ?? value;
  const level = game?.level;
  const tools = useServer<Schemas["ToolList"]>(level ? `/v1/workbench/audit/tools?level=${level}` : null);
  if (error && !game) return <ErrorNote text={error} />;
  if (!game) return <p className="quiet">Reading…</p>;
  const spent = game.reports.reduce((sum, report) => sum + report.price.tokens, 0);
  const seconds = game.reports.reduce((sum, report) => sum + report.price.seconds, 0);
  const play = async (path: string, body: unknown) => {
    const next = await askJson<Game>(`/v1/workbench/audit/${path}`, { body });
    setAfter(next);
    if (next.decided) ended();
  };
  return (
    <>
      <header className="sheet-head">
        <h2>
          {game.set} · {game.name}
        </h2>
        <span className="quiet">
          access {game.level}; sealed as {game.commitment.slice(0, 12)}
        </span>
      </header>
      <Budget spent={spent} tokens={game.tokens} seconds={seconds} calls={game.reports.length} />
      {game.truth && <TruthView game={game} spent={spent} />}
      {!game.decided && tools.error && <ErrorNote text={tools.error} />}
      {!game.decided && tools.value && (
        <div className="game-desk">
          <ToolForm
            tools={tools.value.tools}
            tool={tool}
            setTool={setTool}
            call={(called, ask) => play("moves", { game: name, tool: called, ask })}
          />
          <VerdictForm
            marked={marked}
            decide={(verdict) => play("verdicts", { ...verdict, game: name, evidence: marked })}
          />
        </div>
      )}
      <section>
        <h2>What the tools told</h2>
        {game.reports.length === 0 && <p className="quiet">Nothing yet.</p>}
        {[...game.reports].reverse().map((report, number) => (
          <ReportView
            key={game.reports.length - number}
            report={report}
            number={game.reports.length - number}
            open={number === 0}
            marked={marked}
            {...(game.decided
              ? {}
              : {
                  mark: (id: string) =>
                    setMarked(marked.includes(id) ? marked.filter((one) => one !== id) : [...marked, id]),
                })}
          />
        ))}
      </section>
    </>
  );
}

interface BudgetProps {
  spent: number;
  tokens: number;
  seconds: number;
  calls: number;
}

function Budget({ spent, tokens, seconds, calls }: BudgetProps) {
  const left = Math.max(0, tokens - spent);
  return (
    <div className="budget">
      <meter
        aria-label="Tokens that are left"
        min={0}
        max={tokens}
        low={tokens / 10}
        optimum={tokens}
        value={left}
      />
      <span>
        <b>{left.toLocaleString("en-GB")}</b> of {tokens.toLocaleString("en-GB")} tokens are left
      </span>
      <span className="quiet">
        {calls} {calls === 1 ? "call" : "calls"}, {Math.round(seconds)} s of computing
      </span>
    </div>
  );
}
