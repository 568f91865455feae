/** A near end's side of a link, whose far end is written by the test, and whose application is a stream of the test. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { onTestFinished, describe, expect, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import type { Link } from "../../src/index.ts";
import { linkPair } from "../../src/testing/index.ts";
import type { Ending } from "../../src/tunnel/join.ts";
import { NearCarrier } from "../../src/tunnel/near-carrier.ts";
import { RECORD, record, type RecordType } from "../../src/tunnel/records.ts";
import { LINK_OPTIONS } from "../../src/tunnel/terms.ts";
import { eventually } from "../support.ts";

/** As a Unix socket: its application takes what is written when the test says so. */
class Application extends Duplex {
  readonly taken: Buffer[] = [];
  #onTaken: Array<() => void> = [];
  #isSlow = false;

  constructor() {
    super({ allowHalfOpen: true });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: string, done: () => void): void {
    const take = (): void => {
      this.taken.push(chunk);
      done();
    };
    if (this.#isSlow) this.#onTaken.push(take);
    else take();
  }

  /** It takes nothing until `hurry()`. */
  dawdle(): this {
    this.#isSlow = true;
    return this;
  }

  hurry(): void {
    this.#isSlow = false;
    for (const take of this.#onTaken.splice(0)) take();
  }
}

interface Stage {
  readonly application: Application;
  /** The far end's side. */
  readonly far: Link;
  readonly near: Link;
  readonly endings: Ending[];
  /** What became of the carrier. */
  readonly said: string[];
  /** The far end says all of these. */
  say(...records: Array<readonly [RecordType, string?]>): Promise<void>;
}

function stage(): Stage {
  const { client: near, server: far } = withPair();
  const endings: Ending[] = [];
  const said: string[] = [];
  far.onMessage(() => {});
  const carrier = new NearCarrier(
    near,
    { onAway: () => {}, onFree: () => void said.push("free"), onGone: () => void said.push("gone") },
    new SystemClock(),
  );
  const application = new Application();
  onTestFinished(() => void application.destroy());
  const open = { to: "localhost:1", ends: undefined };
  carrier.connect(application as unknown as Socket, open, (ending) => void endings.push(ending));
  const say: Stage["say"] = async (...records) => {
    for (const [type, text = ""] of records) await far.send(record(type, Buffer.from(text)));
  };
  return { application, far, near, endings, said, say };
}

function withPair(): { client: Link; server: Link } {
  const pair = linkPair({ client: LINK_OPTIONS, server: LINK_OPTIONS });
  onTestFinished(() => pair[Symbol.asyncDispose]());
  return pair;
}

const ANSWER = [[RECORD.opened], [RECORD.data, "answer"], [RECORD.end], [RECORD.done]] as const satisfies ReadonlyArray<
  readonly [RecordType, string?]
>;

describe("when the far end is done with a connection", () => {
  test("the link is free as soon as the application has taken all", async () => {
    const { application, endings, said, say } = stage();
    application.dawdle().push(null);
    await say(...ANSWER);
    await eventually(() => expect(application.writableEnded).toBe(true));
    expect(said).toEqual([]);
    application.hurry();
    await eventually(() => expect(said).toEqual(["free"]));
    expect(endings).toMatchObject([{ isWhole: true, toSocket: 6 }]);
  });

  test.each(["ended", "aborted"])("and the link is %s, a slow application still gets all", async (how) => {
    const { application, far, near, endings, said, say } = stage();
    application.dawdle().push(null);
    await say(...ANSWER);
    await far.flush();
    if (how === "ended") far.end();
    else far.abort("closing");
    await near.closed;
    expect(endings).toEqual([]);
    application.hurry();
    await eventually(() => expect(said).toEqual(["gone"]));
    expect(String(Buffer.concat(application.taken))).toBe("answer");
    expect(endings).toMatchObject([{ isWhole: true }]);
  });
});

test("a link that ends before the far end is done cuts the application off", async () => {
  const { application, far, endings, said, say } = stage();
  application.dawdle().push(null);
  await say([RECORD.opened], [RECORD.data, "answer"], [RECORD.end]);
  await far.flush();
  far.abort("closing");
  await eventually(() => expect(said).toEqual(["gone"]));
  expect(application.destroyed).toBe(true);
  expect(endings).toMatchObject([{ isWhole: false, reason: "the other end: closing" }]);
});

test("a link that ends when the application has ended, and before the far end is done: that is said", async () => {
  const { application, far, endings, said, say } = stage();
  application.push(null);
  await say([RECORD.opened], [RECORD.end]);
  await eventually(() => expect(application.destroyed).toBe(true));
  expect(endings).toEqual([]);
  far.abort("closing");
  await eventually(() => expect(said).toEqual(["gone"]));
  expect(endings).toMatchObject([{ isWhole: false, reason: "the other end: closing" }]);
});

test("an application whose socket is destroyed before it has taken all has not ended in order", async () => {
  const { application, endings, say } = stage();
  application.dawdle().push(null);
  await say([RECORD.opened], [RECORD.data, "answer"], [RECORD.end]);
  await eventually(() => expect(application.writableEnded).toBe(true));
  application.destroy();
  await eventually(() => expect(endings).toMatchObject([{ isWhole: false, reason: "closed" }]));
});

test.each<[string, ReadonlyArray<readonly [RecordType, string?]>]>([
  ["DATA before OPENED", [[RECORD.data, "x"]]],
  ["END before OPENED", [[RECORD.end]]],
  ["DONE before the answer", [[RECORD.done]]],
  ["DONE before the far end's END", [[RECORD.opened], [RECORD.done]]],
  ["a second answer", [[RECORD.opened], [RECORD.opened]]],
  ["DATA behind END", [[RECORD.opened], [RECORD.end], [RECORD.data, "x"]]],
  ["a second END", [[RECORD.opened], [RECORD.end], [RECORD.end]]],
  ["a record of the near end", [[RECORD.open, "{}"]]],
])("%s: the link is aborted, and the application cut off", async (_, records) => {
  const { application, far, endings, said, say } = stage();
  await say(...records).catch(() => {});
  const { error } = await far.closed;
  expect(error?.peerCode).toBe("tunnel-record");
  await eventually(() => expect(said).toEqual(["gone"]));
  expect(application.destroyed).toBe(true);
  expect(endings).toMatchObject([{ isWhole: false }]);
});

test("DONE before the near end's END: the same", async () => {
  const { far, endings, say } = stage();
  await say([RECORD.opened], [RECORD.end], [RECORD.done]);
  expect((await far.closed).error?.peerCode).toBe("tunnel-record");
  await eventually(() => expect(endings).toMatchObject([{ isWhole: false }]));
});
