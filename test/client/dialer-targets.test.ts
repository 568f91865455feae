/** Targets of a dial: sockets, endpoints in order, functions that are asked for each attempt. */
import { once } from "node:events";
import net, { type LookupFunction } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Endpoint, RespliceError } from "../../src/index.ts";
import {
  echo,
  eventually,
  manage,
  QUICK,
  rawServer,
  receiveText,
  relayTo,
  serve,
  socketPath,
  turned,
  unusedPort,
} from "../support.ts";
import { collectGarbage } from "../collect-garbage.ts";
import { firstFailure } from "./first-failure.ts";

describe("targets", () => {
  test("a Unix socket", async () => {
    const path = await socketPath();
    await serve({ path }, echo);
    const link = manage().open({ path });
    await link.send("hello");
    expect(await receiveText(link)).toBe("hello");
  });

  test("endpoints in order: one that fails is passed over", async () => {
    const { port } = await serve({}, echo);
    const dead = await unusedPort();
    const host = "127.0.0.1";
    const link = manage().open({
      endpoints: [
        { port: dead, host },
        { port, host },
      ],
      reconnect: QUICK,
    });
    const error = await firstFailure(link);
    expect(error?.code).toBe("CONNECT_FAILED");
    await link.send("hello");
    expect(await receiveText(link)).toBe("hello");
  });

  test("failover: the link goes on at another server, where its session is not known", async () => {
    const [one, two] = [await serve(), await serve()];
    const relay = await relayTo(one.port);
    const endpoints: Endpoint[] = [{ port: relay.port, host: "127.0.0.1" }];
    const link = manage().open({ endpoints: () => endpoints, reconnect: QUICK });
    await link.send("one");
    expect(await receiveText(await one.links.next())).toBe("one");
    endpoints[0] = { port: two.port, host: "127.0.0.1" };
    relay.cut("rst");
    expect(await turned(link, "connected")).toMatchObject({ session: "new", reason: "session-lost" });
    await link.send("two");
    expect(await receiveText(await two.links.next())).toBe("two");
  });

  test("a function of endpoints is asked for each attempt, and may fail", async () => {
    const { port } = await serve();
    const attempts: number[] = [];
    const link = manage().open({
      reconnect: QUICK,
      endpoints: ({ number, signal }) => {
        attempts.push(number);
        expect(signal.aborted).toBe(false);
        if (number === 1) throw new Error("no registry");
        if (number === 2) return Promise.reject(new TypeError("still none"));
        return [{ port, host: "127.0.0.1" }];
      },
    });
    await link.connected();
    expect(attempts).toEqual([1, 2, 3]);
  });

  test("of an endpoint whose handshake failed nothing is kept", async () => {
    const port = await rawServer((socket) => socket.end());
    const given: Array<WeakRef<Endpoint>> = [];
    const link = manage().open({
      reconnect: QUICK,
      endpoints: () => {
        const endpoint = { port, host: "127.0.0.1" };
        given.push(new WeakRef(endpoint));
        return [endpoint];
      },
    });
    await eventually(() => expect(given.length).toBeGreaterThan(20));
    collectGarbage();
    expect(given.filter((each) => each.deref() !== undefined).length).toBeLessThan(5);
    expect(link.state).not.toBe("closed");
  });

  test("connect: any Duplex, a new one for each attempt", async () => {
    const { port } = await serve({}, echo);
    const streams: net.Socket[] = [];
    const link = manage().open({
      reconnect: QUICK,
      connect: async ({ number }) => {
        if (number === 1) throw new Error("not yet");
        const stream = net.connect(port, "127.0.0.1");
        streams.push(stream);
        await once(stream, "connect");
        return stream;
      },
    });
    await link.send("one");
    expect(await receiveText(link)).toBe("one");
    streams[0]?.destroy();
    await link.send("two");
    expect(await receiveText(link)).toBe("two");
    expect(streams).toHaveLength(2);
  });

  test("connect: a stream whose error reads like a refusal is lost, and dialled again", async () => {
    const { port } = await serve();
    const link = manage().open({
      reconnect: QUICK,
      connect: ({ number }) => {
        const stream = net.connect(port, "127.0.0.1");
        if (number === 1) stream.once("connect", () => stream.destroy(new Error("authentication")));
        return stream;
      },
    });
    expect(await firstFailure(link)).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    await link.connected();
  });

  test("a terminal RespliceError from a function of the application's ends the link", async () => {
    const link = manage().open({
      connect: () => {
        throw new RespliceError("AUTHENTICATION_REFUSED", "the proxy says no");
      },
    });
    expect((await link.closed).error).toMatchObject({ code: "AUTHENTICATION_REFUSED", message: "the proxy says no" });
  });
});

describe("the addresses of a name", () => {
  /** A lookup whose answers the test gives. */
  const finding = (...addresses: string[]) => {
    const names: string[] = [];
    const lookup: LookupFunction = (name, _, answer) => {
      names.push(name);
      setImmediate(() =>
        answer(
          null,
          addresses.map((address) => ({ address, family: net.isIP(address) })),
        ),
      );
    };
    return { names, lookup };
  };

  test("one that refuses is passed over in the same attempt", async () => {
    const { port } = await serve({ host: "127.0.0.2" }, echo);
    const { lookup } = finding("127.0.0.1", "127.0.0.2");
    const link = manage().open({ port, host: "a.example", lookup, reconnect: { maxAttempts: 1 } });
    await link.send("hello");
    expect(await receiveText(link)).toBe("hello");
    expect(link.remoteAddress).toBe("127.0.0.2");
  });

  test("one whose handshake fails rests, and the next attempt goes to another", async () => {
    const { port } = await serve({ host: "127.0.0.2" }, echo);
    const deaf = net.createServer((socket) => socket.destroy()).listen(port, "127.0.0.1");
    onTestFinished(() => void deaf.close());
    await once(deaf, "listening");
    const { lookup } = finding("127.0.0.1", "127.0.0.2");
    const link = manage().open({ port, host: "a.example", lookup, reconnect: { ...QUICK, maxAttempts: 2 } });
    await link.send("hello");
    expect(await receiveText(link)).toBe("hello");
    expect(link.remoteAddress).toBe("127.0.0.2");
  });

  test("links of one manager share the lookup of a name", async () => {
    const { port } = await serve();
    const { names, lookup } = finding("127.0.0.1");
    const manager = manage({ defaults: { lookup } });
    const links = Array.from({ length: 10 }, () => manager.open({ port, host: "a.example" }));
    await Promise.all(links.map((link) => link.connected()));
    expect(names).toEqual(["a.example"]);
  });

  test("a link that gives up while it waits for one leaves it to the others", async () => {
    const { port } = await serve();
    const answers: Array<() => void> = [];
    const lookup: LookupFunction = (_, __, answer) =>
      void answers.push(() => answer(null, [{ address: "127.0.0.1", family: 4 }]));
    const manager = manage({ defaults: { lookup } });
    const [one, two] = [manager.open({ port, host: "a.example" }), manager.open({ port, host: "a.example" })];
    await eventually(() => expect(answers.length).toBe(1));
    await one.close({ deadlineMs: 0 });
    answers[0]?.();
    await two.connected();
    expect(answers.length).toBe(1);
  });
});
