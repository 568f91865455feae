import { once } from "node:events";
import net, { type LookupFunction, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import type { ConnectSocket } from "../../src/io/dial.ts";
import type { Clock } from "../../src/link/ports.ts";
import { AllowList } from "../../src/tunnel/allow.ts";
import { parseTarget } from "../../src/tunnel/target.ts";
import { TargetRefused, Targets } from "../../src/tunnel/targets.ts";
import { deadSocket } from "../dead-socket.ts";
import { Arrivals, failure, ManualClock, rawServer, socketPath, unusedPort } from "../support.ts";

const never = new AbortController().signal;

const HOSTS: Readonly<Record<string, readonly string[]>> = {
  "two.example": ["10.0.0.5", "127.0.0.1"],
  "rebound.example": ["10.0.0.5"],
};
const lookup: LookupFunction = (host, _, answer) => {
  const addresses = HOSTS[host];
  if (addresses === undefined) answer(new Error(`getaddrinfo ENOTFOUND ${host}`), []);
  else
    answer(
      null,
      addresses.map((address) => ({ address, family: 4 })),
    );
};

/** Targets whose names are those above, and what is dialled. */
function targetsOf(allow: string[], connectSocket?: ConnectSocket, clock: Clock = new SystemClock()) {
  const dialled: string[] = [];
  const targets = new Targets(clock, new AllowList(allow), {
    lookup,
    connectSocket: (to) => {
      dialled.push("path" in to ? to.path : `${to.host} ${to.port}`);
      return (connectSocket ?? net.connect)(to);
    },
  });
  const connect = async (text: string, identity?: string, signal: AbortSignal = never): Promise<Socket> => {
    const socket = await targets.connect(parseTarget(text), identity, signal);
    onTestFinished(() => void socket.destroy());
    return socket.on("error", () => {});
  };
  const refused = async (text: string, identity?: string): Promise<TargetRefused> => {
    const error: unknown = await connect(text, identity).catch((problem: unknown) => problem);
    if (!(error instanceof TargetRefused)) throw new Error(`not refused: ${String(error)}`);
    return error;
  };
  return { targets, dialled, connect, refused };
}

/** A socket whose dial fails with this code. */
const failing =
  (code: string): ConnectSocket =>
  () => {
    const socket = new net.Socket();
    setImmediate(() => socket.destroy(Object.assign(new Error(`connect ${code}`), { code })));
    return socket;
  };
const silent: ConnectSocket = () => new net.Socket();

describe("a connection", () => {
  test("goes to an address that is allowed, and to no other of the name", async () => {
    const accepted = new Arrivals<Socket>();
    const port = await rawServer((socket) => accepted.put(socket));
    const { connect, dialled } = targetsOf([`127.0.0.1:${port}`]);
    const socket = await connect(`two.example:${port}`);
    expect(dialled).toEqual([`127.0.0.1 ${port}`]);
    socket.write("to the target");
    const target = await accepted.next();
    expect(String((await once(target, "data"))[0])).toBe("to the target");
  });

  test("has two directions that end apart", async () => {
    const port = await rawServer((socket) => void socket.end("all there is"));
    const { connect } = targetsOf([`127.0.0.1:${port}`]);
    const socket = await connect(`[::ffff:127.0.0.1]:${port}`);
    await once(socket.resume(), "end");
    await turn();
    expect([socket.allowHalfOpen, socket.writable]).toEqual([true, true]);
  });

  test("to a Unix socket", async () => {
    const path = await socketPath();
    const server = net.createServer((socket) => void socket.end("all there is").on("error", () => {}));
    onTestFinished(() => void server.close());
    await once(server.listen(path), "listening");
    const { connect, dialled } = targetsOf([`alice=unix:${path}`]);
    const socket = await connect(`unix:${path.replace("/", "/x/..//")}`, "alice");
    expect(dialled).toEqual([path]);
    await once(socket.resume(), "end");
    await turn();
    expect(socket.writable).toBe(true);
  });

  test("is found by a list that was put in place of the one before", async () => {
    const port = await rawServer(() => {});
    const { targets, connect, refused } = targetsOf([]);
    expect((await refused(`127.0.0.1:${port}`)).code).toBe("not-allowed");
    targets.allow = new AllowList([`127.0.0.1:${port}`]);
    await connect(`127.0.0.1:${port}`);
  });
});

describe("what is not allowed", () => {
  test.for([
    ["10.0.0.5:80", undefined],
    ["rebound.example:80", undefined],
    ["127.0.0.1:81", undefined],
    ["127.0.0.1:90", "bob"],
    ["unix:/run/db.sock", "bob"],
    ["gone.example:80", undefined],
  ] as const)("%s is not dialled, and is told no more than that", async ([text, identity]) => {
    const { refused, dialled } = targetsOf(["127.0.0.1:80", "alice=127.0.0.1:90", "alice=unix:/run/db.sock"]);
    const { code, told, message } = await refused(text, identity);
    expect([code, told]).toEqual(["not-allowed", `${text} is not allowed`]);
    expect(message).toMatch(/ is not allowed: (?:no entry of the allow-list|its name could not be looked up)/);
    expect(dialled).toEqual([]);
  });
});

describe("the target", () => {
  test.for<[problem: string, connectSocket: ConnectSocket, code: string, message: string]>([
    ["ECONNREFUSED", failing("ECONNREFUSED"), "refused", "two.example:80 refuses connections"],
    ["EHOSTUNREACH", failing("EHOSTUNREACH"), "unreachable", "two.example:80 cannot be reached"],
    ["ENETUNREACH", failing("ENETUNREACH"), "unreachable", "two.example:80 cannot be reached"],
    ["ETIMEDOUT", failing("ETIMEDOUT"), "timed-out", "two.example:80 does not answer within 8 s"],
    ["EMFILE", failing("EMFILE"), "failed", "two.example:80 cannot be connected to"],
  ])("fails with %s", async ([problem, connectSocket, code, message]) => {
    const error = await targetsOf(["two.example:80"], connectSocket).refused("two.example:80");
    expect(error.code).toBe(code);
    expect(error.message).toBe(`${message}: 10.0.0.5 ${problem}, 127.0.0.1 ${problem}`);
    expect(error.told).toBe(error.message);
  });

  test("refuses, of the system", async () => {
    const port = await unusedPort();
    const error = await targetsOf([`127.0.0.1:${port}`]).refused(`127.0.0.1:${port}`);
    expect(error.message).toBe(`127.0.0.1:${port} refuses connections: 127.0.0.1 ECONNREFUSED`);
  });

  test("has a name that is allowed and does not exist", async () => {
    const error = await targetsOf(["gone.example:80"]).refused("gone.example:80");
    expect(error.code).toBe("unknown-host");
    expect(error.told).toBe("gone.example:80: its name could not be looked up: getaddrinfo ENOTFOUND gone.example");
  });

  test("is a socket at which nobody listens", async () => {
    const [none, dead] = [await socketPath(), await socketPath()];
    await deadSocket(dead);
    const { refused } = targetsOf([`unix:${none}`, `unix:${dead}`]);
    expect(await refused(`unix:${none}`)).toMatchObject({
      code: "refused",
      message: `unix:${none} cannot be connected to: ${none}: nobody listens there: there is no such socket`,
    });
    expect((await refused(`unix:${dead}`)).code).toBe("refused");
  });
});

describe("time", () => {
  test("a target that does not answer is given up after 8 s", async () => {
    const clock = new ManualClock(0);
    const { refused, dialled } = targetsOf(["two.example:80"], silent, clock);
    const error = refused("two.example:80");
    await turn();
    clock.pass(7_999);
    expect(dialled.length).toBe(2);
    clock.pass(1);
    expect(await error).toMatchObject({
      code: "timed-out",
      message: "two.example:80 does not answer within 8 s: 10.0.0.5 no answer, 127.0.0.1 no answer",
    });
    expect(clock.isAwaited).toBe(false);
  });

  test("a name that is not answered is given up after 5 s", async () => {
    const clock = new ManualClock(0);
    const targets = new Targets(clock, new AllowList(["slow.example:80"]), { lookup: () => {} });
    const error = targets
      .connect(parseTarget("slow.example:80"), undefined, never)
      .catch((problem: unknown) => problem);
    clock.pass(5_000);
    expect(await error).toMatchObject({
      code: "unknown-host",
      message: "slow.example:80: its name could not be looked up: no answer within 5 s",
    });
    expect(clock.isAwaited).toBe(false);
  });

  test.for(["slow.example:80", "127.0.0.1:80"])("%s is aborted", async (text) => {
    const clock = new ManualClock(0);
    const targets = new Targets(clock, new AllowList([text]), { lookup: () => {}, connectSocket: silent });
    const controller = new AbortController();
    const connecting = targets.connect(parseTarget(text), undefined, controller.signal);
    await turn();
    controller.abort(new Error("the client has gone"));
    expect(await failure(connecting)).toMatchObject({ code: "ABORTED", cause: { message: "the client has gone" } });
    expect(clock.isAwaited).toBe(false);
  });
});

test("so many names are looked up at once, and no more", async () => {
  const clock = new ManualClock(0);
  const answers: Array<() => void> = [];
  const allow = new AllowList(["127.0.0.1:80"]);
  const targets = new Targets(clock, allow, {
    lookup: (_host, _options, answer) => void answers.push(() => answer(null, "10.0.0.5")),
  });
  const ask = (host: string): Promise<unknown> =>
    targets.connect({ host, port: 80 }, undefined, never).catch((problem: unknown) => (problem as Error).message);
  const first = Array.from({ length: 1_000 }, (_, at) => ask(`name-${at}.example`));
  expect(await ask("one-more.example")).toMatch(/too many names are being looked up/);
  expect(answers.length).toBe(1_000);
  for (const answer of answers) answer();
  await Promise.all(first);
  void ask("one-more.example");
  expect(answers.length).toBe(1_001);
});

test("a target that is taken back while it is connected to sees a reset, never an end", async () => {
  const how = Promise.withResolvers<string>();
  const port = await rawServer((socket) => {
    socket.on("error", (error: NodeJS.ErrnoException) => how.resolve(String(error.code)));
    socket.on("end", () => how.resolve("an end")).resume();
  });
  const target = `127.0.0.1:${port}`;
  const stop = new AbortController();
  const { connect } = targetsOf([target], (to) => {
    const socket = net.connect(to);
    // By then the kernel has connected it, on loopback, and Node has not heard of it.
    process.nextTick(() => stop.abort());
    return socket;
  });
  await expect(connect(target, undefined, stop.signal)).rejects.toThrow();
  expect(await how.promise).toBe("ECONNRESET");
});

test("a dial that is taken back is over after two looks at the network, connected or not", async () => {
  const socket = new net.Socket();
  // Node waits for the connection, which never comes.
  socket.resetAndDestroy = () => socket;
  const stop = new AbortController();
  const { connect } = targetsOf(["127.0.0.1:80"], () => {
    queueMicrotask(() => stop.abort());
    return socket;
  });
  await expect(connect("127.0.0.1:80", undefined, stop.signal)).rejects.toThrow();
  expect(socket.destroyed).toBe(false);
  await turn();
  await turn();
  expect(socket.destroyed).toBe(true);
});
