import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { fileAt, isDeadSocket } from "../../src/io/unix-socket.ts";
import { deadSocket } from "../dead-socket.ts";
import { socketPath } from "../support.ts";

test("dead is a socket at which nobody listens, and nothing else", async () => {
  const [alive, dead, file, absent] = await Promise.all([1, 2, 3, 4].map(() => socketPath()));
  const server = net.createServer().listen(alive);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  await deadSocket(dead as string);
  await writeFile(file as string, "");
  expect(await isDeadSocket(alive as string)).toBe(false);
  expect(await isDeadSocket(dead as string)).toBe(true);
  expect(await isDeadSocket(absent as string)).toBe(false);
  expect((await fileAt(dead as string))?.isSocket()).toBe(true);
  expect((await fileAt(file as string))?.isSocket()).toBe(false);
  expect(await fileAt(absent as string)).toBe(undefined);
});
