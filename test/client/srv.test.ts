import dgram from "node:dgram";
import type { SrvRecord } from "node:dns";
import { once } from "node:events";
import { describe, expect, onTestFinished, test } from "vitest";
import { type SrvHost, srvOf } from "../../src/client/srv.ts";
import { srv } from "../../src/index.ts";
import { echo, failure, isPending, manage, ManualClock, QUICK, receiveText, refusal, serve } from "../support.ts";

const NAME = "_resplice._tcp.example.com";
const ATTEMPT = { number: 1, signal: new AbortController().signal };
const record = (name: string, priority = 0, weight = 0): SrvRecord => ({ name, port: 7, priority, weight });
const [A, B] = [record("a.example"), record("b.example")];

/** A service whose queries the test answers, and how often a resolver was made. */
function service(random = () => 0) {
  const clock = new ManualClock(0);
  const queries: Array<PromiseWithResolvers<SrvRecord[]>> = [];
  let resolvers = 0;
  const host: SrvHost = {
    clock,
    random,
    newResolver: () => {
      resolvers++;
      return {
        resolveSrv: (name) => {
          expect(name).toBe(NAME);
          const query = Promise.withResolvers<SrvRecord[]>();
          queries.push(query);
          return query.promise;
        },
        cancel: () => queries.at(-1)?.reject(Object.assign(new Error("cancelled"), { code: "ECANCELLED" })),
      };
    },
  };
  const endpoints = srvOf(NAME, host);
  const hosts = async (signal = ATTEMPT.signal): Promise<string[]> => {
    const found = await endpoints({ number: 1, signal });
    return found.map((endpoint) => ("host" in endpoint ? `${endpoint.host}:${endpoint.port}` : "a path"));
  };
  /** One call, and the answer to its query. */
  const ask = async (answer: SrvRecord[] | Error): Promise<string[]> => {
    const asked = hosts();
    const query = queries.at(-1);
    if (answer instanceof Error) query?.reject(answer);
    else query?.resolve(answer);
    return asked;
  };
  return { clock, queries, hosts, ask, resolvers: () => resolvers };
}

const away = (): Error => Object.assign(new Error("querySrv ETIMEOUT"), { code: "ETIMEOUT" });

