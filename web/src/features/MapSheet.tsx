/** The map of a dictionary: every latent that is ever active is a dot, and what writes alike lies together. */

import { type MouseEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { type Place, findNearest, fitPlaces } from "./map";

interface MapSheetProps {
  dictionary: string;
  feature: number;
  choose: (feature: number) => void;
}

const HEIGHT = 460;
/** How many pixels a click may be away from a dot. */
const REACH = 14;
const MOST_CLUSTERS = 24;

export function MapSheet({ dictionary, feature, choose }: MapSheetProps) {
  const path = `/v1/workbench/feature-map?${new URLSearchParams({ dictionary }).toString()}`;
  const { value: map, error } = useServer<Schemas["LatentMap"]>(path);
  const [cluster, setCluster] = useState(-1);
  if (error) return <ErrorNote text={error} />;
  if (!map) return <p className="quiet">Laying the map out, which takes a while the first time…</p>;
  return (
    <section>
      <h2>Map of {dictionary}</h2>
      <p className="quiet">
        {map.features.length.toLocaleString("en-GB")} latents by what they write ({map.method}); a click opens the
        nearest one.
      </p>
      <MapCanvas map={map} feature={feature} cluster={cluster} choose={choose} />
      <div className="clusters" role="group" aria-label="Clusters">
        {map.clusters.slice(0, MOST_CLUSTERS).map(({ name, size }, number) => (
          <button
            key={number}
            type="button"
            className="small"
            aria-pressed={number === cluster}
            onClick={() => setCluster(number === cluster ? -1 : number)}
          >
            {name} <span className="quiet">{size}</span>
          </button>
        ))}
      </div>
      {cluster >= 0 && (
        <p className="members">
          {map.features
            .filter((one) => one.cluster === cluster)
            .slice(0, 60)
            .map((one) => (
              <button key={one.feature} type="button" className="small" onClick={() => choose(one.feature)}>
                {one.feature}
              </button>
            ))}
        </p>
      )}
    </section>
  );
}

interface MapCanvasProps extends Omit<MapSheetProps, "dictionary"> {
  map: Schemas["LatentMap"];
  cluster: number;
}

function MapCanvas({ map, feature, cluster, choose }: MapCanvasProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const places = useMemo<Place[]>(() => fitPlaces(map.features, width, HEIGHT), [map, width]);
  useEffect(() => {
    const { current } = canvas;
    if (!current) return;
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    watcher.observe(current);
    return () => watcher.disconnect();
  }, []);
  useEffect(() => {
    const { current } = canvas;
    const context = current?.getContext("2d");
    if (!current || !context || width === 0) return;
    const scale = window.devicePixelRatio || 1;
    current.width = width * scale;
    current.height = HEIGHT * scale;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(current);
    const colours = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"].map((name) => style.getPropertyValue(name));
    for (const place of places) {
      const isFaint = cluster >= 0 && place.cluster !== cluster;
      context.globalAlpha = isFaint ? 0.12 : place.cluster < 0 ? 0.35 : 0.75;
      context.fillStyle =
        place.cluster < 0 ? style.getPropertyValue("--muted") : (colours[place.cluster % colours.length] ?? "");
      context.beginPath();
      context.arc(place.x, place.y, 2.2, 0, 2 * Math.PI);
      context.fill();
    }
    const chosen = places.find((place) => place.feature === feature);
    if (chosen) {
      context.globalAlpha = 1;
      context.strokeStyle = style.getPropertyValue("--ink");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(chosen.x, chosen.y, 6, 0, 2 * Math.PI);
      context.stroke();
    }
  }, [places, cluster, feature, width]);
  const open = useCallback(
    (event: MouseEvent<HTMLCanvasElement>) => {
      const box = event.currentTarget.getBoundingClientRect();
      const nearest = findNearest(places, event.clientX - box.left, event.clientY - box.top, REACH);
      if (nearest) choose(nearest.feature);
    },
    [places, choose],
  );
  return (
    <canvas
      ref={canvas}
      className="feature-map"
      height={HEIGHT}
      role="img"
      aria-label={`${map.features.length} latents on a plane, in ${map.clusters.length} clusters, which are listed below`}
      onClick={open}
    />
  );
}
