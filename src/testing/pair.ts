/** Both ends of a durable link in one process, on a simulated network under virtual time. */
import { DialGate } from "../client/gate.ts";
import { resolveManagerOptions } from "../client/options.ts";
import { durableLink } from "../client/durable-link.ts";
import type { ClientLinkOwner } from "../client/link-owner.ts";
import { newId } from "../core/session/proof.ts";
import { LinkMemory } from "../io/budget.ts";
import { DEFAULT_CLOSE_MS } from "../link/closing.ts";
import type { Link } from "../link/types.ts";
import { Sessions } from "../server/sessions.ts";
import { Journal } from "../telemetry/journal.ts";
import { warnOfFailures } from "../telemetry/warning.ts";
import type { Faults } from "./faults.ts";
import { type LinkPairOptions, type ResolvedPairOptions, resolvePairOptions } from "./pair-options.ts";
import { PairPath } from "./pair-path.ts";
import { seeded, seededEntropy } from "./random.ts";
import { VirtualTime, type VirtualClock } from "./virtual-time.ts";

export type { LinkPairOptions, VirtualClock };

/**
 * Makes the two ends of a durable link in memory, connected, under a virtual clock: without sockets and without
 * waiting, and with the same run each time. Pass your handler as `serve`, or call it with `server`, and talk to it with
 * `client`.
 *
 * Both links are those that a ConnectionManager and a ServerSupervisor make, with backoff, keepalive, standbys, resumes
 * and lost sessions. The differences:
 *
 * - On a path without faults bytes take no time: a message arrives, and is acknowledged, while your test awaits
 *   anything. Everything that needs time (latency, backoff, keepalive, deadlines) needs `clock.advance()`.
 * - A fault takes effect in the next turns of the event loop: `await clock.advance(0)` waits for these.
 * - Nothing keeps the process alive: if your test waits for something that needs time, and does not advance the clock,
 *   Node exits.
 * - Runs are the same if your code waits for promises only. Real timers, files or sockets make them differ.
 *
 * @throws RespliceError INVALID_OPTION, and PROTOCOL_MISMATCH where the ends have different modes.
 *
 * @example
 * ```ts
 * const pair = linkPair({ seed: 1, serve: async (link) => link.send("welcome") });
 * pair.path.cut("rst");
 * await pair.clock.advance(1_000);
 * console.log(String(await pair.client.receive()));
 * ```
 */
export function linkPair(options: LinkPairOptions = {}): LinkPair {
  return new Pair(resolvePairOptions(options));
}

/** Disposal closes both ends at the same moment, as close() does, and stops the clock; that takes no real time. */
export interface LinkPair extends AsyncDisposable {
  /** The client's end. */
  readonly client: Link;
  /**
   * The server's end. When the session was lost or has expired, and the client has a new one: the link of the new one.
   */
  readonly server: Link;
  /** The path between the two ends, to be broken. */
  readonly path: Faults;
  /** The clock of both ends. Only `clock.advance()` moves it. */
  readonly clock: VirtualClock;
}

class Pair implements LinkPair {
  readonly client: Link;
  server!: Link;
  readonly path: PairPath;
  readonly clock: VirtualTime = new VirtualTime();
  readonly #opened: ClientLinkOwner;
  readonly #sessions: Sessions;
  #closing: Promise<void> | undefined;

  constructor({ seed, client, server, serve }: ResolvedPairOptions) {
    const random = seeded(seed);
    const entropy = seededEntropy(random);
    const { clock } = this;
    const journal = new Journal();
    journal.subscribe(warnOfFailures);
    this.#sessions = new Sessions(server, {
      clock,
      entropy,
      journal,
      onHandlerFailed: () => {},
      hearsHandlerErrors: () => false,
      onEnded: () => {},
      mayLinger: () => true,
    });
    this.#sessions.handler = (link) => {
      this.server = link;
      return serve(link);
    };
    const { handshakes } = this.#sessions;
    this.path = new PairPath(clock, random, (connection) => void handshakes.accept(connection));
    const { maxDialsInFlight, maxDialsPerSecond, maxBufferBytes } = resolveManagerOptions({});
    let ids = 0;
    this.#opened = durableLink(client, {
      clock,
      entropy,
      gate: new DialGate(clock, maxDialsInFlight, maxDialsPerSecond),
      dial: (_, { signal }) => this.path.dial(signal),
      nextId: () => ++ids,
      memory: new LinkMemory(maxBufferBytes),
      instance: newId(entropy),
      journal,
      onLeft: () => {},
      onBack: () => {},
      onLost: () => {},
      onCloseCalled: () => {},
      onEnded: () => {},
      onGone: () => {},
    });
    this.client = this.#opened.link;
    this.#connect();
  }

  /** Runs the first attempt of the client's dial loop, synchronously. */
  #connect(): void {
    const { dialer, engine } = this.#opened;
    this.path.open(
      (connection) => dialer.startOn(engine, connection),
      () => {},
    );
    while (this.clock.step(0));
    const [server] = this.#sessions.open;
    if (server === undefined || engine.state !== "connected") throw new Error("the two ends did not connect");
    this.server = server;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const links = new Set([this.client, this.server, ...this.#sessions.open]);
    let open = links.size;
    for (const link of links) {
      void link.close({ deadlineMs: DEFAULT_CLOSE_MS });
      void link.closed.then(() => open--);
    }
    try {
      await this.clock.advanceUntil(() => open === 0);
    } finally {
      const { core, driver } = this.#opened;
      core.abandon("closed");
      driver.run();
      this.#sessions.stop();
      this.clock.stop();
    }
  }
}
