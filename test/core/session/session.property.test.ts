import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameDecoder } from "../../../src/core/wire/decoder.ts";
import { frameMask } from "../../../src/core/wire/frame-rules.ts";
import { encodePositionsFrame, type Mode, type Positions } from "../../../src/core/wire/frames.ts";
import { Session } from "../../../src/core/session/session.ts";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";
import { CountingBudget } from "../support.ts";
import { KEYS, limits, marks } from "./sessions.ts";

type Side = 0 | 1;
type Operation =
  | { do: "send"; side: Side; bytes: number }
  | { do: "transmit"; side: Side; room: number }
  | { do: "deliver"; side: Side; bytes: number }
  | { do: "read"; side: Side; messages: number; accept: boolean }
  | { do: "end"; side: Side }
  | { do: "resume"; forget: readonly boolean[]; welcomeLost: boolean }
  | { do: "commit" }
  | { do: "committed" };

const side = fc.constantFrom<Side[]>(0, 1);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const), side, bytes: fc.nat({ max: 40 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("transmit" as const), side, room: fc.integer({ min: 1, max: 150 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("deliver" as const), side, bytes: fc.integer({ min: 1, max: 150 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      side,
      messages: fc.integer({ min: 1, max: 3 }),
      accept: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end" as const), side }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("resume" as const),
      forget: fc.tuple(fc.boolean(), fc.boolean()),
      welcomeLost: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("commit" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("committed" as const) }) },
);

/** A client's session (0) and a server's (1), and what is under way between them. */
class Pair {
  readonly sessions: readonly [Session, Session];
  readonly sent: [Buffer[], Buffer[]] = [[], []];
  readonly got: [Buffer[], Buffer[]] = [[], []];
  readonly budget: CountingBudget = new CountingBudget(200);
  takeovers = 0;
  /** What is under way to each side, and how it reads it. */
  #wires: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  #decoders: [FrameDecoder, FrameDecoder] = [decoder(), decoder()];
  #flights: [Flight, Flight] = [flight(), flight()];
  /** The COMMIT that is under way, if one is. */
  #commit: Positions | undefined;

  constructor(mode: Mode) {
    const given = limits({
      mode,
      maxMessageBytes: 40,
      window: { minBytes: 60, maxBytes: 200 },
      windowBudget: this.budget,
    });
    this.sessions = [new Session(KEYS, given), new Session(KEYS, given)];
    this.#resume([false, false], false);
  }

  run(step: Operation): void {
    switch (step.do) {
      case "send": {
        if (this.sessions[step.side].sender.endKind !== "none") break;
        const payload = Buffer.alloc(step.bytes, this.sent[step.side].length + 1);
        this.sessions[step.side].sender.take(payload, step.bytes, false);
        this.sent[step.side].push(payload);
        break;
      }
      case "transmit":
        this.#transmit(step.side, step.room);
        break;
      case "deliver":
        this.#deliver(step.side, step.bytes);
        break;
      case "read":
        this.#read(step.side, step.messages, step.accept);
        break;
      case "end":
        this.sessions[step.side].sender.end("final");
        break;
      case "resume":
        this.#commit = undefined;
        this.#resume(step.forget, step.welcomeLost);
        break;
      case "commit":
        this.#commit ??= this.sessions[0].positions();
        break;
      case "committed":
        this.#takeOver();
        break;
    }
    for (const session of this.sessions) session.checkThrough();
    this.#check();
  }

  /** No more faults: both end, and everything arrives. */
  heal(): void {
    for (const at of [0, 1] as const) this.run({ do: "end", side: at });
    for (let quiet = 0; quiet < 3; quiet++) {
      const before = this.sessions.map(marks);
      for (const at of [0, 1] as const) {
        this.run({ do: "transmit", side: at, room: 1_000 });
        const to = other(at);
        this.run({ do: "deliver", side: to, bytes: this.#wires[to].length });
        this.run({ do: "read", side: to, messages: Infinity, accept: true });
      }
      if (JSON.stringify(this.sessions.map(marks)) !== JSON.stringify(before)) quiet = -1;
    }
  }

  #transmit(from: Side, room: number): void {
    const session = this.sessions[from];
    const out: Buffer[] = [];
    if (session.ackOwed !== "nothing") {
      out.push(encodePositionsFrame("ack", session.positions()));
      session.ackOwed = "nothing";
    }
    // While its COMMIT is under way a client writes no new DATA on the old connection.
    if (from === 1 || this.#commit === undefined) session.write(out, room, this.#flights[from], 0);
    this.#wires[other(from)] = Buffer.concat([this.#wires[other(from)], ...out]);
  }

  #deliver(to: Side, bytes: number): void {
    const session = this.sessions[to];
    const chunk = Buffer.from(this.#wires[to].subarray(0, bytes));
    this.#wires[to] = this.#wires[to].subarray(bytes);
    const problem = this.#decoders[to].push(chunk, {
      onFrame: (frame) => {
        if (frame.type !== "ack") expect.unreachable();
        else expect(session.onAck(frame.positions)).toBeTypeOf("boolean");
      },
      onData: (offset, data, flags) => expect(session.onData(offset, data, flags)).toBeUndefined(),
    });
    expect(problem).toBeUndefined();
  }

  #read(at: Side, messages: number, accept: boolean): void {
    const session = this.sessions[at];
    for (let read = 0; read < messages; read++) {
      const message = session.receiver.next();
      if (message === undefined) break;
      this.got[at].push(message);
    }
    if (accept) session.accept(session.receiver.handed);
  }

  #disconnect(): void {
    this.#wires = [Buffer.alloc(0), Buffer.alloc(0)];
    this.#decoders = [decoder(), decoder()];
    this.#flights = [flight(), flight()];
  }

  /** The connection is cut; HELLO and WELCOME on a new one. */
  #resume(forget: readonly boolean[], welcomeLost: boolean): void {
    this.#disconnect();
    const [client, server] = this.sessions;
    for (const [at, session] of this.sessions.entries()) {
      session.loseConnection();
      if (forget[at] === true) session.receiver.forget();
    }
    expect(server.adopt(client.positions(), false)).toBeUndefined();
    if (welcomeLost) {
      // The server writes to somebody who is gone.
      this.#transmit(1, 100);
      this.#disconnect();
      server.loseConnection();
      expect(server.adopt(client.positions(), false)).toBeUndefined();
    }
    expect(client.adopt(server.positions(), false)).toBeUndefined();
  }

  /** COMMIT reaches the server, and COMMITTED the client: what the server wrote before on the old connection comes first. */
  #takeOver(): void {
    if (this.#commit === undefined) return;
    this.takeovers++;
    const [client, server] = this.sessions;
    expect(server.adopt(this.#commit, true)).toBeUndefined();
    this.#commit = undefined;
    const committed = server.positions();
    this.#deliver(0, this.#wires[0].length);
    this.#disconnect();
    expect(client.adopt(committed, false)).toBeUndefined();
  }

  #check(): void {
    let above = 0;
    for (const at of [0, 1] as const) {
      const { sender, windowAllowance } = this.sessions[at];
      const { receiver } = this.sessions[other(at)];
      const ordered = [0, sender.acked, sender.sentNow, sender.highestSent, sender.finalPosition];
      expect(ordered).toEqual(ordered.toSorted((a, b) => a - b));
      expect(sender.acked).toBeLessThanOrEqual(receiver.accepted);
      expect(receiver.received).toBeLessThanOrEqual(sender.highestSent);
      expect(receiver.received).toBeLessThanOrEqual(receiver.grant + 1);
      above += windowAllowance.size - windowAllowance.floor;
    }
    expect(this.budget.taken).toBe(above);
  }
}

test.each<Mode>(["messages", "bytes"])(
  "two sessions exchange %s once and in order, over resumes, takeovers, lost answers and forgotten bytes",
  (mode) => {
    let takeovers = 0;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 20, maxLength: 100 }), (operations) => {
        const pair = new Pair(mode);
        for (const step of operations) pair.run(step);
        // A COMMIT that was never answered: the client dials anew.
        pair.run({ do: "resume", forget: [false, false], welcomeLost: false });
        pair.heal();
        takeovers += pair.takeovers;
        for (const at of [0, 1] as const) {
          const [sent, got] = [pair.sent[at], pair.got[other(at)]];
          if (mode === "messages") expect(got).toEqual(sent);
          else expect(Buffer.concat(got)).toEqual(Buffer.concat(sent));
          expect(pair.sessions[at].phase).toBe("done");
          expect(pair.sessions[at].sender.undelivered()).toEqual([]);
        }
      }),
      { numRuns: runs(100) },
    );
    expect(takeovers).toBeGreaterThan(20);
  },
);

function other(at: Side): Side {
  return at === 0 ? 1 : 0;
}

function decoder(): FrameDecoder {
  return new FrameDecoder(frameMask("data", "ack"));
}

function flight(): Flight {
  return new Flight(new RoundTrip());
}
