/**
 * TLS sessions of servers, with which the next handshake needs neither certificates nor a second round trip (TLS 1.2).
 * A server's certificate is not checked again in such a handshake: so a session is kept for the options that it was
 * checked with, for no others, and until that certificate expires.
 */
import type { ConnectionOptions } from "node:tls";

export interface TlsSession {
  readonly session: Buffer;
  /** When the server's certificate expires, in milliseconds since 1970. */
  readonly untilMs: number;
}

interface Kept {
  /** The options as they were. */
  readonly options: ReadonlyMap<string, unknown>;
  /** By endpoint, the oldest first. */
  readonly sessions: Map<string, TlsSession>;
}

const MOST_ENDPOINTS = 100;
/**
 * Options with which no session is reused: the application checks certificates or keys by itself, or has sessions of
 * its own.
 */
const OWN = ["checkServerIdentity", "pskCallback", "session"] as const;

/** Functions that give new options for each attempt leave nothing here: sessions go with the object they belong to. */
export class TlsSessions {
  readonly #byOptions = new WeakMap<ConnectionOptions, Kept>();
  readonly #wallMs: () => number;

  /** @param wallMs milliseconds since 1970 */
  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /**
   * For one handshake. A session is used once: if the handshake fails, it is gone. `keep` keeps one for the options as
   * they are now: if the application changes them meanwhile, nobody is given that session.
   */
  take(
    options: ConnectionOptions,
    endpoint: string,
  ): { before: TlsSession | undefined; keep: (session: TlsSession) => void } {
    const sessions = this.#sessionsOf(options);
    if (sessions === undefined) return { before: undefined, keep: () => {} };
    const kept = sessions.get(endpoint);
    sessions.delete(endpoint);
    const before = kept !== undefined && kept.untilMs > this.#wallMs() ? kept : undefined;
    const keep = (session: TlsSession): void => {
      sessions.delete(endpoint);
      sessions.set(endpoint, session);
      if (sessions.size <= MOST_ENDPOINTS) return;
      const [oldest = endpoint] = sessions.keys();
      sessions.delete(oldest);
    };
    return { before, keep };
  }

  /** The sessions of these options; none any more if the application has changed one of them since. */
  #sessionsOf(options: ConnectionOptions): Kept["sessions"] | undefined {
    if (OWN.some((name) => options[name] !== undefined)) return undefined;
    const before = this.#byOptions.get(options);
    if (before !== undefined && isSame(before.options, options)) return before.sessions;
    const kept: Kept = { options: copyOf(options), sessions: new Map() };
    this.#byOptions.set(options, kept);
    return kept.sessions;
  }
}

function copyOf(options: ConnectionOptions): Map<string, unknown> {
  return new Map(Object.entries(options).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value]));
}

function isSame(before: ReadonlyMap<string, unknown>, options: ConnectionOptions): boolean {
  const now = Object.entries(options);
  return (
    now.length === before.size && now.every(([name, value]) => before.has(name) && isSameValue(before.get(name), value))
  );
}

function isSameValue(before: unknown, now: unknown): boolean {
  if (!Array.isArray(before) || !Array.isArray(now)) return before === now;
  return before.length === now.length && before.every((each, at) => each === now[at]);
}