describe("the order", () => {
  test("the lowest priority is first", async () => {
    const records = [record("c", 20), record("a", 5), record("b", 10)];
    expect(await service().ask(records)).toEqual(["a:7", "b:7", "c:7"]);
  });

  test("by weight: the mark is drawn up to the sum, and falls on the first whose running sum reaches it", async () => {
    const records = [record("heavy", 0, 60), record("light", 0, 20), record("none", 0, 0), record("other", 0, 20)];
    expect(await service(() => 0).ask(records)).toEqual(["none:7", "light:7", "other:7", "heavy:7"]);
    expect(await service(() => 0.999).ask(records)).toEqual(["heavy:7", "other:7", "light:7", "none:7"]);
    // 0.3 of 101 is 30: beyond "light" (20), within "other" (40).
    expect((await service(() => 0.3).ask(records))[0]).toBe("other:7");
  });

  test("each is drawn as often as its weight says", async () => {
    let seed = 1;
    const random = (): number => {
      seed = (seed * 16_807) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const { ask } = service(random);
    const firsts = new Map<string, number>();
    for (let i = 0; i < 4_000; i++) {
      const [first = ""] = await ask([record("three", 0, 75), record("one", 0, 25)]);
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    expect((firsts.get("three:7") ?? 0) / 4_000).toBeCloseTo(0.75, 1);
  });
});

describe("a query", () => {
  test("is shared by those that come while it is under way", async () => {
    const { queries, hosts } = service();
    const [one, two] = [hosts(), hosts()];
    expect(queries.length).toBe(1);
    queries[0]?.resolve([A]);
    expect([await one, await two]).toEqual([["a.example:7"], ["a.example:7"]]);
    void hosts();
    expect(queries.length).toBe(2);
  });

  test("that nobody waits for any more is taken back, and the next caller begins another", async () => {
    const { queries, hosts } = service();
    const gone = [new AbortController(), new AbortController()];
    const asked = gone.map(({ signal }) => failure(hosts(signal)));
    gone[0]?.abort();
    expect(await isPending(Promise.race(asked))).toBe(true);
    gone[1]?.abort();
    const next = hosts();
    expect(queries.length).toBe(2);
    queries[1]?.resolve([A]);
    expect(await next).toEqual(["a.example:7"]);
    expect(await Promise.all(asked)).toMatchObject([{ cause: { code: "ECANCELLED" } }, { code: "CONNECT_FAILED" }]);
  });

  test("that fails leaves the last good list", async () => {
    const { ask } = service();
    await ask([A]);
    expect(await ask(away())).toEqual(["a.example:7"]);
    expect(await ask([B])).toEqual(["b.example:7"]);
    expect(await ask(away())).toEqual(["b.example:7"]);
  });

  test("that takes longer than 2 s does so too, and what it brings is used next", async () => {
    const { clock, queries, hosts, ask } = service();
    await ask([A]);
    const asked = hosts();
    clock.pass(1_999);
    expect(await isPending(asked)).toBe(true);
    clock.pass(1);
    expect(await asked).toEqual(["a.example:7"]);
    const again = hosts();
    expect(queries.length).toBe(2);
    queries[1]?.resolve([B]);
    expect(await again).toEqual(["b.example:7"]);
  });

  test("that fails before there is a list fails the attempt, which is retried", async () => {
    const { ask } = service();
    expect(await failure(ask(away()))).toMatchObject({
      code: "CONNECT_FAILED",
      retryable: true,
      message: `no SRV records of ${NAME}: ETIMEOUT`,
      cause: { code: "ETIMEOUT" },
    });
  });

  test.each([".", ""])(
    "whose target is %j says that there is no such service, whatever was found before",
    async (root) => {
      const { ask } = service();
      await ask([A]);
      expect(await failure(ask([record(root)]))).toMatchObject({
        code: "CONNECT_FAILED",
        retryable: true,
        message: `${NAME} says that there is no such service`,
      });
      // The list from before is not good any more.
      expect(await failure(ask(away()))).toMatchObject({ message: `no SRV records of ${NAME}: ETIMEOUT` });
    },
  );
});

test("a resolver is replaced after a minute, and after a failure", async () => {
  const { clock, ask, resolvers } = service();
  await ask([A]);
  clock.pass(59_999);
  await ask([A]);
  expect(resolvers()).toBe(1);
  clock.pass(1);
  await ask([A]);
  expect(resolvers()).toBe(2);
  await ask(away());
  await ask([A]);
  expect(resolvers()).toBe(3);
});

test.each<[string, () => unknown]>([
  ["name", () => srv("")],
  ["srv.servers", () => srv(NAME, { servers: ["dns.example"] })],
  ["srv.servers", () => srv(NAME, { servers: "10.0.0.53" as never })],
  ["srv.server", () => srv(NAME, { server: ["10.0.0.53"] } as never)],
])("an option that is wrong is refused: %s", (name, act) => {
  expect(refusal(act)).toMatchObject({ code: "INVALID_OPTION", option: { name } });
});

test("over the wire: a link finds its server by a DNS server's records", async () => {
  const { port } = await serve({}, echo);
  const dns = await answering([
    { priority: 1, weight: 0, port, target: "127.0.0.1" },
    { priority: 0, weight: 0, port: 1, target: "localhost" },
  ]);
  const endpoints = srv(NAME, { servers: [`127.0.0.1:${dns}`] });
  const link = manage().open({ endpoints, reconnect: QUICK });
  await link.send("hello");
  expect(await receiveText(link)).toBe("hello");
});

interface WireRecord {
  priority: number;
  weight: number;
  port: number;
  target: string;
}

/** A DNS server that answers every query with these SRV records. Answers its port. */
async function answering(records: readonly WireRecord[]): Promise<number> {
  const socket = dgram.createSocket("udp4");
  onTestFinished(() => void socket.close());
  socket.on("message", (query, from) => {
    // The header is 12 bytes; the name of the question ends with an empty label, and has 4 bytes of type and class after it.
    const question = query.subarray(12, query.indexOf(0, 12) + 5);
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    socket.send(Buffer.concat([header, question, ...records.map(encoded)]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket.address().port;
}

function encoded({ priority, weight, port, target }: WireRecord): Buffer {
  const labels = target.split(".").flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  const name = Buffer.concat([...labels, Buffer.from([0])]);
  const data = Buffer.alloc(6);
  for (const [at, value] of [priority, weight, port].entries()) data.writeUInt16BE(value, 2 * at);
  // The name is that of the question, at byte 12. Type SRV, class IN, no time to live.
  const head = Buffer.from([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 0, 0, data.length + name.length]);
  return Buffer.concat([head, data, name]);
}
