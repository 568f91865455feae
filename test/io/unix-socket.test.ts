import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { fileAt, folderTrouble, pathTrouble, whoListens } from "../../src/io/unix-socket.ts";
import { deadSocket } from "../dead-socket.ts";
import { socketPath } from "../support.ts";

test("nobody listens at the socket of a process that is gone, and only there can that be told", async () => {
  const [alive, dead, file, absent] = await Promise.all([1, 2, 3, 4].map(() => socketPath()));
  const server = net.createServer().listen(alive);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  await deadSocket(dead as string);
  await writeFile(file as string, "");
  expect(await whoListens(alive as string)).toBe("somebody");
  expect(await whoListens(dead as string)).toBe("nobody");
  expect(await whoListens(absent as string)).toBe("untold");
  expect((await fileAt(dead as string))?.isSocket()).toBe(true);
  expect((await fileAt(file as string))?.isSocket()).toBe(false);
  expect(await fileAt(absent as string)).toBe(undefined);
});

test.each<[string, string, string]>([
  ["ENOENT", "/none/of/these/a.sock", "its folder does not exist: /none/of/these"],
  ["ENOENT", "/a.sock", "nobody listens there: there is no such socket"],
  ["ECONNREFUSED", "/a.sock", "left behind by a process that is gone"],
  ["ENOTSOCK", "/a.sock", "it is no socket"],
  ["EACCES", "/a.sock", "this user may not connect there"],
])("%s at %s: %s", (code, path, trouble) => {
  expect(pathTrouble(code, path)).toContain(trouble);
});

test("any other error has its own words", () => {
  expect([pathTrouble("EMFILE", "/a.sock"), pathTrouble(undefined, "/a.sock")]).toEqual([undefined, undefined]);
  expect(folderTrouble("/a.sock")).toBe(undefined);
});
