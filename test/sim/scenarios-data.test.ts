/** Counterexamples of bytes, positions, credit and memory. Which rows are where: scenarios-opening. */
import { expect, test } from "vitest";
import { encodeDataHeader } from "../../src/core/wire/frames.ts";
import { windowFloorBytes } from "../../src/core/session/session.ts";
import { CountingBudget, decodedData } from "../core/support.ts";
import { ByHand, hear, namesOf, read, say } from "./by-hand.ts";

/** DATA as it stands on the wire. */
function data(offset: number, bytes: Buffer): Buffer {
  return Buffer.concat([encodeDataHeader(offset, bytes.length, 0), bytes]);
}

function message(text: string): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(text.length);
  return Buffer.concat([prefix, Buffer.from(text)]);
}

test("counterexample 3: a server that is behind what it had received never gets a resume", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  say(client.core, "one");
  line.settle();
  expect(hear(server.link)).toEqual(["one"]);
  say(client.core, "two", "three");
  line.settle();
  expect(server.link.session.receiver.received).toBe(23);
  line.cut();
  // As after its process died and another took over from the store: what was not handed out is not there any more.
  server.link.session.receiver.forget();
  expect(server.link.session.receiver.received).toBe(7);
  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  expect(hear(server.link)).toEqual(["two", "three"]);
});

test("the bytes of a frame count as they arrive: a link whose connections are shorter-lived than a frame makes progress", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  client.connect(server).cut();
  const text = "x".repeat(1_000);
  say(client.core, text);
  for (let connections = 1; connections <= 11; connections++) {
    const line = client.dial(server);
    line.up();
    line.down();
    const written = line.takeUp();
    // DATA comes last. The rest of it, behind 100 bytes, never arrives.
    const missing = 1_004 - 100 * connections;
    line.give(missing > 0 ? written.subarray(0, -missing) : written);
    expect(server.link.session.receiver.received).toBe(Math.min(1_004, 100 * connections));
    line.cut();
  }
  expect(hear(server.link)).toEqual([text]);
});

test("counterexample 8: late DATA of the old connection and that of the new one overlap", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  line.takeUp();
  const log = Buffer.concat([message("one"), message("two"), message("three")]);
  line.give(data(0, log.subarray(0, 10)));
  line.give(data(0, log.subarray(0, 10)));
  line.give(data(3, log.subarray(3, 16)));
  line.give(data(10, log.subarray(10)));
  expect(hear(server.link)).toEqual(["one", "two", "three"]);
});

test("counterexample 8: a gap is taken for what comes next", () => {
  const world = new ByHand();
  const server = world.server();
  const line = world.client().connect(server);
  line.give(data(7, message("two")));
  expect(hear(server.link)).toEqual([]);
  expect(server.linkEvents).toContainEqual(
    expect.objectContaining({ fault: expect.objectContaining({ code: "gap" }) }),
  );
  expect(server.link.session.phase).toBe("live");
});

