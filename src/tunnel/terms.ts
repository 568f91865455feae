/** What both ends of a tunnel agree on: the options of their links, and how a near end introduces itself. */
import { type DurableOptions, KiB, type LinkOptions, MiB, type Resources } from "../index.ts";

/**
 * An outage with twenty uploads holds some megabytes: a link takes little ahead of its connection, and has at most the
 * window under way.
 */
export const LINK_OPTIONS: Readonly<Pick<LinkOptions & DurableOptions, "mode" | "queue" | "window">> = {
  mode: "bytes",
  queue: { maxBytes: 256 * KiB },
  window: { minBytes: 256 * KiB, maxBytes: 2 * MiB },
};

/** A busy event loop delays connections; to refuse them would fail them, as nobody dials again for an application. */
export const RESOURCES: Resources = { lag: false };

/** "control": one for each near end, which carries nothing, and notices a silent path for all others. */
export type Role = "control" | "carrier";

/** The open payload of a link. */
export interface Introduction {
  readonly role: Role;
  /** Of the near end's process: random. */
  readonly instance: string;
  /** As its operator calls it; undefined: it has no name. */
  readonly name: string | undefined;
}

/** With which code a far end aborts a link whose connection is not the reason. */
export const ABORTED = {
  /** Whoever opened the link is no near end of this version. */
  stranger: "no-tunnel",
  tooManyFree: "too-many-spares",
  tooManyControls: "too-many-near-ends",
  closing: "far-end-closing",
  /** A new process has the name of this near end. */
  restarted: "near-end-restarted",
} as const;

const VERSION = 1;
/** Of a name, and of what stands for a process. */
const MOST_CHARACTERS = 256;

export function introduce({ role, instance, name }: Introduction): string {
  return JSON.stringify({ tunnel: VERSION, role, instance, name });
}

/** Undefined: no near end of a tunnel has written this, or one of another version. */
export function readIntroduction(payload: Uint8Array): Introduction | undefined {
  try {
    const given = JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown> | null;
    const { tunnel, role, instance, name } = given ?? {};
    const isRole = role === "control" || role === "carrier";
    if (tunnel !== VERSION || !isRole || !isShort(instance)) return undefined;
    if (name !== undefined && !isShort(name)) return undefined;
    return { role, instance, name };
  } catch {
    return undefined;
  }
}

function isShort(given: unknown): given is string {
  return typeof given === "string" && given.length <= MOST_CHARACTERS;
}
