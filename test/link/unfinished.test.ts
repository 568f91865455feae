/** waitUntil(): what a link waits for when its handler has returned. */
import { describe, expect, test } from "vitest";
import { lines, type Link, type Message, plain, ServerSupervisor } from "../../src/index.ts";
import { Unfinished } from "../../src/link/unfinished.ts";
import { linkPair } from "../../src/testing/index.ts";
import {
  eventually,
  failure,
  isPending,
  listenInTest,
  openTo,
  rawClient,
  receiveAll,
  receiveText,
  refusal,
  serve,
  turned,
  withUncaught,
} from "../support.ts";

/** Of a link that can be sent on. */
const OPEN = { sendingEnded: false };
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("what is given", () => {
  test("is counted until it settles, however much there is", async () => {
    const seen: unknown[] = [];
    const unfinished = new Unfinished(
      OPEN,
      () => seen.push(unfinished.isPending),
      (error) => seen.push(error),
    );
    const works = Array.from({ length: 10_000 }, () => Promise.withResolvers<void>());
    for (const { promise } of works) unfinished.add(promise);
    const [last, ...others] = works;
    for (const { resolve } of others) resolve();
    await settled();
    expect([seen.length, unfinished.isPending]).toEqual([9_999, true]);
    last?.reject(new Error("mine"));
    await settled();
    expect(unfinished.isPending).toBe(false);
    expect(seen.at(-1)).toMatchObject({ message: "mine" });
  });

  test("may be a promise of a library that settles twice", async () => {
    let times = 0;
    const unfinished = new Unfinished(
      OPEN,
      () => times++,
      () => times++,
    );
    unfinished.add({
      // oxlint-disable-next-line unicorn/no-thenable
      then: (onFulfilled: () => void, onRejected: (error: unknown) => void) => {
        onFulfilled();
        onFulfilled();
        onRejected(new Error("late"));
      },
    });
    await settled();
    expect([times, unfinished.isPending]).toEqual([1, false]);
  });

  test("may be one of JavaScript's own with another `then`, which is not called", async () => {
    const seen: unknown[] = [];
    const unfinished = new Unfinished(
      OPEN,
      () => seen.push("fulfilled"),
      (error) => seen.push(error),
    );
    for (const work of [Promise.resolve(), Promise.reject(new Error("mine"))]) {
      const fail = (): never => {
        throw new Error("not mine");
      };
      // oxlint-disable-next-line unicorn/no-thenable
      unfinished.add(Object.defineProperty(work, "then", { value: fail }));
    }
    await settled();
    expect([unfinished.isPending, ...seen]).toMatchObject([false, "fulfilled", { message: "mine" }]);
  });

  test("is a promise", async () => {
    await using pair = linkPair();
    for (const given of [undefined, null, 5, () => {}, {}]) {
      expect(refusal(() => pair.server.waitUntil(given as never))).toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });
});

/** A handler that returns at once, and the work that it leaves behind. */
function returning(isAsync: boolean) {
  const work = Promise.withResolvers<void>();
  const handler = (link: Link): void | Promise<void> => {
    link.waitUntil(work.promise);
    return isAsync ? Promise.resolve() : undefined;
  };
  return { work, handler };
}

describe("an async handler", () => {
  test("that returns ends its link", async () => {
    await using pair = linkPair({ serve: async () => {} });
    expect(await pair.client.receive()).toBeNull();
  });

  test("whose work goes on does not, until that is done", async () => {
    const { work, handler } = returning(true);
    await using pair = linkPair({ serve: handler });
    const { client, server, clock } = pair;
    await clock.advance(60_000);
    await server.send("pushed by a timer");
    expect(await receiveText(client)).toBe("pushed by a timer");
    work.resolve();
    expect(await client.receive()).toBeNull();
    expect((await server.closed).error).toBeUndefined();
  });

  test("waits for work that work has begun", async () => {
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using pair = linkPair({
      serve: async (link) => {
        link.waitUntil(first.promise.then(() => link.waitUntil(second.promise)));
      },
    });
    first.resolve();
    await pair.clock.advance(1_000);
    expect(pair.client.state).toBe("connected");
    second.resolve();
    expect(await pair.client.receive()).toBeNull();
  });

  test("whose work fails has failed", async () => {
    const { work, handler } = returning(true);
    await using pair = linkPair({ serve: handler, client: { whenSessionLost: "end" } });
    work.reject(new Error("mine"));
    expect((await pair.server.closed).error).toMatchObject({ code: "HANDLER_FAILED", cause: { message: "mine" } });
    expect((await pair.client.closed).error).toMatchObject({ code: "SESSION_LOST" });
  });

  test("is still at work when a part of it finds the link ended", async () => {
    const { work, handler } = returning(true);
    const uncaught = await withUncaught(async () => {
      await using pair = linkPair({ serve: handler });
      pair.client.abort();
      await pair.server.closed;
      work.reject(await failure(pair.server.send("too late")));
      await settled();
      // After the end nobody minds what else is given.
      pair.server.waitUntil(Promise.resolve());
    });
    expect(uncaught).toEqual([]);
  });
});

test("a handler that is not async keeps its link open all the same", async () => {
  const { work, handler } = returning(false);
  await using pair = linkPair({ serve: handler });
  work.resolve();
  await pair.clock.advance(1_000);
  expect(pair.client.state).toBe("connected");
});

/** Answers several messages at a time, when the test lets it. */
function answering(link: Link) {
  const answers: Array<() => void> = [];
  link.onMessage((message) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    answers.push(resolve);
    link.waitUntil(promise.then(() => link.send(`answer to ${String(message)}`)));
  });
  return answers;
}

