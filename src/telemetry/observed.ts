/** What can be seen of managers and servers from outside, without methods of theirs that nobody else should call. */
import type { LinkState } from "../core/states.ts";
import { publishRecords } from "./channels.ts";
import type { LinkSample, ResourceStats } from "./samples.ts";
import type { Telemetry } from "./telemetry.ts";

export type SourceKind = "manager" | "server" | "supervised";

/** A link, and at a client where it goes: a text, or what the application has given that has none. */
export interface ObservedLink {
  readonly link: {
    readonly id: string;
    readonly state: LinkState;
    readonly identity: string | undefined;
    readonly remoteAddress: string | undefined;
    stats(): LinkSample & { stateForMs: number; recoveryMs: number | undefined };
  };
  readonly destination?: unknown;
}

/** A manager, a supervisor or a supervised server, for those who render its numbers. */
export interface Observed {
  readonly kind: SourceKind;
  readonly telemetry: Telemetry;
  health(): { status: "healthy" | "degraded" | "down"; reasons: string[] };
  /** The caps that it keeps at present, by name. */
  limits(): object;
  /** Of a manager and a supervisor: the links that have not ended. */
  links?(): Iterable<ObservedLink>;
  /** Of a server: the resources that it watches, by name. */
  resources?(): Readonly<Record<string, ResourceStats>>;
}

const ALL = new WeakMap<object, Observed>();

/** From now on the owner's records are published, and it can be given to whoever renders numbers. */
export function observe(owner: object, observed: Observed): void {
  ALL.set(owner, observed);
  observed.telemetry.journal.subscribe(publishRecords(owner));
}

/** Undefined for anything else than a manager or a server of this copy of the package. */
export function observedOf(owner: unknown): Observed | undefined {
  return typeof owner === "object" && owner !== null ? ALL.get(owner) : undefined;
}
