/**
 * Two applications that talk through a proxy, in both directions at once, and know exactly what must arrive: numbered
 * messages, each checked for its number, size and content.
 */
import { expect } from "vitest";

import {
  ConnectionManager,
  type Link,
  type OpenOptions,
  ServerSupervisor,
  type ServerSupervisorOptions,
} from "resplice";

import { Flow } from "../../flow.ts";
import { type ChaosProxy, openProxy, type ProxyOptions } from "./proxy.ts";

export interface ConversationOptions {
  client?: OpenOptions;
  server?: Partial<ServerSupervisorOptions>;
  proxy?: Partial<ProxyOptions>;
  /** Faults that are there before the first connection. */
  prepare?: (proxy: ChaosProxy) => Promise<void>;
  /** Payload bytes of message `number`. Default 100. */
  sizeOf?: (number: number) => number;
  /** Does not listen until `listen()` is called, on `port`. */
  port?: number;
}

export interface Conversation extends AsyncDisposable {
  readonly supervisor: ServerSupervisor;
  readonly manager: ConnectionManager;
  readonly proxy: ChaosProxy;
  readonly link: Link;
  /** The server's end; rejects if the link ends first. */
  readonly serverLink: Promise<Link>;
  readonly toServer: Flow;
  readonly toClient: Flow;
  /** Every state that the client's link went through, with its reason. */
  readonly states: Array<{ to: string; reason: string; session?: string }>;
  /** How many links the server's handler was given. */
  serverLinks(): number;
  listen(): Promise<void>;
  /** Sends so many messages each way and waits until they have arrived. */
  exchange(count: number): Promise<void>;
  /** Closes both ends, and checks that nothing was lost, doubled or reordered, in one session. */
  finish(): Promise<void>;
}

export async function converse(options: ConversationOptions = {}): Promise<Conversation> {
  const sizeOf = options.sizeOf ?? (() => 100);
  const toServer = new Flow(sizeOf);
  const toClient = new Flow(sizeOf);
  const served = Promise.withResolvers<Link>();
  const failures: unknown[] = [];
  let links = 0;
  const supervisor = new ServerSupervisor({ port: options.port ?? 0, host: "127.0.0.1", ...options.server });
  supervisor.serve((link) => {
    links++;
    link.onMessage((message) => toServer.take(message));
    link.on("error", (error) => failures.push(error));
    served.resolve(link);
  });
  const port = options.port ?? (await supervisor.listen()).port;
  const proxy = await openProxy({ upstreamPort: port, ...options.proxy });
  await options.prepare?.(proxy);
  const manager = new ConnectionManager();
  const link = manager.open({ host: proxy.host, port: proxy.port, ...options.client });
  link.onMessage((message) => toClient.take(message));
  link.on("error", (error) => failures.push(error));
  const states: Conversation["states"] = [];
  link.on("state", (change) => {
    states.push({ to: change.to, reason: change.reason, ...("session" in change ? { session: change.session } : {}) });
  });

  return {
    supervisor,
    manager,
    proxy,
    link,
    serverLink: served.promise,
    toServer,
    toClient,
    states,
    serverLinks: () => links,
    listen: async () => {
      await supervisor.listen();
    },
    exchange: async (count) => {
      const serverLink = await served.promise;
      await Promise.all([toServer.send(link, count), toClient.send(serverLink, count)]);
      await Promise.all([toServer.whole, toClient.whole]);
    },
    finish: async () => {
      const serverLink = await served.promise;
      await Promise.all([toServer.whole, toClient.whole, link.flush(), serverLink.flush()]);
      const [client, server] = await Promise.all([link.close({ deadlineMs: 60_000 }), serverLink.closed]);
      expect(failures).toEqual([]);
      expect(client).toEqual({ undelivered: [] });
      expect(server).toEqual({ undelivered: [] });
      expect(links).toBe(1);
      expect(toServer.received).toBe(toServer.sent);
      expect(toClient.received).toBe(toClient.sent);
    },
    [Symbol.asyncDispose]: async () => {
      await manager.close({ deadlineMs: 0 });
      await supervisor.close({ deadlineMs: 0 });
      await proxy.close();
    },
  };
}
