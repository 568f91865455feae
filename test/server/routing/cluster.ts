/** A cluster in one process: the channel between its router and a worker takes messages, and sockets, as they are. */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { ToRouter, ToServer } from "../../../src/server/routing/messages.ts";
import type { RouterChannel } from "../../../src/server/routing/routed.ts";
import type { WorkerChannel, Workers } from "../../../src/server/routing/router.ts";
import { Arrivals } from "../../support.ts";

export interface Sent {
  message: ToServer;
  socket: Socket | undefined;
  /** As Node does when the channel has it. */
  done: (error: Error | null) => void;
}

export class FakeWorker implements WorkerChannel {
  /** What the router has sent, and nobody has taken: the worker is busy. */
  readonly sent = new Arrivals<Sent>();
  readonly #cluster: FakeCluster;

  constructor(cluster: FakeCluster) {
    this.#cluster = cluster;
  }

  send(message: ToServer, socket: Socket | undefined, _: undefined, done: (error: Error | null) => void): void {
    this.sent.put({ message, socket, done });
  }

  say(say: ToRouter["say"], serverId: string, port = 0): void {
    this.#cluster.emit("message", this, { resplice: "to-router", say, port, serverId });
  }

  /** Answers the connection that comes next. */
  async next(): Promise<Sent & { socket: Socket }> {
    const sent = await this.sent.next();
    if (sent.socket === undefined) throw new Error(`no connection, but ${sent.message.say}`);
    return { ...sent, socket: sent.socket };
  }
}

export class FakeCluster extends EventEmitter implements Workers {
  readonly isPrimary = true;
  readonly workers: Record<string, FakeWorker> = {};

  worker(): FakeWorker {
    const worker = new FakeWorker(this);
    this.workers[Object.keys(this.workers).length] = worker;
    return worker;
  }
}

/** The end of a worker. */
export class FakeChannel extends EventEmitter implements RouterChannel {
  readonly said: ToRouter[] = [];
  readonly send = (message: ToRouter): void => void this.said.push(message);

  hear(message: unknown, handle?: unknown): void {
    this.emit("message", message, handle);
  }
}
