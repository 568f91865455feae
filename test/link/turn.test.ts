/** A consumer that always finds more does not keep the event loop to itself. */
import { describe, expect, test } from "vitest";
import { Driver } from "../../src/link/driver.ts";
import { Incoming } from "../../src/link/incoming.ts";
import type { Connection } from "../../src/link/ports.ts";
import { ByHand, type HandServer, type Line, say } from "../sim/by-hand.ts";
import { pair } from "../support.ts";

/** What a link needs of the outside: each look at the clock is half a millisecond later, and turns end by hand. */
class Turns {
  nowMs = 0;
  changes = 0;
  readonly #next: Array<() => void> = [];

  now(): number {
    this.nowMs += 0.5;
    return this.nowMs;
  }

  afterPoll<T>(run: (of: T) => void, of: T): void {
    this.#next.push(() => run(of));
  }

  end(): void {
    for (const run of this.#next.splice(0)) run();
  }
}

const MESSAGES = 1_000;
/** The clock is looked at after each 16, and says a millisecond more at the third look than at the first. */
const IN_A_TURN = 16 * 3;

interface Reading {
  turns: Turns;
  incoming: Incoming;
  server: HandServer;
  accepted: () => number;
}

/** Many messages have arrived, in one chunk. */
function reading(): Reading {
  const world = new ByHand();
  const server = world.server({ window: { minBytes: 65_536, maxBytes: 65_536 } });
  const client = world.client();
  const line: Line = client.connect(server);
  for (let n = 0; n < MESSAGES; n++) say(client.core, String(n));
  line.up();
  const turns = new Turns();
  const driver = {
    clock: turns,
    changed: (what?: "writes") => {
      if (what === undefined) turns.changes++;
    },
    run: () => {},
  };
  const incoming = new Incoming(server.link, false, driver, { failHandler: () => {}, failure: undefined, owner: {} });
  return { turns, incoming, server, accepted: () => server.link.session.receiver.accepted };
}

const ALL = Array.from({ length: MESSAGES }, (_, n) => String(n));

describe("in one turn", () => {
  test("a handler is handed so much and no more, in order, and what it returned for is accepted", () => {
    const { turns, incoming, server, accepted } = reading();
    const got: string[] = [];
    incoming.onMessage((message) => void got.push(String(message)));
    incoming.progress();
    expect(got.length).toBe(1 + 16 * 2);
    expect(accepted()).toBe(server.link.session.receiver.handed);
    incoming.progress();
    expect(got.length).toBe(1 + 16 * 2);
    for (let turn = 0; got.length < MESSAGES; turn++) {
      expect(turn).toBeLessThan(40);
      const before = turns.changes;
      turns.end();
      expect(turns.changes).toBe(before + 1);
      incoming.progress();
    }
    expect(got).toEqual(ALL);
    expect(accepted()).toBe(server.link.session.receiver.received);
  });

  test("a handler that takes 10 ms for each is looked at more often: soon a turn is one message long", () => {
    const { turns, incoming } = reading();
    let got = 0;
    incoming.onMessage(() => {
      got++;
      turns.nowMs += 10;
    });
    const perTurn: number[] = [];
    for (let turn = 0; turn < 6; turn++) {
      const before = got;
      incoming.progress();
      perTurn.push(got - before);
      turns.end();
    }
    expect(perTurn.slice(3).every((messages) => messages <= 2)).toBe(true);
    expect(perTurn[0]).toBeLessThanOrEqual(33);
  });

  test("an async handler that always has its answer is handed no more", async () => {
    const { turns, incoming } = reading();
    const got: string[] = [];
    incoming.onMessage(async (message) => void got.push(String(message)));
    incoming.progress();
    await new Promise(setImmediate);
    expect(got.length).toBeLessThanOrEqual(IN_A_TURN);
    for (let turn = 0; got.length < MESSAGES; turn++) {
      expect(turn).toBeLessThan(40);
      turns.end();
      incoming.progress();
      await new Promise(setImmediate);
    }
    expect(got).toEqual(ALL);
  });

  test.each(["a loop", "receive()"])("%s gets no more", async (how) => {
    const { turns, incoming } = reading();
    const got: string[] = [];
    const read = async (): Promise<void> => {
      if (how === "a loop") {
        for await (const message of incoming.iterate()) {
          got.push(String(message));
          if (got.length === MESSAGES) return;
        }
      }
      while (got.length < MESSAGES) got.push(String(await incoming.receive(undefined)));
    };
    const all = read();
    await new Promise(setImmediate);
    expect(got.length).toBeLessThanOrEqual(IN_A_TURN);
    for (let turn = 0; got.length < MESSAGES; turn++) {
      expect(turn).toBeLessThan(40);
      turns.end();
      incoming.progress();
      await new Promise(setImmediate);
    }
    await all;
    expect(got).toEqual(ALL);
  });

  test("a stream gets no more", () => {
    const world = new ByHand();
    const server = world.server({ mode: "bytes" });
    const client = world.client({ mode: "bytes" });
    const line = client.connect(server);
    for (let n = 0; n < MESSAGES; n++) {
      say(client.core, "x");
      line.up();
    }
    const turns = new Turns();
    const driver = { clock: turns, changed: () => {}, run: () => {} };
    const incoming = new Incoming(server.link, false, driver, { failHandler: () => {}, failure: undefined, owner: {} });
    const input = incoming.occupyForStream("duplex");
    const take = (): number => {
      let pieces = 0;
      while (input.take() !== undefined) pieces++;
      return pieces;
    };
    // Small pieces that wait were put together.
    expect(take()).toBeLessThanOrEqual(IN_A_TURN);
    turns.end();
    expect(server.link.session.receiver.readableBytes).toBe(0);
  });
});

test("who has handed out what a turn allows says that it is enough, until all is read", async () => {
  const { turns, incoming, server } = reading();
  const driver = new Driver(
    server.link,
    { receive: () => {}, connectionClosed: () => {}, transmit: () => [] },
    {
      now: () => turns.now(),
      wallMs: () => 0,
      defer: () => {},
      afterPoll: () => {},
      timer: () => ({ set() {}, clear() {}, holdProcess() {} }),
      spread: () => {},
    },
  );
  driver.hooks = {
    onEvent: () => {},
    onProgress: () => incoming.progress(),
    isRoomAwaited: false,
    get hasHandedEnough() {
      return incoming.hasHandedEnough;
    },
    onStepComplete: () => {},
  };
  const connection: Connection = {
    handler: { onData: () => undefined, onDrain: () => {}, onClosed: () => {} },
    remoteAddress: "",
    roomBytes: 0,
    pendingBytes: 0,
    write: () => false,
    pause: () => {},
    resume: () => {},
    end: () => {},
    destroy: () => {},
  };
  driver.attach(1, connection);
  let got = 0;
  const answers = [];
  incoming.onMessage(() => void got++);
  while (got < MESSAGES) {
    answers.push(connection.handler.onData(Buffer.alloc(0)));
    turns.end();
  }
  expect(answers.length).toBeGreaterThan(5);
  expect(answers.pop()).toBe(undefined);
  expect(new Set(answers)).toEqual(new Set(["enough"]));
});

test("a loop over very many empty messages leaves turns to others", { timeout: 30_000 }, async () => {
  const { client, server } = await pair();
  const count = 300_000;
  let turns = 0;
  let over = false;
  const others = (): void => {
    turns++;
    if (!over) setImmediate(others);
  };
  const read = async (): Promise<number> => {
    let messages = 0;
    for await (const message of server) {
      if (messages++ === 0) others();
      if (message.length > 0) return messages;
    }
    return messages;
  };
  const done = read();
  for (let n = 0; n < count; n++) while (!client.trySend("")) await client.ready();
  await client.send("last");
  expect(await done).toBe(count + 1);
  over = true;
  expect(turns).toBeGreaterThan(10);
});
