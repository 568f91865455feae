/** A source without sockets, and what viewers are told, for tests of the live page. */
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import type { LinkState } from "../../../src/core/states.ts";
import type { Frame } from "../../../src/monitor/live/messages.ts";
import { patched, type Tree } from "../../../src/monitor/live/patch.ts";
import type { NamedSource } from "../../../src/monitor/sources.ts";
import type { Observed, ObservedLink } from "../../../src/telemetry/observed.ts";
import type { LinkChange } from "../../../src/telemetry/record.ts";
import { Telemetry } from "../../../src/telemetry/telemetry.ts";

type Stats = ReturnType<ObservedLink["link"]["stats"]>;

export class StandInLink implements ObservedLink {
  readonly id: string;
  readonly destination: unknown;
  state: LinkState = "connected";
  identity: string | undefined;
  remoteAddress: string | undefined = "10.0.0.7";
  numbers: Partial<Stats> = {};
  looks = 0;

  constructor(id: string, destination?: unknown) {
    this.id = id;
    this.destination = destination;
  }

  get link(): this {
    return this;
  }

  stats(): Stats {
    this.looks++;
    const none = { messages: 0, bytes: 0 };
    return {
      state: this.state,
      stateForMs: 5_000,
      rttMs: 1,
      reconnects: 0,
      recoveryMs: undefined,
      taken: none,
      accepted: none,
      received: none,
      undelivered: {},
      queue: none,
      logBytes: 0,
      windowBytes: 0,
      unacceptedBytes: 0,
      ...this.numbers,
    };
  }
}

export class StandInSource implements Observed {
  readonly kind = "server";
  readonly telemetry: Telemetry = new Telemetry(
    "server.metrics",
    { logger: undefined, metricsIntervalMs: 0 },
    { links: () => [], counts: () => ({ refused: { overloaded: 2, mismatch: 1 }, turnedAway: 4 }), levels: () => ({}) },
    () => 0,
  );
  all: StandInLink[];
  /** How often the list of links was asked for. */
  asked = 0;

  constructor(...ids: string[]) {
    this.all = ids.map((id) => new StandInLink(id));
  }

  get named(): NamedSource {
    return { name: "edge", observed: this };
  }

  links(): StandInLink[] {
    this.asked++;
    return this.all;
  }

  health(): ReturnType<Observed["health"]> {
    return { status: "healthy", reasons: [] };
  }

  limits(): object {
    return {};
  }

  /** The link's state changes, as its records say. */
  change(link: StandInLink, to: LinkState, reason = "ECONNRESET", error?: LinkChange["error"]): void {
    const from = link.state;
    link.state = to;
    const change = { from, to, reason, ...(error && { error }) };
    this.telemetry.journal.record({ event: "link.state", ids: { link: link.id, session: "" }, change });
    if (to === "closed") this.all = this.all.filter((each) => each !== link);
  }
}

/** An HTTP answer that nobody reads. */
export class StandInResponse extends EventEmitter {
  writableLength = 0;
  isEnded = false;
  readonly messages: Array<{ event: string; data: Tree }> = [];

  get response(): ServerResponse {
    return this as unknown as ServerResponse;
  }

  write(text: string): boolean {
    this.messages.push(...messagesOf(text));
    return true;
  }

  end(): void {
    this.isEnded = true;
  }

  /** All that it was told so far. */
  get frame(): Frame {
    return frameOf(this.messages);
  }
}

/** The complete messages of a text of server-sent events. */
export function messagesOf(text: string): Array<{ event: string; data: Tree }> {
  return [...text.matchAll(/^event: (\w+)\ndata: (.*)\n\n/gmu)].map(([, event = "", data = ""]) => ({
    event,
    data: JSON.parse(data) as Tree,
  }));
}

export function frameOf(messages: ReadonlyArray<{ event: string; data: Tree }>): Frame {
  let frame: Tree = {};
  for (const { event, data } of messages) frame = event === "whole" ? data : patched(frame, data);
  return frame as unknown as Frame;
}
