/** Meters of an answer: the mean reading of each feature, with its alarm line where there is one. */

import { formatNumber } from "../state/format";
import { type ReadAnswer, thresholdsOf } from "./answers";
import { type Scale, meanOf } from "./tokens";

interface MetersProps {
  answer: ReadAnswer;
  colour: string;
  scales: Readonly<Record<string, Scale>>;
}

interface Meter extends Scale {
  name: string;
  mean: number;
  threshold: number | null;
}

function listMeters(answer: ReadAnswer, scales: MetersProps["scales"]): Meter[] {
  const thresholds = thresholdsOf(answer);
  return Object.entries(answer.readings).flatMap(([name, values]) => {
    const mean = meanOf(values);
    const scale = scales[name];
    return mean === null || !scale ? [] : [{ name, mean, threshold: thresholds[name] ?? null, ...scale }];
  });
}

export function Meters({ answer, colour, scales }: MetersProps) {
  const meters = listMeters(answer, scales);
  const events = answer.reply?.events ?? [];
  if (!meters.length) return null;
  return (
    <div className="meters">
      {meters.map(({ name, mean, low, high, threshold }) => {
        const span = high - low || 1;
        const place = (value: number) => 100 * ((value - low) / span);
        const raised = events.some((event) => event.feature === name && event.kind === "crossed");
        return (
          <div key={name} className={`meter${name === colour ? " chosen" : ""}${raised ? " raised" : ""}`}>
            <span className="name">{name}</span>
            <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
              <rect className="track" x="0" y="3" width="100" height="2" />
              <rect
                className="bar"
                x={Math.min(place(0), place(mean))}
                y="1.5"
                width={Math.abs(place(mean) - place(0))}
                height="5"
              />
              {threshold !== null && <rect className="line" x={place(threshold) - 0.4} y="0" width="0.8" height="8" />}
            </svg>
            <span className="value">
              {formatNumber(mean)}
              {threshold !== null && <span className="quiet"> line {formatNumber(threshold)}</span>}
            </span>
          </div>
        );
      })}
      {events.map((event, number) => (
        <p key={number} className={`event ${event.kind}`}>
          {event.feature} {event.kind === "crossed" ? "crossed its line" : "fell below it again"}
          {event.token === null ? " before the answer" : ` at token ${event.token + 1}`}: {formatNumber(event.value)}
        </p>
      ))}
    </div>
  );
}
