/** Unix sockets: the files that they leave behind, and their permissions. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, lstat, readFile, writeFile } from "node:fs/promises";
import net from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { ServerSupervisor, type ServerSupervisorOptions } from "../../../src/index.ts";
import { MOST_SOCKET_PATH_BYTES } from "../../../src/io/unix-socket.ts";
import { deadSocket } from "../../dead-socket.ts";
import { failure, socketPath } from "../../support.ts";

function supervise(options: ServerSupervisorOptions): ServerSupervisor {
  const supervisor = new ServerSupervisor(options);
  onTestFinished(async () => void (await supervisor.close({ deadlineMs: 0 })));
  supervisor.serve(() => {});
  return supervisor;
}

test("the socket of a process that was killed is removed, and close() removes the new one", async () => {
  const path = await socketPath();
  await deadSocket(path);
  const before = await lstat(path);
  const supervisor = supervise({ path });
  await supervisor.listen();
  expect((await lstat(path)).mtimeMs).toBeGreaterThan(before.mtimeMs);
  const client = net.connect(path);
  await once(client, "connect");
  client.destroy();
  await supervisor.close({ deadlineMs: 0 });
  expect(existsSync(path)).toBe(false);
});

test("a folder that does not exist: the error says so", async () => {
  const path = join(dirname(await socketPath()), "none", "link.sock");
  const error = await failure(supervise({ path }).listen());
  expect(error).toMatchObject({ code: "LISTEN_FAILED", message: expect.stringContaining("its folder does not exist") });
});

test("one at which a process listens is its own", async () => {
  const path = await socketPath();
  const other = net.createServer().listen(path);
  await once(other, "listening");
  onTestFinished(() => void other.close());
  const error = await failure(supervise({ path }).listen());
  expect(error).toMatchObject({ code: "LISTEN_FAILED", cause: { code: "EADDRINUSE" } });
  expect(error.message).toContain(`${path}: another process listens there`);
  expect((await lstat(path)).isSocket()).toBe(true);
});

describe("a socket that this user cannot do away with", () => {
  /** What another user is told who wants to listen there; this one, where it may not become another. */
  async function told(path: string): Promise<string> {
    const module = new URL("../../../src/server/listening/socket-file.ts", import.meta.url).href;
    const code = `import(${JSON.stringify(module)}).then(({ makeWay }) =>
      makeWay({ path: ${JSON.stringify(path)} }).then(() => "nothing", ({ code, message }) => console.log(code, message)))`;
    const isRoot = process.getuid?.() === 0;
    const child = promisify(execFile)(process.execPath, ["-e", code], isRoot ? { uid: 65_534, gid: 65_534 } : {});
    return (await child).stdout;
  }

  test("since its folder is another's: it was left behind, and is not said to be in use", async () => {
    const path = await socketPath();
    await deadSocket(path);
    await chmod(path, 0o666);
    await chmod(dirname(path), 0o555);
    onTestFinished(() => chmod(dirname(path), 0o700));
    expect(await told(path)).toMatch(/^LISTEN_FAILED .* left behind by a process that is gone, .*: remove it\n$/u);
    expect(existsSync(path)).toBe(true);
  });

  test("since it is another's: nobody can tell whether it is in use", async () => {
    const path = await socketPath();
    const other = net.createServer().listen(path);
    await once(other, "listening");
    onTestFinished(() => void other.close());
    await chmod(dirname(path), 0o755);
    await chmod(path, 0);
    expect(await told(path)).toMatch(/^LISTEN_FAILED .* this user may not connect to it/u);
  });
});

test("a file that is no socket is left alone", async () => {
  const path = await socketPath();
  await writeFile(path, "mine");
  const error = await failure(supervise({ path }).listen());
  expect(error).toMatchObject({ code: "LISTEN_FAILED" });
  expect(error.message).toContain("no socket is there");
  expect(await readFile(path, "utf8")).toBe("mine");
});

test("a path that does not fit is refused: the kernel would bind a part of it", async () => {
  const folder = dirname(await socketPath());
  const fitting = join(folder, "x".repeat(MOST_SOCKET_PATH_BYTES - folder.length - 1));
  expect(await supervise({ path: fitting }).listen()).toMatchObject({ host: fitting });
  const error = await failure(supervise({ path: `${fitting}y` }).listen());
  expect(error).toMatchObject({ code: "LISTEN_FAILED" });
  expect(error.message).toContain(`a socket's has at most ${MOST_SOCKET_PATH_BYTES}`);
});

test("the mode of the file", async () => {
  const paths = [await socketPath(), await socketPath()] as const;
  const addresses = [
    { path: paths[0], mode: 0o600 },
    { path: paths[1], mode: 0o666 },
  ];
  await supervise({ addresses }).listen();
  const modes = await Promise.all(paths.map(async (path) => (await lstat(path)).mode & 0o777));
  expect(modes).toEqual([0o600, 0o666]);
});

test.runIf(process.platform === "linux")("an abstract socket has no file", async () => {
  const path = `\0resplice-${process.pid}-${Math.random()}`;
  await supervise({ path }).listen();
  const client = net.connect(path);
  await once(client, "connect");
  client.destroy();
});
