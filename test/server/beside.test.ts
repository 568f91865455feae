// What is beside a server may fail: its logger, its handlers, the functions of its options, the machine.
import { describe, expect, test } from "vitest";
import { type ConnectionManagerOptions, type Link, ServerSupervisor, type SupervisorEvents } from "../../src/index.ts";
import {
  certificate,
  echo,
  eventually,
  failure,
  heard,
  logKeeper,
  manage,
  openTo,
  rawClient,
  receiveText,
  runToExit,
  serve,
  turned,
  withUncaught,
} from "../support.ts";

const host = "127.0.0.1";

describe("a logger that throws", () => {
  test("1,180 anonymous connections: the server and its links go on, and the lines are counted", async () => {
    const fail = (): never => {
      throw new Error("ENOSPC: no space left on device");
    };
    const uncaught = await withUncaught(async () => {
      const { port, supervisor } = await serve({ logger: { debug: fail, info: fail, warn: fail, error: fail } }, echo);
      const link = openTo(port);
      await link.send("before");
      expect(await receiveText(link)).toBe("before");
      for (let batch = 0; batch < 59; batch++) {
        const strangers = await Promise.all(Array.from({ length: 20 }, () => rawClient(port)));
        for (const { socket } of strangers) socket.write("GET / HTTP/1.1\r\n\r\n");
        await Promise.all(strangers.map(({ closed }) => closed));
      }
      await link.send("after");
      expect(await receiveText(link)).toBe("after");
      const { written, suppressed, failed } = supervisor.stats().lines;
      expect(written).toBe(0);
      expect(failed).toBeGreaterThan(0);
      expect(failed + suppressed).toBeGreaterThanOrEqual(1_180);
      await supervisor.close();
      expect(supervisor.state).toBe("closed");
    });
    expect(uncaught).toEqual([]);
  });

  test("the process hears of it by one warning", async () => {
    const printed = await runToExit(`
      process.on("warning", ({ name, code, message, detail }) => console.log(name, code, message.includes("disk full"), detail.split("\\n")[0]));
      const fail = () => { throw new Error("disk full"); };
      const logger = { debug: fail, info: fail, warn: fail, error: fail };
      for (let server = 0; server < 3; server++) {
        const supervisor = new resplice.ServerSupervisor({ port: 0, host: "127.0.0.1", logger });
        supervisor.serve(() => {});
        await supervisor.listen();
        await supervisor.close();
      }
    `);
    expect(printed).toBe("RespliceWarning RESPLICE_LOGGER_FAILED true Error: disk full");
  });
});

describe("what strangers bring about", () => {
  test("is written at a bounded rate, and nothing is left out in silence", async () => {
    const { lines, logger } = logKeeper();
    const { port, supervisor } = await serve({ logger });
    for (let batch = 0; batch < 20; batch++) {
      const strangers = await Promise.all(Array.from({ length: 20 }, () => rawClient(port)));
      for (const { socket } of strangers) socket.write("GET / HTTP/1.1\r\n\r\n");
      await Promise.all(strangers.map(({ closed }) => closed));
    }
    await supervisor.close();
    const rejected = lines.filter(({ event, of }) => event === "server.rejected" || of === "server.rejected");
    const own = rejected.filter(({ event }) => event === "server.rejected").length;
    expect(own).toBeLessThan(300);
    const leftOut = rejected.reduce((sum, { suppressed = 0 }) => sum + Number(suppressed), 0);
    expect(own + leftOut).toBe(400);
    expect(supervisor.stats().lines).toEqual({ written: lines.length, suppressed: leftOut, failed: 0 });
  });
});

