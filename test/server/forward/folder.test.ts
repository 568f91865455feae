import { chmod, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { deadSocket } from "../../dead-socket.ts";
import { prepareFolder, removeStale, socketPath } from "../../../src/server/forward/folder.ts";
import { failure } from "../../support.ts";

async function inside(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

test("an absent folder is made, for this user only; one that is there may be used", async () => {
  const dir = join(await inside(), "links");
  await prepareFolder(dir);
  await prepareFolder(dir);
  expect(await readdir(dir)).toEqual([]);
});

test("a folder that others could use is refused, and says how to mend it", async () => {
  const parent = await inside();
  const dir = join(parent, "links");
  await mkdir(dir);
  const why = async (path: string): Promise<string> => {
    const { code, message } = await failure(prepareFolder(path));
    expect(code).toBe("LISTEN_FAILED");
    return message.replace(`forward.dir ${path} cannot be used: `, "");
  };
  for (const mode of [0o755, 0o770, 0o701, 0o500]) {
    await chmod(dir, mode);
    expect(await why(dir)).toBe(`its mode is 0${mode.toString(8)}: chmod it to 0700`);
  }
  await chmod(dir, 0o700);
  const link = join(parent, "link");
  await symlink(dir, link);
  expect(await why(link)).toBe("it is a symbolic link: name the folder itself");
  const file = join(parent, "file");
  await writeFile(file, "");
  expect(await why(file)).toBe("it is no folder");
  expect(await why(join(parent, "no", "where"))).toContain("ENOENT");
});

test("the folder of another user is refused", async () => {
  const { geteuid } = process;
  const dir = await inside();
  process.geteuid = () => 54_321;
  onTestFinished(() => {
    process.geteuid = geteuid as () => number;
  });
  expect((await failure(prepareFolder(dir))).message).toContain("and this process to user 54321");
  process.geteuid = undefined as unknown as () => number;
  expect((await failure(prepareFolder(dir))).message).toContain("no Unix sockets that only one user can use");
});

test("sockets of dead servers are removed: not of living ones, nor young ones, nor other files", async () => {
  const dir = await inside();
  const [gone, young, alive] = ["a", "b", "c"].map((letter) => socketPath(dir, letter.repeat(12))) as [
    string,
    string,
    string,
  ];
  await Promise.all([deadSocket(gone), deadSocket(young)]);
  const server = net.createServer();
  await new Promise<void>((resolve) => {
    server.listen(alive, resolve);
  });
  onTestFinished(() => void server.close());
  await writeFile(join(dir, "d".repeat(12) + ".sock"), "no socket");
  await deadSocket(join(dir, "application.sock"));
  const longAgo = new Date(Date.now() - 60_000);
  for (const name of await readdir(dir)) if (join(dir, name) !== young) await utimes(join(dir, name), longAgo, longAgo);
  await removeStale(dir, Date.now());
  const kept = ["application.sock", `${"b".repeat(12)}.sock`, `${"c".repeat(12)}.sock`, `${"d".repeat(12)}.sock`];
  expect((await readdir(dir)).toSorted()).toEqual(kept);
  await removeStale(join(dir, "absent"), Date.now());
});
