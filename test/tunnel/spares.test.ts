import { EventEmitter } from "eventemitter3";
import { expect, test } from "vitest";
import type { Link } from "../../src/index.ts";
import type { NearCarrier } from "../../src/tunnel/near-carrier.ts";
import { Spares } from "../../src/tunnel/spares.ts";
import { ManualClock } from "../support.ts";

/** A link that is connected when the test says so. */
class FakeCarrier {
  readonly createdMs: number;
  aborted = "";
  readonly #connected = Promise.withResolvers<void>();
  readonly link = Object.assign(new EventEmitter(), {
    state: "connecting",
    connected: () => this.#connected.promise,
  }) as unknown as Link & { state: string };

  constructor(createdMs: number) {
    this.createdMs = createdMs;
  }

  async connect(): Promise<void> {
    (this.link as { state: string }).state = "connected";
    this.#connected.resolve();
    await this.#connected.promise;
  }

  async fail(): Promise<void> {
    this.#connected.reject(new Error("refused"));
    await this.#connected.promise.catch(() => {});
  }

  abort(code: string): void {
    this.aborted = code;
  }
}

interface Stage {
  readonly spares: Spares;
  readonly clock: ManualClock;
  readonly opened: FakeCarrier[];
  setBusy(isBusy: boolean): void;
  /** Connects all that were opened and are not yet. */
  connectAll(): Promise<void>;
}

function stage(): Stage {
  const clock = new ManualClock(0);
  const opened: FakeCarrier[] = [];
  let isBusy = false;
  const spares = new Spares(
    {
      open: () => {
        const carrier = new FakeCarrier(clock.now());
        opened.push(carrier);
        return carrier as unknown as NearCarrier;
      },
      isBusy: () => isBusy,
    },
    clock,
  );
  return {
    spares,
    clock,
    opened,
    setBusy: (busy) => {
      isBusy = busy;
    },
    connectAll: async () => {
      for (const carrier of opened) if (carrier.link.state === "connecting") await carrier.connect();
    },
  };
}

test("four are opened ahead, and another for each that is taken", async () => {
  const { spares, opened, connectAll } = stage();
  spares.refill();
  expect(opened).toHaveLength(4);
  await connectAll();
  expect(spares.take()).toBeDefined();
  expect(opened).toHaveLength(5);
  spares.refill();
  expect(opened).toHaveLength(5);
});

test("one that is not connected yet is not taken", () => {
  const { spares } = stage();
  spares.refill();
  expect(spares.take()).toBeUndefined();
});

test("connections that find none make more of them, up to 32; when it is calm, fewer again", async () => {
  const { spares, opened, clock, connectAll } = stage();
  for (let n = 0; n < 10; n++) spares.take();
  spares.refill();
  await connectAll();
  expect(opened).toHaveLength(32);
  clock.pass(29_000);
  expect(opened.filter(({ aborted }) => aborted !== "")).toEqual([]);
  clock.pass(20_000);
  expect(opened.filter(({ aborted }) => aborted === "")).toHaveLength(4);
});

test("none is opened while connections wait for links of their own", () => {
  const { spares, opened, setBusy } = stage();
  setBusy(true);
  spares.refill();
  expect(opened).toHaveLength(0);
  setBusy(false);
  spares.refill();
  expect(opened).toHaveLength(4);
});

test("one whose connection has ended is taken before others are opened, and no more than 64 are kept", async () => {
  const { spares, clock } = stage();
  const back = Array.from({ length: 65 }, () => new FakeCarrier(clock.now()));
  for (const carrier of back) {
    await carrier.connect();
    spares.put(carrier as unknown as NearCarrier);
  }
  expect(back.map(({ aborted }) => aborted).filter((code) => code !== "")).toEqual(["spare-closed"]);
  expect(spares.take()).toBe(back[63]);
});

test.each(["suspect", "reconnecting", "draining", "closed"])(
  "one that is %s is not taken, and is closed",
  async (state) => {
    const { spares, opened, connectAll } = stage();
    spares.refill();
    await connectAll();
    const last = opened.at(-1) as FakeCarrier;
    (last.link as { state: string }).state = state;
    expect(spares.take()).toBe(opened[2]);
    expect(last.aborted).toBe("stale-spare");
  },
);

test("one that is older than five minutes is closed, and another is opened", async () => {
  const { spares, opened, clock, connectAll } = stage();
  spares.refill();
  await connectAll();
  clock.pass(300_000);
  expect(opened).toHaveLength(4);
  clock.pass(10_000);
  expect(opened.slice(0, 4).map(({ aborted }) => aborted)).toEqual(Array(4).fill("stale-spare"));
  expect(opened).toHaveLength(8);
});

test("a link that cannot be opened is tried again later, and not at once", async () => {
  const { spares, opened, clock } = stage();
  spares.refill();
  await Promise.all(opened.map((carrier) => carrier.fail()));
  expect(opened).toHaveLength(4);
  clock.pass(10_000);
  expect(opened).toHaveLength(8);
});

test("one that is dropped is closed, also if it was never connected", async () => {
  const { spares, opened, connectAll } = stage();
  spares.refill();
  const [first, second] = opened as [FakeCarrier, FakeCarrier];
  spares.drop(first as unknown as NearCarrier);
  await connectAll();
  spares.drop(second as unknown as NearCarrier);
  expect([first, second].map(({ aborted }) => aborted)).toEqual(["stale-spare", "stale-spare"]);
  // Nobody else's.
  const third = new FakeCarrier(0);
  spares.drop(third as unknown as NearCarrier);
  expect(third.aborted).toBe("");
});

test("one that cannot connect at its first attempt is given up: it would go on dialling", () => {
  const { spares, opened } = stage();
  spares.refill();
  for (const carrier of opened) spares.drop(carrier as unknown as NearCarrier);
  expect(opened.map(({ aborted }) => aborted)).toEqual(Array(4).fill("stale-spare"));
});

test("one that carried a connection during renew() is not used again", async () => {
  const { spares, opened, clock, connectAll } = stage();
  spares.refill();
  await connectAll();
  const busy = spares.take() as unknown as FakeCarrier;
  clock.pass(1);
  spares.renew();
  spares.put(busy as unknown as NearCarrier);
  expect(busy.aborted).toBe("spare-closed");
  expect(opened.filter(({ aborted }) => aborted === "")).toHaveLength(4);
});

test("renew() closes those that are open or opened, and opens others", async () => {
  const { spares, opened, connectAll } = stage();
  spares.refill();
  await opened[0]?.connect();
  spares.renew();
  expect(opened.slice(0, 4).map(({ aborted }) => aborted)).toEqual(Array(4).fill("renewed"));
  expect(opened).toHaveLength(8);
  await connectAll();
  // The first four are connected only now: they are no spares.
  expect(Array.from({ length: 5 }, () => spares.take())).not.toContain(opened[1]);
});

test("after close() none is kept, and none is opened", async () => {
  const { spares, opened, clock, connectAll } = stage();
  spares.refill();
  await connectAll();
  spares.close();
  expect(opened.every(({ aborted }) => aborted !== "")).toBe(true);
  const late = new FakeCarrier(clock.now());
  await late.connect();
  spares.put(late as unknown as NearCarrier);
  expect(late.aborted).toBe("spare-closed");
  clock.pass(60_000);
  expect(opened).toHaveLength(4);
  expect(clock.isAwaited).toBe(false);
});