const thrown: Array<[string, unknown]> = [
  ["an Error", new Error("mine", { cause: new Error("inner") })],
  ["undefined", undefined],
  ["null", null],
  ["an object that cannot be told", Object.create(null)],
  [
    "an Error with a getter that throws",
    Object.defineProperty(new Error("mine"), "message", {
      get: () => {
        throw new Error("a getter's");
      },
    }),
  ],
];
const handlers: Array<[string, (link: Link, error: unknown) => void | Promise<void>]> = [
  [
    "serve() throws",
    (_, error) => {
      throw error;
    },
  ],
  [
    "serve() rejects with",
    async (_, error) => {
      await Promise.resolve();
      throw error;
    },
  ],
  [
    "onMessage() throws",
    (link, error) =>
      link.onMessage(() => {
        throw error;
      }),
  ],
  [
    "onMessage() rejects with",
    (link, error) =>
      link.onMessage(async () => {
        await Promise.resolve();
        throw error;
      }),
  ],
  [
    "a promise of a library's own throws",
    (link, error) =>
      link.onMessage(
        () =>
          ({
            // oxlint-disable-next-line unicorn/no-thenable
            then: () => {
              throw error;
            },
          }) as unknown as Promise<void>,
      ),
  ],
];

describe("a handler's error", () => {
  describe.each(handlers)("%s", (_name, handler) => {
    test.each(thrown)("%s: an event with the link, and a line with cause and stack", async (_, error) => {
      const { lines, logger } = logKeeper();
      const told: Array<SupervisorEvents["handlerError"][0]> = [];
      const uncaught = await withUncaught(async () => {
        const { port, links, supervisor } = await serve({ logger }, (link) => handler(link, error));
        const failed = new Promise<void>((resolve) => {
          supervisor.on("handlerError", (event) => {
            told.push(event);
            resolve();
          });
        });
        const client = openTo(port, { whenSessionLost: "end" });
        client.trySend("x");
        const server = await links.next();
        await failed;
        expect(await server.closed).toMatchObject({ error: { code: "HANDLER_FAILED" } });
        expect(told).toEqual([{ link: server, error }]);
      });
      expect(uncaught).toEqual([]);
      const of = lines.filter(({ event }) => event === "link.handler-failed");
      expect(of).toMatchObject([{ level: "error", link: told[0]?.link.id, session: told[0]?.link.sessionId }]);
      expect(of[0]?.err).toBeInstanceOf(Error);
      if (error instanceof Error && error.cause !== undefined) expect(of[0]?.err).toBe(error);
    });
  });

  test("at the client: a line, and the error event of the link", async () => {
    const { lines, logger } = logKeeper();
    const { port, links } = await serve();
    const link = manage({ logger }).open({ port, host });
    const error = new Error("mine");
    link.onMessage(() => {
      throw error;
    });
    const ended = heard(link, "error");
    (await links.next()).trySend("x");
    expect((await ended).cause).toBe(error);
    expect(lines.filter(({ event }) => event === "link.handler-failed")).toMatchObject([{ link: link.id, err: error }]);
  });

  test("of a link that has ended: told of as well, but not what the link itself threw at it", async () => {
    const { lines, logger } = logKeeper();
    let fail: (error: unknown) => void = () => {};
    const { port, links } = await serve({ logger }, async (link) => {
      for await (const _ of link);
      await new Promise((_, reject) => {
        fail = reject;
      });
    });
    const told = (): unknown[] => lines.filter(({ event }) => event === "link.handler-failed").map(({ err }) => err);

    // Its loop throws PEER_ABORTED.
    const aborting = openTo(port);
    await aborting.connected();
    const aborted = await links.next();
    aborting.abort("enough");
    expect((await aborted.closed).error).toMatchObject({ code: "PEER_ABORTED" });

    const ending = openTo(port);
    await ending.connected();
    const ended = await links.next();
    await ending.close();
    await ended.closed;
    expect(told()).toEqual([]);
    const error = new Error("after the end");
    fail(error);
    await eventually(() => expect(told()).toEqual([error]));
  });

  test("a listener that throws ends neither the server nor other links", async () => {
    const uncaught = await withUncaught(async () => {
      const { port, supervisor } = await serve({}, (link) => {
        link.onMessage((message) => {
          if (String(message) === "poison") throw new Error("the handler's");
          link.trySend(message);
        });
      });
      supervisor.on("handlerError", () => {
        throw new Error("the listener's");
      });
      const good = openTo(port);
      const bad = openTo(port, { whenSessionLost: "end" });
      bad.trySend("poison");
      expect((await bad.closed).error).toMatchObject({ code: "SESSION_LOST" });
      await good.send("still here");
      expect(await receiveText(good)).toBe("still here");
    });
    expect(uncaught).toMatchObject([{ message: "the listener's" }]);
  });

  const program = (listen: string): string => `
    process.on("warning", ({ code, detail }) => console.log(code, detail.split("\\n")[0]));
    const supervisor = new resplice.ServerSupervisor({ port: 0, host: "127.0.0.1" });
    supervisor.serve((link) => {
      ${listen}
      link.onMessage(() => { throw new Error("mine"); });
    });
    const { port } = await supervisor.listen();
    const manager = new resplice.ConnectionManager();
    for (let at = 0; at < 3; at++) {
      const link = manager.open({ port, host: "127.0.0.1", whenSessionLost: "end" });
      link.trySend("x");
      await link.closed;
    }
    await manager.close();
    await supervisor.close();
  `;

  test("where nobody listens: one process warning", async () => {
    expect(await runToExit(program(""))).toBe("RESPLICE_HANDLER_FAILED Error: mine");
  });

  test.each([
    ["the link's 'error'", `link.on("error", () => {});`],
    ["the supervisor's 'handlerError'", `supervisor.on("handlerError", () => {});`],
  ])("where somebody listens to %s: none", async (_, listen) => {
    expect(await runToExit(program(listen))).toBe("");
  });
});

