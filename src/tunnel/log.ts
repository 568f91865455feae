/** What the tunnel tells its operator. */
import type { Ending } from "./join.ts";
import type { Peer } from "./records.ts";

export type Level = "info" | "warn" | "error";

/** Writes one line. `fields` are for programs, `text` is for people. */
export type TunnelLog = (level: Level, event: string, text: string, fields?: Readonly<Record<string, unknown>>) => void;

/** One connection of the tunnel, for its log line. */
export interface Carried {
  readonly from: Peer | undefined;
  readonly to: string;
  /** Of the far end only. */
  readonly identity?: string | undefined;
}

/** One line for each connection, when it ends. `fromSocket` is what this end's own socket has sent. */
export function logEnding(log: TunnelLog, { from, to, identity }: Carried, ending: Ending, sent: "up" | "down"): void {
  const { isWhole, reason, fromSocket, toSocket, survived } = ending;
  const [up, down] = sent === "up" ? [fromSocket, toSocket] : [toSocket, fromSocket];
  const seconds = round(ending.ms / 1_000);
  const survivedSeconds = round(survived.ms / 1_000);
  const who = identity === undefined ? peerText(from) : `${identity} ${peerText(from)}`;
  const cuts =
    survived.reconnects === 0 ? "" : `, ${survived.reconnects} reconnects, ${survivedSeconds} s without a path survived`;
  log(
    isWhole ? "info" : "warn",
    "tunnel.connection",
    `${who} -> ${to}: ${reason} after ${seconds} s; ${up} bytes up, ${down} down${cuts}`,
    {
      from: peerText(from),
      to,
      ...(identity === undefined ? {} : { identity }),
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

export function peerText(peer: Peer | undefined): string {
  if (peer === undefined) return "unix";
  return peer.address.includes(":") ? `[${peer.address}]:${peer.port}` : `${peer.address}:${peer.port}`;
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
