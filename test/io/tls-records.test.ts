/** A TLS socket gives what it has read record by record: whole records are handled together. */
import { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { StreamConnection } from "../../src/io/connection.ts";

const RECORD_BYTES = 16_384;

interface Stage {
  readonly connection: StreamConnection;
  readonly heard: string[];
  /** The socket gives chunks of these sizes. */
  gives(...sizes: number[]): void;
  readonly stream: TLSSocket;
}

function stage(): Stage {
  const stream = new TLSSocket(new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() }));
  onTestFinished(() => void stream.destroy());
  const connection = new StreamConnection(stream, true, "192.0.2.7");
  const heard: string[] = [];
  connection.handler = {
    onData: ({ length }, isFollowed) => {
      heard.push(`${length}${isFollowed === true ? " and more" : ""}`);
      return undefined;
    },
    onDrain: () => {},
    onInputEnded: () => void heard.push("end"),
    onClosed: (reason) => void heard.push(reason),
  };
  const gives = (...sizes: number[]): void => {
    for (const size of sizes) stream.emit("data", Buffer.alloc(size));
  };
  return { connection, heard, gives, stream };
}

/** The turn is over. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

test("as many as Node reads at once are handled at once", async () => {
  const { heard, gives } = stage();
  gives(RECORD_BYTES, RECORD_BYTES, RECORD_BYTES);
  expect(heard).toEqual([]);
  gives(RECORD_BYTES);
  const four = ["16384 and more", "16384 and more", "16384 and more", "16384"];
  expect(heard).toEqual(four);
  await turn();
  expect(heard).toEqual(four);
});

test("a shorter one is the last of those that were read together", () => {
  const { heard, gives } = stage();
  gives(100);
  expect(heard).toEqual(["100"]);
  gives(RECORD_BYTES, 100, 200);
  expect(heard.slice(1)).toEqual(["16384 and more", "100", "200"]);
});

test("they wait until the turn is over at most", async () => {
  const { heard, gives } = stage();
  gives(RECORD_BYTES, RECORD_BYTES);
  expect(heard).toEqual([]);
  await turn();
  expect(heard).toEqual(["16384 and more", "16384"]);
  gives(RECORD_BYTES);
  await turn();
  expect(heard.slice(2)).toEqual(["16384"]);
});

test.each([
  ["the peer's end", "end", "end"],
  ["the close", "close", "closed"],
])("they come before %s", (_, event, heardOfIt) => {
  const { heard, gives, stream } = stage();
  gives(RECORD_BYTES);
  stream.emit(event);
  expect(heard).toEqual(["16384", heardOfIt]);
});

test("after destroy() none of them is handed on", async () => {
  const { connection, heard, gives } = stage();
  gives(RECORD_BYTES);
  connection.destroy();
  await turn();
  expect(heard).toEqual([]);
});

test("a handler that has heard of the close is handed none of the rest", () => {
  const { connection, heard, gives, stream } = stage();
  const { onData } = connection.handler;
  connection.handler.onData = (chunk, isFollowed) => {
    // The connection fails in the middle of them.
    stream.write = () => {
      throw new Error("no more");
    };
    connection.write([Buffer.from("answer")]);
    return onData(chunk, isFollowed);
  };
  gives(RECORD_BYTES, RECORD_BYTES, 100);
  expect(heard).toEqual(["no more", "16384 and more"]);
});

test("they wait while the connection is paused", async () => {
  const { connection, heard, gives } = stage();
  gives(RECORD_BYTES);
  connection.pause();
  gives(100);
  await turn();
  expect(heard).toEqual([]);
  connection.resume();
  await turn();
  expect(heard).toEqual(["16384 and more", "100"]);
});