describe("functions of the options", () => {
  test.each([
    [
      "throws",
      (error: unknown): never => {
        throw error;
      },
    ],
    [
      "rejects with",
      (error: unknown): Promise<never> =>
        new Promise((_, reject) => {
          reject(error);
        }),
    ],
  ])("an authenticate() that %s anything refuses that attempt, and ends nothing", async (_, fail) => {
    for (const [, error] of thrown) {
      const { lines, logger } = logKeeper();
      let calls = 0;
      const uncaught = await withUncaught(async () => {
        const { port } = await serve({
          logger,
          authenticate: () => {
            calls++;
            return calls === 1 ? fail(error) : "somebody";
          },
        });
        const link = openTo(port);
        expect((await turned(link, "reconnecting")).error).toMatchObject({ code: "AUTHENTICATION_UNAVAILABLE" });
        await link.connected();
      });
      expect(uncaught).toEqual([]);
      const line = lines.find(({ event }) => event === "server.rejected");
      expect(line).toMatchObject({ reason: "authenticate() failed", detail: expect.any(String) as string });
      expect(line?.err).toBeInstanceOf(Error);
    }
  });

  test("a checkServerIdentity() that throws fails that attempt, and ends nothing", async () => {
    const { key, cert } = await certificate();
    const { port } = await serve({ tls: { key, cert } });
    let calls = 0;
    const uncaught = await withUncaught(async () => {
      const link = openTo(port, {
        tls: {
          ca: cert,
          checkServerIdentity: () => {
            calls++;
            if (calls === 1) throw new Error("mine");
            return undefined;
          },
        },
      });
      const { error } = await turned(link, "reconnecting");
      expect(error).toMatchObject({ code: "CONNECT_FAILED", message: `127.0.0.1:${port}: mine` });
      await link.connected();
    });
    expect(uncaught).toEqual([]);
  });

  test.each([null, {}, "soon"])("close({ signal: %j }) throws before anything has changed", async (signal) => {
    const { supervisor, port } = await serve({ mode: "bytes" }, () => {});
    const link = openTo(port, { mode: "bytes" });
    await link.connected();
    for (const closing of [supervisor, link]) {
      const error = await failure(() => closing.close({ signal: signal as unknown as AbortSignal }));
      expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "signal" } });
    }
    expect([supervisor.state, link.state]).toEqual(["listening", "connected"]);
  });

  test("a logger with a getter that throws is an invalid option", async () => {
    const logger = Object.defineProperty({}, "debug", {
      get: () => {
        throw new Error("mine");
      },
    }) as NonNullable<ConnectionManagerOptions["logger"]>;
    expect(await failure(() => new ServerSupervisor({ port: 0, logger }))).toMatchObject({ code: "INVALID_OPTION" });
  });
});
