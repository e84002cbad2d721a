/** A chart of Observable Plot in React. Plot is loaded when the first chart is drawn. */

import type { PlotOptions } from "@observablehq/plot";
import { useEffect, useRef, useState } from "react";

type Plot = typeof import("@observablehq/plot");

export interface ChartProps {
  /** Said to those who do not see it. */
  label: string;
  /** What is drawn; keep it with useCallback, since another function draws the chart anew. */
  draw: (plot: Plot, width: number) => PlotOptions;
  className?: string;
}

export function Chart({ label, draw, className = "" }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const { current } = place;
    if (!current) return;
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    watcher.observe(current);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    const { current } = place;
    if (!current || width === 0) return;
    let dropped = false;
    void import("@observablehq/plot").then((plot) => {
      if (dropped) return;
      // The policy of the pages lets exactly the style of this class name be used.
      const chart = plot.plot({ width, className: "plot", ...draw(plot, width) });
      chart.setAttribute("aria-hidden", "true"); // the place around it is the picture, and has its name
      current.replaceChildren(chart);
    });
    return () => {
      dropped = true;
    };
  }, [draw, width]);
  return <div ref={place} className={`chart ${className}`} role="img" aria-label={label} />;
}
