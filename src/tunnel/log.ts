/** What the tunnel tells its operator. */
import type { Ending } from "./join.ts";
import { printable } from "../telemetry/printable.ts";
import type { Ends } from "./proxy-header.ts";
import { formatTarget } from "./target.ts";

export type Level = "info" | "warn" | "error";

/** Writes one line. `fields` are for programs, `text` is for people. */
export type TunnelLog = (level: Level, event: string, text: string, fields?: Readonly<Record<string, unknown>>) => void;

/** One connection of the tunnel, for its log line. */
export interface Carried {
  readonly ends: Ends | undefined;
  readonly to: string;
  /** Of the far end only. */
  readonly identity?: string | undefined;
}

/** One line for each connection, when it ends. `fromSocket` is what this end's own socket has sent. */
export function logEnding(log: TunnelLog, { ends, to, identity }: Carried, ending: Ending, sent: "up" | "down"): void {
  const { isWhole, reason, fromSocket, toSocket, survived } = ending;
  const [up, down] = sent === "up" ? [fromSocket, toSocket] : [toSocket, fromSocket];
  const seconds = round(ending.ms / 1_000);
  const survivedSeconds = round(survived.ms / 1_000);
  const cuts =
    survived.reconnects === 0
      ? ""
      : `, ${survived.reconnects} reconnects, ${survivedSeconds} s without a path survived`;
  log(
    isWhole ? "info" : "warn",
    "tunnel.connection",
    `${callText({ ends, to, identity })}: ${reason} after ${seconds} s; ${up} bytes up, ${down} down${cuts}`,
    {
      ...callFields({ ends, to, identity }),
      isWhole,
      reason,
      bytesUp: up,
      bytesDown: down,
      seconds,
      reconnects: survived.reconnects,
      survivedSeconds,
    },
  );
}

/** The target was not connected. */
export function logRefused(log: TunnelLog, call: Carried, code: string, why: string): void {
  log("warn", "tunnel.refused", `${callText(call)}: ${code}: ${why}`, { ...callFields(call), code });
}

/** Who wants to reach what. The texts are those of another process. */
function callText({ ends, to, identity }: Carried): string {
  const who = identity === undefined ? sourceText(ends) : `${printable(identity)} ${sourceText(ends)}`;
  return `${who} -> ${printable(to)}`;
}

function callFields({ ends, to, identity }: Carried): Record<string, unknown> {
  return { from: sourceText(ends), to, ...(identity === undefined ? {} : { identity }) };
}

export function sourceText(ends: Ends | undefined): string {
  if (ends === undefined) return "no address";
  const { address: host, port } = ends.source;
  return printable(formatTarget({ host, port }));
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
