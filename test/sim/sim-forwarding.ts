/** A server that forwards connections to the servers that have their sessions, and takes those that others forward. */
import type { Clock } from "../../src/link/ports.ts";
import { relay } from "../../src/server/forward/relay.ts";
import { SimConnection } from "../../src/testing/sim-connection.ts";
import type { SimSocket } from "../../src/testing/network.ts";
import type { ElsewhereEvent, ServerCore } from "../../src/core/server/server.ts";
import type { Random } from "./random.ts";
import type { Stage } from "./stage.ts";

const REACHED_WITHIN_MS = 2_000;
/** So often the kernel asks whether the other server still has the connection: it may not hear of the close. */
const KEEP_ALIVE_MS = 30_000;

/** A relay needs a clock for half-closed connections only, and there are none here. */
const NO_CLOCK = { now: () => 0, timer: () => ({ set: () => {}, clear: () => {} }) } as unknown as Clock;

/** The server that it belongs to. */
interface Owner {
  readonly stage: Stage;
  readonly random: Random;
  readonly core: ServerCore;
  readonly isUp: boolean;
  readonly nowMs: number;
  input(what: () => void): void;
  later(ms: number, what: () => void): void;
  /** Something else has the socket from now on. */
  release(channel: number): void;
}

export class SimForwarding {
  readonly #server: Owner;
  readonly #relayed = new Set<SimSocket>();
  /** Where servers reach this one while it lives. */
  address = "";

  constructor(server: Owner) {
    this.#server = server;
  }

  start(serverId: string, accept: (socket: SimSocket) => void): void {
    this.address = addressOf(serverId);
    this.#server.stage.network.listen(this.address, accept);
  }

  die(): void {
    this.#server.stage.network.unlisten(this.address);
    for (const socket of this.#relayed) socket.destroy();
    this.#relayed.clear();
  }

  forward({ channel, serverId }: ElsewhereEvent, inner: SimSocket): void {
    const server = this.#server;
    const { core, stage } = server;
    let isOver = false;
    const settle = (how: string, then: () => void): void => {
      if (isOver) return;
      isOver = true;
      stage.count(`forward: ${how}`);
      then();
    };
    const failed = (): void => settle("unreachable", () => core.notForwarded(channel, "unreachable", server.nowMs));
    if (server.random() < stage.options.forward.unreachable) return server.later(REACHED_WITHIN_MS, failed);
    server.later(REACHED_WITHIN_MS, failed);
    stage.network.dial(
      addressOf(serverId),
      (outer) => {
        this.#relayed.add(outer);
        if (server.core !== core || !server.isUp) return outer.destroy();
        stage.forwarded(inner.wire, outer.wire);
        server.input(() => {
          if (isOver) outer.destroy();
          settle("reached", () => this.#relay(channel, inner, outer));
        });
      },
      () => server.input(() => settle("nobody", () => core.nobodyThere(channel, server.nowMs))),
      inner.wire.from,
    );
  }

  /** What it writes has been cut anywhere, not between frames. */
  isRelayed(socket: SimSocket): boolean {
    return this.#relayed.has(socket);
  }

  #relay(channel: number, inner: SimSocket, outer: SimSocket): void {
    const server = this.#server;
    const { core } = server;
    const first = core.forwarded(channel);
    if (first === undefined) return outer.destroy();
    server.release(channel);
    this.#relayed.add(inner);
    relay({ from: new SimConnection(inner, ""), to: new SimConnection(outer, ""), first }, NO_CLOCK, (reason) => {
      this.#relayed.delete(inner);
      this.#relayed.delete(outer);
      core.connectionClosed(channel, reason, server.nowMs);
    });
    this.#keepAlive(outer);
    for (const socket of [inner, outer]) {
      const { onData, onDrain, onClose } = socket.events;
      socket.events = {
        onData: (chunk) => server.input(() => onData(chunk)),
        onDrain: () => server.input(onDrain),
        onClose: (reason) => server.input(() => onClose(reason)),
      };
    }
  }

  #keepAlive(outer: SimSocket): void {
    this.#server.later(KEEP_ALIVE_MS, () => {
      if (!this.#relayed.has(outer)) return;
      if (outer.wire.server.closed) outer.kill("ETIMEDOUT");
      else this.#keepAlive(outer);
    });
  }
}

function addressOf(serverId: string): string {
  return `server ${serverId}`;
}
