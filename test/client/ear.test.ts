import { expect, test } from "vitest";
import { Ear } from "../../src/client/ear.ts";
import type { Connection, ConnectionHandler } from "../../src/link/ports.ts";

/** A connection with a handler that notes what it is told. */
function connected(): { connection: Connection; heard: unknown[] } {
  const heard: unknown[] = [];
  const handler: ConnectionHandler = {
    onData: (chunk) => {
      heard.push(chunk.toString());
      // As the decoder does with memory that was copied.
      chunk.fill(0);
      return "enough";
    },
    onDrain: () => heard.push("drain"),
    onWritten: () => heard.push("written"),
    onClosed: (reason) => heard.push(reason),
  };
  return { connection: { handler } as Connection, heard };
}

test("keeps the first chunk's beginning, hands it on, and is gone", () => {
  const { connection, heard } = connected();
  const { handler } = connection;
  const ear = new Ear(connection);
  expect(ear.first).toHaveLength(0);
  connection.handler.onDrain();
  connection.handler.onWritten?.();
  expect(connection.handler.onInputEnded).toBeUndefined();
  expect(connection.handler.onData(Buffer.from("x".repeat(100)))).toBe("enough");
  expect(connection.handler).toBe(handler);
  expect(ear.first.toString()).toBe("x".repeat(41));
  expect(heard).toEqual(["drain", "written", "x".repeat(100)]);
});

test("a connection that brings nothing", () => {
  const { connection, heard } = connected();
  const ear = new Ear(connection);
  connection.handler.onClosed("closed");
  expect(ear.first).toHaveLength(0);
  expect(heard).toEqual(["closed"]);
});
