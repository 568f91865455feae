/** The whole page. */
import { html } from "htm/preact";
import type { VNode } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Frame } from "../src/monitor/live/messages.ts";
import { type Looked, lookedAt, queryOf } from "./address.ts";
import { Charts } from "./charts.ts";
import { duration, plural } from "./format.ts";
import { Happened } from "./happened.ts";
import { Links } from "./links.ts";
import { Sources } from "./sources.ts";
import { type Contact, FrameStream } from "./stream.ts";

/** Whoever types is not answered for each letter. */
const TYPED_MS = 200;
/** Numbers are told to a screen reader this often at most. */
const SAID_EVERY_MS = 5_000;

const CONTACTS: Readonly<Record<Contact, string>> = {
  connecting: "connecting …",
  live: "live",
  lost: "no answer: trying again",
  refused: "refused, or too many viewers: trying again",
};

export function App(): VNode {
  const [frame, setFrame] = useState<Frame>();
  const [held, setHeld] = useState<Frame>();
  const [contact, setContact] = useState<Contact>("connecting");
  const [looked, setLooked] = useState(() => lookedAt(location.search));
  const stream = useMemo(() => new FrameStream(setFrame, setContact), []);
  const query = queryOf(looked);
  const filter = useRef(looked.filter);
  useEffect(() => {
    const isTyped = filter.current !== looked.filter;
    filter.current = looked.filter;
    const open = (): void => {
      history.replaceState(undefined, "", query === "" ? "./" : `?${query}`);
      stream.open(query);
    };
    const timer = setTimeout(open, isTyped ? TYPED_MS : 0);
    return () => clearTimeout(timer);
  }, [query, looked.filter, stream]);
  const look = (changes: Partial<Looked>): void => {
    setHeld(undefined);
    setLooked((before) => ({ ...before, ...changes }));
  };
  const shown = held ?? frame;
  return html`
    <header class="top">
      <h1>resplice</h1>
      ${shown && html`<span class="dim">process ${shown.pid} · watched for ${duration(shown.atMs - shown.beganMs)}</span>`}
      <span class="space"></span>
      <span class=${`contact ${contact}`} role="status"><i class="dot"></i>${CONTACTS[contact]}</span>
      <button
        type="button"
        aria-pressed=${held !== undefined}
        disabled=${frame === undefined}
        onClick=${() => setHeld(held === undefined ? frame : undefined)}
      >
        ${held === undefined ? "Pause" : "Go on"}
      </button>
    </header>
    <main class=${contact === "live" ? "" : "stale"}>
      ${
        shown &&
        html`
          <${Said} frame=${shown} />
          <${Sources} sources=${shown.sources} />
          <${Charts} points=${shown.points} />
          <${Links} frame=${shown} looked=${looked} look=${look} />
          <${Happened} happened=${shown.happened} sources=${shown.sources} />
        `
      }
    </main>
  `;
}

/** How many links have no connection, for screen readers and in the title of the page, when that changes. */
function Said({ frame }: { frame: Frame }): VNode {
  const [said, say] = useState("");
  const lastMs = useRef(-Infinity);
  const away = Object.values(frame.points).at(-1)?.[8] ?? 0;
  const words = away === 0 ? "all links have a connection" : `${plural(away, "link")} without a connection`;
  useEffect(() => {
    document.title = away === 0 ? "resplice" : `(${away}) resplice`;
  }, [away]);
  useEffect(() => {
    const waitMs = lastMs.current + SAID_EVERY_MS - performance.now();
    const timer = setTimeout(
      () => {
        lastMs.current = performance.now();
        say(words);
      },
      Math.max(0, waitMs),
    );
    return () => clearTimeout(timer);
  }, [words]);
  return html`<p class="unseen" aria-live="polite">${said}</p>`;
}
