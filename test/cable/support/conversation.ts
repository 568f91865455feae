/**
 * Two applications in two processes on two hosts that talk to each other all the time, and exactly what must arrive.
 * What their links went through is printed, as an operator would read it.
 */
import { expect, inject, onTestFinished } from "vitest";

import type { OpenOptions } from "../../../src/index.ts";
import { type Cable, type Host, layCable } from "./hosts.ts";
import { PeerProcess, type Transition } from "./peer-process.ts";

export const PORT = 7_000;
const TALK_EVERY_MS = 10;

/** No cable can be had here, and that is expected: nothing is tested. */
export const UNAVAILABLE: boolean = inject("noCable")?.isExpected === true;

/** A filter: what a NAT or a firewall lets through that was started anew: connections that begin now. */
export const KNOWS_NOBODY =
  "ct state new tcp flags & (fin|syn|rst|ack) != syn counter drop\nct state invalid counter drop";

/** The connection that was suspect has answered, or another one has taken over: which of them is quicker is luck. */
const BACK: unknown = expect.stringMatching(/^connected \((answered|standby)\)$/u);

/** What a link went through that has noticed a silence. */
export const NOTICED: readonly unknown[] = ["suspect (no evidence)", BACK];

/** The link has noticed silences, at least so many, and nothing else has happened to it. */
export function expectSilences(states: readonly string[], atLeast: number): void {
  expect(states.length).toBeGreaterThanOrEqual(NOTICED.length * atLeast);
  expect(states).toEqual(states.map((_, n) => NOTICED[n % NOTICED.length]));
}

/** Notices within three seconds, or two while data is under way, what the defaults notice within twenty. */
export const WATCHFUL = { pingAfterMs: 1_000, suspectAfterMs: 2_000 };

export class Conversation {
  readonly cable: Cable;
  readonly client: PeerProcess;
  server: PeerProcess;
  /** What the test did, and when. */
  readonly #deeds: Array<{ atMs: number; deed: string }> = [];

  constructor(cable: Cable, server: PeerProcess, client: PeerProcess) {
    this.cable = cable;
    this.server = server;
    this.client = client;
    onTestFinished(() => console.log(this.story()));
  }

  /** Both talk, from now on until `finish()`. */
  async talk(): Promise<void> {
    for (const peer of [this.client, this.server]) await peer.order({ order: "talk", everyMs: TALK_EVERY_MS });
  }

  /** Resolves when each has received more from the other than until now. */
  async isHeard(): Promise<void> {
    await Promise.all([
      this.client.has("server", this.client.received("server").length + 5),
      this.server.has("client", this.server.received("client").length + 5),
    ]);
  }

  /** For the printed story. Answers when it was. */
  did(deed: string): number {
    const atMs = Date.now();
    this.#deeds.push({ atMs, deed });
    return atMs;
  }

  /** For how long, at the most, nobody heard anything of the other since then. */
  silenceMs(sinceMs: number): number {
    const heard = [this.client, this.server].flatMap((peer) => {
      const arrivals = peer.reports.filter(({ is, atMs }) => is === "received" && atMs >= sinceMs);
      return arrivals.map(({ atMs }, n) => atMs - (arrivals[n - 1]?.atMs ?? sinceMs));
    });
    return Math.max(...heard);
  }

  /**
   * Both come to their end: nothing was lost, doubled or reordered, in one session. Answers what the links went through
   * from the first connection until the close.
   */
  async finish(): Promise<{ client: string[]; server: string[] }> {
    const { client, server } = this;
    const toServer = (await client.order({ order: "rest" })).sent;
    const toClient = (await server.order({ order: "rest" })).sent;
    await Promise.all([server.has("client", toServer), client.has("server", toClient)]);
    await Promise.all([client.order({ order: "flush" }), server.order({ order: "flush" })]);
    const states = { client: client.transitions.slice(2).map(told), server: server.transitions.slice(1).map(told) };
    const ends = await Promise.all([client.order({ order: "finish" }), server.order({ order: "finish" })]);
    expect(server.received("client")).toEqual(upTo(toServer));
    expect(client.received("server")).toEqual(upTo(toClient));
    expect(Math.min(toServer, toClient)).toBeGreaterThan(0);
    expect(ends.map(({ ended }) => ended)).toEqual([{ undelivered: 0 }, { undelivered: 0 }]);
    expect(new Set([...client.transitions, ...server.transitions].map(({ session }) => session)).size).toBe(1);
    return states;
  }

  /** What was done and what became of the links, with milliseconds since what was done before. */
  story(): string {
    const steps = [
      ...this.#deeds.map(({ atMs, deed }) => ({ atMs, text: deed, isDeed: true })),
      ...this.client.transitions.slice(2).map((each) => ({ atMs: each.atMs, text: told(each), isDeed: false })),
      ...this.server.transitions
        .slice(1)
        .map((each) => ({ atMs: each.atMs, text: `server: ${told(each)}`, isDeed: false })),
    ].toSorted((a, b) => a.atMs - b.atMs);
    let sinceMs = steps[0]?.atMs ?? 0;
    const lines = steps.map(({ atMs, text, isDeed }) => {
      const line = `    ${`+${atMs - sinceMs}`.padStart(7)} ms  ${text}`;
      if (isDeed) sinceMs = atMs;
      return line;
    });
    const { currentTestName = "" } = expect.getState();
    return `cable: ${currentTestName}\n${lines.join("\n")}`;
  }
}

/** Both are connected. */
export async function connect(options: OpenOptions = {}): Promise<Conversation> {
  const noCable = inject("noCable");
  if (noCable !== undefined) throw new Error(noCable.reason);
  const cable = await layCable();
  onTestFinished(() => cable[Symbol.asyncDispose]());
  const server = await serve(cable.server, "server");
  const role = { role: "client", name: "client", host: cable.server.address, port: PORT, options } as const;
  const client = new PeerProcess(cable.client, role);
  onTestFinished(() => client.kill());
  await Promise.all([client.becomes("connected", { from: 0 }), server.becomes("connected", { from: 0 })]);
  return new Conversation(cable, server, client);
}

/** Both are connected, and talk. */
export async function converse(options: OpenOptions = {}): Promise<Conversation> {
  const talk = await connect(options);
  await talk.talk();
  await talk.isHeard();
  return talk;
}

/** A server that listens. */
export async function serve(host: Host, name: string): Promise<PeerProcess> {
  const server = new PeerProcess(host, { role: "server", name, host: host.address, port: PORT, options: {} });
  onTestFinished(() => server.kill());
  await server.until("listening", (report) => report.is === "log" && report.event === "server.listening");
  return server;
}

export function told({ to, reason }: Transition): string {
  return `${to} (${reason})`;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}