test("counterexample 12: everybody is given 8 MiB of credit, which cannot be taken back", () => {
  const world = new ByHand();
  const budget = new CountingBudget(100_000);
  const server = world.server({ windowBudget: budget, window: { minBytes: 16_384, maxBytes: 8 * 1_048_576 } });
  for (let n = 0; n < 50; n++) world.client().connect(server);
  const floor = windowFloorBytes({ mode: "messages", maxMessageBytes: 1_000, maxBatchBytes: 0 });
  const above = server.links.map(({ session }) => session.receiver.grant - session.receiver.accepted - floor);
  expect(above.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThanOrEqual(100_000);
  expect(Math.min(...above)).toBe(0);
});

test("counterexample 13: many sessions hold a part of a message each, the budget is used up, and none completes", () => {
  const world = new ByHand();
  const budget = new CountingBudget(0);
  const server = world.server({ windowBudget: budget, window: { minBytes: 100, maxBytes: 100 } });
  const all = Array.from({ length: 30 }, () => {
    const client = world.client();
    return { client, line: client.connect(server) };
  });
  for (const { client, line } of all) {
    say(client.core, "x".repeat(1_000));
    line.give(line.takeUp(400));
  }
  for (const { line } of all) line.settle();
  for (const link of server.links) expect(hear(link)).toEqual(["x".repeat(1_000)]);
});

test("counterexample 14: acks say accepted only, so a slow path looks dead and everything is sent again", () => {
  const world = new ByHand();
  const large = { maxMessageBytes: 1_048_576, window: { minBytes: 2_000_000, maxBytes: 2_000_000 } };
  const server = world.server(large);
  const client = world.client({ ...large, queue: { maxMessages: 10, maxBytes: 2_000_000 } });
  const line = client.connect(server);
  say(client.core, "x".repeat(1_048_576));
  let written = 0;
  // 16 KiB a second: a minute for the message, and no consumer accepts a part of it.
  for (let second = 0; second < 64 && hear(server.link).length === 0; second++) {
    const bytes = line.takeUp(16_384);
    written += bytes.length;
    line.give(bytes);
    world.pass(1_000);
    line.down();
  }
  line.settle();
  expect(namesOf(client.events as never)).toEqual(["connected"]);
  expect(written).toBeLessThan(1_048_576 + 64 * 100);
});

test("counterexample 16: the kernel swallows megabytes, and a PING waits behind them", () => {
  const world = new ByHand();
  const wide = {
    window: { minBytes: 8_000_000, maxBytes: 8_000_000 },
    queue: { maxMessages: 100_000, maxBytes: 8_000_000 },
  };
  const server = world.server(wide);
  const client = world.client(wide);
  const line = client.connect(server);
  for (let n = 0; n < 4_000; n++) say(client.core, "x".repeat(1_000));
  // The connection takes whatever it is given; nothing arrives.
  let written = 0;
  for (let n = 0; n < 200; n++) {
    written += line.takeUp().length;
    world.pass(50);
  }
  expect(written).toBeLessThan(70_000);
});

test("counterexample 25: the caller reuses its buffer after send() resolved, and the replay is corrupt", () => {
  const world = new ByHand();
  const server = world.server({ maxMessageBytes: 20_000 });
  const client = world.client({ maxMessageBytes: 20_000 });
  const line = client.connect(server);
  const payload = Buffer.alloc(10_000, "a");
  client.core.take(payload, payload.length, false);
  payload.fill("b");
  line.takeUp();
  line.cut();
  payload.fill("c");
  client.connect(server);
  expect(hear(server.link)).toEqual(["a".repeat(10_000)]);
});

test("counterexample 26: a block is written to again while the old socket still has a write pending from it", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  say(client.core, "first");
  const pending = client.core.transmit(line.id, 65_536, world.nowMs);
  const copy = Buffer.concat(pending);
  line.give(copy);
  expect(hear(server.link)).toEqual(["first"]);
  line.down();
  world.pass(25);
  line.down();
  expect(client.core.session.sender.unackedBytes).toBe(0);
  for (let n = 0; n < 100; n++) say(client.core, "other bytes");
  client.core.transmit(line.id, 65_536, world.nowMs);
  expect(Buffer.concat(pending).equals(copy)).toBe(true);
});

test("counterexample 26: nor is one of the largest size, which goes back to the pool, while another connection may have it", () => {
  const world = new ByHand();
  const large = { maxMessageBytes: 60_000, window: { minBytes: 65_536, maxBytes: 1_000_000 } };
  const server = world.server(large);
  const client = world.client(large);
  const line = client.connect(server);
  say(client.core, "a".repeat(60_000));
  const pending = client.core.transmit(line.id, 100_000, world.nowMs);
  const copy = Buffer.concat(pending);
  // The socket has it still to write when the connection is lost, and another one delivers it.
  line.lose("client");
  const again = client.connect(server);
  expect(hear(server.link)).toEqual(["a".repeat(60_000)]);
  again.settle();
  expect(client.core.session.sender.unackedBytes).toBe(0);
  // The one in use has written everything.
  client.core.session.sender.recycle(0);
  for (let n = 0; n < 4; n++) say(client.core, "b".repeat(60_000));
  again.settle();
  expect(Buffer.concat(pending).equals(copy)).toBe(true);
});

test("counterexample 27: a connection is paused for a slow consumer, and its acks and pings are not read either", () => {
  const world = new ByHand();
  const server = world.server({ window: { minBytes: 1_100, maxBytes: 4_096 } });
  const client = world.client();
  const line = client.connect(server);
  for (let n = 0; n < 20; n++) say(client.core, "x".repeat(1_000));
  line.settle();
  // The window has stopped the sender: nobody reads.
  expect(server.link.session.receiver.isFull).toBe(true);
  say(server.link, "heard all the same");
  line.settle();
  expect(hear(client.core)).toEqual(["heard all the same"]);
  line.settle();
  world.pass(100);
  line.settle();
  expect(server.link.session.sender.unackedBytes).toBe(0);
  world.pass(16_000);
  expect(namesOf(line.up())).toContain("ping");
  expect(namesOf(line.down())).toContain("pong");
});