test.each(["client", "server"] as const)("answers go out from a %s whose peer has ended", async (end) => {
  await using pair = linkPair();
  const [link, peer] = end === "client" ? [pair.client, pair.server] : [pair.server, pair.client];
  const answers = answering(link);
  for (const text of ["one", "two", "three"]) await peer.send(text);
  peer.end();
  await pair.clock.advance(1_000);
  expect(answers.length).toBe(3);
  for (const answer of answers.toReversed()) answer();
  expect(await receiveAll(peer)).toEqual(["answer to three", "answer to two", "answer to one"]);
  expect(await link.closed).toEqual({ undelivered: [] });
});

test.each(["client", "server"] as const)(
  "a %s that closes its link with work to do closes it in order",
  async (end) => {
    await using pair = linkPair();
    const [link, peer] = end === "client" ? [pair.client, pair.server] : [pair.server, pair.client];
    const [answer] = await new Promise<Array<() => void>>((resolve) => {
      const answers = answering(link);
      void peer.send("one").then(() => pair.clock.advance(0).then(() => resolve(answers)));
    });
    await peer.send("read to the end");
    const closing = link.close();
    answer?.();
    expect((await closing).error).toBeUndefined();
    // Of another link: that is a failure of this one.
    await using other = linkPair();
    other.client.waitUntil(link.send("too late"));
    expect((await other.client.closed).error).toMatchObject({ code: "HANDLER_FAILED" });
  },
);

test.each(["the client", "the server"])("a client that is not resplice has its answers when %s ends", async (end) => {
  const served = Promise.withResolvers<Array<() => void>>();
  const supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1", protocol: plain({ framing: lines() }) });
  const { port } = await listenInTest<Link>(supervisor, (link) => served.resolve(answering(link)));
  const client = await rawClient(port);
  client.socket.write("one\ntwo\n");
  if (end === "the client") client.socket.end();
  const answers = await served.promise;
  await eventually(() => expect(answers.length).toBe(2));
  const closing = end === "the server" ? supervisor.close({ deadlineMs: 20_000 }) : undefined;
  if (closing !== undefined) expect(await isPending(closing, 50)).toBe(true);
  for (const answer of answers) answer();
  await client.closed;
  expect(String(client.bytes)).toBe("answer to one\nanswer to two\n");
  expect((await closing)?.left ?? 0).toBe(0);
});

describe("a server that goes away", () => {
  test("waits for the answers of a handler that works on several messages at a time", async () => {
    const served = Promise.withResolvers<Array<() => void>>();
    const { port, supervisor } = await serve({}, (link) => served.resolve(answering(link)));
    const client = openTo(port);
    for (const text of ["one", "two", "three"]) await client.send(text, { until: "accepted" });
    const answers = await served.promise;
    const leaving = turned(client, "draining");
    const closing = supervisor.close({ deadlineMs: 20_000 });
    await leaving;
    expect(await isPending(closing, 20)).toBe(true);
    for (const answer of answers) answer();
    const seen: Message[] = [];
    while (seen.length < 3) seen.push((await client.receive()) as Message);
    expect(seen.map(String)).toEqual(["answer to one", "answer to two", "answer to three"]);
    expect(await closing).toEqual({ left: 0, undelivered: [] });
  });

  test("does so until its time is nearly over, and answers that come later have not failed", async () => {
    const served = Promise.withResolvers<Array<() => void>>();
    const errors: unknown[] = [];
    const { port, supervisor } = await serve({}, (link) => served.resolve(answering(link)));
    supervisor.on("handlerError", ({ error }) => errors.push(error));
    const client = openTo(port);
    await client.send("one", { until: "accepted" });
    const [answer] = await served.promise;
    expect(await supervisor.close({ deadlineMs: 500 })).toEqual({ left: 0, undelivered: [] });
    answer?.();
    await settled();
    expect(errors).toEqual([]);
  });
});
