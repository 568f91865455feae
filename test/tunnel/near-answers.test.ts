/** What a near end makes of the answers of a far end: here the test is the far end. */
import { once } from "node:events";
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Link } from "../../src/index.ts";
import type { Ending } from "../../src/tunnel/join.ts";
import { NearCarrier } from "../../src/tunnel/near-carrier.ts";
import { objectRecord, RECORD, record, type RecordHandler, RecordReader } from "../../src/tunnel/records.ts";
import { LINK_OPTIONS } from "../../src/tunnel/terms.ts";
import { eventually, ManualClock, openTo, serve } from "../support.ts";
import { readAll, whenItStands } from "./stage.ts";

const NOTHING = Buffer.alloc(0);
const OPENED = record(RECORD.opened, NOTHING);
const END = record(RECORD.end, NOTHING);
const DONE = record(RECORD.done, NOTHING);
const REFUSED = objectRecord(RECORD.refused, { code: "no", message: "not today" });
const DATA = record(RECORD.data, Buffer.from("x"));

interface Stage {
  /** The application's side of its connection. */
  readonly app: net.Socket;
  readonly carrier: NearCarrier;
  readonly clock: ManualClock;
  /** How often the link was free. */
  free(): number;
  readonly ending: Promise<Ending>;
  /** The far end's link. */
  readonly far: Link;
  /** The types of the records that the far end was sent. */
  readonly heard: number[];
}

/** A connection that the far end has been asked to open. */
async function carried(onData: RecordHandler["onData"] = () => {}): Promise<Stage> {
  const { port, links } = await serve(LINK_OPTIONS);
  const clock = new ManualClock(0);
  let free = 0;
  const carrier = new NearCarrier(
    openTo(port, LINK_OPTIONS),
    { onAway: () => {}, onFree: () => void free++, onGone: () => {} },
    clock,
  );
  const far = await links.next();
  const heard: number[] = [];
  const handler: RecordHandler = {
    onData: (part, isFollowed) => {
      heard.push(RECORD.data);
      return onData(part, isFollowed);
    },
    onRecord: (type) => void heard.push(type),
  };
  const reader = new RecordReader(handler);
  far.onMessage((bytes) => reader.push(bytes));
  const { app, socket } = await connection();
  const ended = Promise.withResolvers<Ending>();
  carrier.connect(socket, { to: "db:1", ends: undefined }, ended.resolve);
  await eventually(() => expect(heard).toEqual([RECORD.open]));
  return { app, carrier, clock, free: () => free, ending: ended.promise, far, heard };
}

async function connection(): Promise<{ app: net.Socket; socket: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const app = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
  const [socket] = (await once(server, "connection")) as [net.Socket];
  onTestFinished(() => {
    server.close();
    app.destroy();
    socket.destroy();
  });
  return { app, socket };
}

describe("a far end that breaks the rules loses the link, and the application is reset", () => {
  test.each([
    ["DATA before OPENED", [DATA]],
    ["END before OPENED", [END]],
    ["a second OPENED", [OPENED, OPENED]],
    ["REFUSED after OPENED", [OPENED, REFUSED]],
    ["a record of the near end", [record(RECORD.open, NOTHING)]],
    ["REFUSED without a reason", [record(RECORD.refused, NOTHING)]],
  ])("%s", async (_, records) => {
    const { app, far, ending } = await carried();
    const read = readAll(app);
    await far.send(Buffer.concat(records));
    expect((await far.closed).error?.peerCode).toBe("tunnel-record");
    expect((await read).end).toBe("ECONNRESET");
    expect((await ending).isWhole).toBe(false);
  });
});

test("a far end that has not connected after ten seconds is waited for no longer", async () => {
  const { app, far, clock, ending } = await carried();
  const read = readAll(app);
  clock.pass(9_999);
  expect(app.destroyed).toBe(false);
  clock.pass(1);
  expect((await read).end).toBe("ECONNRESET");
  expect((await ending).reason).toBe("the far end has not connected within 10 s");
  expect((await far.closed).error?.code).toBe("PEER_ABORTED");
});

test.each([
  ["connected", OPENED],
  ["refused", REFUSED],
])("a far end that has %s has all the time for what follows", async (_, answer) => {
  const { far, clock, free } = await carried();
  await far.send(answer);
  await eventually(() => expect(clock.isAwaited).toBe(false));
  clock.pass(60_000);
  expect(far.state).toBe("connected");
  expect(free()).toBe(0);
});

test("who is refused is reset, and what it has sent ends with END: the link goes on", async () => {
  const { app, far, free, ending, heard } = await carried();
  const read = readAll(app);
  app.write("x");
  await eventually(() => expect(heard).toEqual([RECORD.open, RECORD.data]));
  await far.send(REFUSED);
  expect((await read).end).toBe("ECONNRESET");
  expect((await ending).reason).toBe("no: not today");
  await eventually(() => expect(heard).toEqual([RECORD.open, RECORD.data, RECORD.end]));
  expect(free()).toBe(0);
  await far.send(DONE);
  await eventually(() => expect(free()).toBe(1));
});

test("a far end that reads nothing holds the application up; when that resets it is found out", async () => {
  const { app, far, clock, ending } = await carried(() => new Promise(() => {}));
  await far.send(OPENED);
  await eventually(() => expect(clock.isAwaited).toBe(false));
  const chunk = Buffer.alloc(65_536);
  const go = (): void => {
    while (!app.destroyed && app.write(chunk));
  };
  app.on("drain", go);
  go();
  const taken = (): number => app.bytesWritten - app.writableLength;
  // The link takes so much ahead, and the kernel some.
  expect(await whenItStands(taken)).toBeLessThan(16 * 1_048_576);
  app.resetAndDestroy();
  await once(app, "close");
  await eventually(() => {
    clock.pass(10_000);
    expect(clock.isAwaited).toBe(false);
  });
  expect((await ending).reason).toBe("reset");
});
