/** The end of a session that moves, where it crosses with something else that ends. */
import { expect, test } from "vitest";
import { CountingBudget } from "../core/support.ts";
import { hear, only, outcomeOf, read, say } from "./by-hand.ts";
import { beforeTheMove, endWithInput, goAway } from "./openings.ts";

test("close() during the move, with something left to say and something that nobody will read", () => {
  const { world, server, next, client, line } = beforeTheMove();
  say(server.link, "nobody reads this");
  line.settle();
  goAway({ world, server });
  line.down();
  say(client.core, "the last word");
  // As Drain.close() does without a consumer.
  client.core.end();
  client.core.stopReading();
  line.settle();
  endWithInput(server.link);
  line.settle();
  // The old server is told that nobody reads any more, and reports what it had.
  expect(outcomeOf(server.linkEvents)).toMatchObject({ outcome: "closed", undelivered: [{ delivery: "maybe" }] });
  expect(client.core.wantsDial).toBe(true);
  const second = client.connect(next);
  expect(hear(next.link)).toEqual(["the last word"]);
  endWithInput(next.link);
  second.settle();
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "closed", undelivered: [] });
});

test("RESET answers the resume of a farewell: the attempt is over, and the dial loop is told", () => {
  const { world, server, client, line } = beforeTheMove();
  goAway({ world, server });
  line.settle();
  endWithInput(server.link);
  line.down();
  expect(client.core.session.phase).toBe("done");
  // Its last word is lost, so the server's session is still live when its handler throws.
  line.takeUp();
  line.cut();
  server.link.reset("handler-failed", "", "handler-failed", world.nowMs);
  const again = client.dial(server);
  again.up();
  only(again.down(), "reset");
  expect(client.core.wantsDial).toBe(true);
  expect(client.events).toContainEqual(expect.objectContaining({ type: "attempt-failed", channel: again.id }));
});

test("a mistake now and then, on connections that brought acknowledgements, does not end a link that only sends", () => {
  const { server, client, line } = beforeTheMove();
  let connection = line;
  for (const text of ["one", "two", "three"]) {
    say(client.core, text);
    connection.settle();
    expect(hear(server.link)).toEqual([text]);
    connection.settle();
    connection.giveDown(Buffer.alloc(8, 0x7f));
    connection.lose("server");
    expect(outcomeOf(client.events)).toBeUndefined();
    connection = client.connect(server);
  }
});

test("the server's application ends at the end of its input, with the last message still in its hands", () => {
  const { world, server, client, line } = beforeTheMove();
  say(client.core, "held");
  line.settle();
  goAway({ world, server });
  line.settle();
  expect(read(server.link)).toEqual(["held"]);
  // 'end' is emitted now: the input has ended, though a loop still holds the last message.
  expect(server.link.inputEnded).toBe(true);
  server.link.end();
  server.link.accept(server.link.session.receiver.handed);
  line.settle();
  expect(outcomeOf(client.events)).toBeUndefined();
  expect(client.core.wantsDial).toBe(true);
});

test("the farewell is cut, and no server is there for longer than a session waits", () => {
  const { world, server, next, client, line } = beforeTheMove();
  goAway({ world, server });
  line.settle();
  endWithInput(server.link);
  line.down();
  say(client.core, "waits");
  line.takeUp();
  line.cut();
  world.pass(300_001);
  expect(client.core.wantsDial).toBe(true);
  const opened = client.dial(next);
  opened.settle();
  expect(client.connections.at(-1)).toBe("new: moved");
  expect(hear(next.link)).toEqual(["waits"]);
  expect(outcomeOf(client.events)).toBeUndefined();
});

test("the farewell is cut, and the server that is reached goes away itself", () => {
  const { world, server, next, client, line } = beforeTheMove();
  goAway({ world, server });
  line.settle();
  endWithInput(server.link);
  line.down();
  line.takeUp();
  line.cut();
  next.core.drain(10_000, world.nowMs);
  client.dial(next).settle();
  expect(next.refusals).toEqual(["draining"]);
  client.dial(server).settle();
  expect(client.events.filter(({ type }) => type === "replaced")).toHaveLength(1);
  client.connect(world.server());
  expect(client.connections.at(-1)).toBe("new: moved");
});

test("resend: what was written in an earlier session stays in doubt through a move", () => {
  const { world, next, client, line } = beforeTheMove({ whenSessionLost: "resend" });
  say(client.core, "in doubt");
  line.takeUp();
  line.cut();
  const second = client.dial(next);
  second.up();
  second.giveDown(second.takeDown());
  // CONFIRM, and nothing of what waits.
  second.give(Buffer.concat(client.core.transmit(second.id, 0, world.nowMs)));
  goAway({ world, server: next });
  second.down();
  expect(client.core.session.sender.endAt).toBe(0);
  second.settle();
  endWithInput(next.link);
  second.down();
  client.core.reset("aborted", "", "aborted", world.nowMs);
  world.drain();
  expect(outcomeOf(client.events)).toMatchObject({ undelivered: [{ delivery: "maybe" }] });
});

test("what the old session has borrowed is there for the next", () => {
  const budget = new CountingBudget(6_184);
  const { world, server, next, client, line } = beforeTheMove({ windowBudget: budget });
  const before = client.core.session.windowAllowance.size;
  expect(before).toBe(4_096);
  goAway({ world, server });
  line.settle();
  endWithInput(server.link);
  line.settle();
  client.connect(next);
  expect(client.core.session.windowAllowance.size).toBe(before);
});

test("close() with nothing left to say, when the server has ended and holds the last message: no session is opened", () => {
  const { world, server, client, line } = beforeTheMove();
  say(client.core, "held");
  line.settle();
  goAway({ world, server });
  line.settle();
  expect(read(server.link)).toEqual(["held"]);
  server.link.end();
  line.settle();
  client.core.end();
  client.core.stopReading();
  line.settle();
  server.link.accept(server.link.session.receiver.handed);
  line.settle();
  expect(outcomeOf(client.events)).toMatchObject({ outcome: "closed", undelivered: [] });
  expect(client.core.wantsDial).toBe(false);
});