test("counterexample 28: a batch of manual acceptance is larger than the window, and both wait for ever", () => {
  const world = new ByHand();
  const server = world.server({ window: { minBytes: 1_004, maxBytes: 1_004 }, maxBatchBytes: 9 * 1_004 });
  const client = world.client();
  const line = client.connect(server);
  for (let n = 0; n < 100; n++) say(client.core, `${n}`.padEnd(1_000));
  const heard: string[] = [];
  for (let turn = 0; turn < 200; turn++) {
    line.settle();
    heard.push(...read(server.link));
    // Accepted ten at a time only.
    if (heard.length % 10 === 0) server.link.accept(server.link.session.receiver.handed);
  }
  expect(heard).toHaveLength(100);
});

test("counterexample 29: what was handed out and not accepted is forgotten, and handed out twice", () => {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  const line = client.connect(server);
  say(client.core, "one", "two", "three");
  line.settle();
  expect(server.link.next()?.toString()).toBe("one");
  line.cut();
  server.link.session.receiver.forget();
  client.connect(server);
  expect(hear(server.link)).toEqual(["two", "three"]);
});

test("counterexample 45: the floor is a payload, its prefix does not fit, and both wait for ever", () => {
  const world = new ByHand();
  const nothing = { windowBudget: new CountingBudget(0), logBudget: new CountingBudget(0) };
  const server = world.server({ ...nothing, window: { minBytes: 100, maxBytes: 100 } });
  const client = world.client(nothing);
  const line = client.connect(server);
  for (let n = 0; n < 5; n++) {
    say(client.core, "x".repeat(1_000));
    line.settle();
    expect(hear(server.link)).toHaveLength(1);
  }
});

test("counterexample 45: a floor that is given up on a cut is granted to others, and missing at the resume", () => {
  const world = new ByHand();
  const budget = new CountingBudget(1_000);
  const server = world.server({ windowBudget: budget, window: { minBytes: 100, maxBytes: 65_536 } });
  const client = world.client();
  const line = client.connect(server);
  say(client.core, "x".repeat(1_000));
  line.give(line.takeUp(500));
  line.cut();
  for (let n = 0; n < 5; n++) {
    const other = world.client();
    const theirs = other.connect(server);
    for (let m = 0; m < 20; m++) say(other.core, "y".repeat(900));
    theirs.settle();
  }
  client.connect(server);
  expect(hear(server.links[0] as (typeof server.links)[number])).toEqual(["x".repeat(1_000)]);
});

test("counterexample 46: the largest window ever stated holds, and the peer overruns memory that others have now", () => {
  const world = new ByHand();
  const budget = new CountingBudget(100_000);
  const server = world.server({ windowBudget: budget, window: { minBytes: 50_000, maxBytes: 65_536 } });
  const client = world.client();
  client.connect(server).cut();
  // Its window went back to the budget, and another has it.
  world.client().connect(server);
  for (let n = 0; n < 60; n++) say(client.core, "x".repeat(1_000));
  const line = client.dial(server);
  line.up();
  line.down();
  const written = decodedData(line.takeUp()).reduce((sum, { bytes }) => sum + bytes.length, 0);
  const [{ session }] = server.links as [(typeof server.links)[number]];
  expect(session.receiver.grant).toBeLessThan(50_000);
  expect(written).toBeLessThanOrEqual(session.receiver.grant);
});

test("nothing takes the short way on a connection whose introduction is not over", () => {
  const world = new ByHand();
  const server = world.server({ mode: "bytes" });
  const client = world.client({ mode: "bytes" });
  client.connect(server).cut();
  const line = client.dial(server);
  const written = (): number | undefined =>
    server.link.transmitNow(line.id, 7, Buffer.from("piece"), 0, 5, world.nowMs)?.length;
  line.give(line.takeUp());
  const answer = line.takeDown();
  // The client has not confirmed yet.
  expect([server.link.adopted?.id, written()]).toEqual([line.id, undefined]);
  line.giveDown(answer);
  line.settle();
  expect(written()).toBe(1);
});
