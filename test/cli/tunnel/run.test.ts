// Both ends of a tunnel, and the check, as their users run them.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net, { type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { clientOptions, readNear } from "../../../src/cli/tunnel/protection.ts";
import { probe } from "../../../src/tunnel/probe.ts";
import { certificate } from "../../certificate.ts";
import { Arrivals, rawServer } from "../../support.ts";
import { resplice, type Run } from "../support.ts";

const SLOW = { timeout: 60_000 };
const folder = mkdtempSync(join(tmpdir(), "resplice-tunnel-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string): string => join(folder, name);

const [ALICE, NEW] = ["alices-token-0123456789", "alices-new-token-0123456"];

beforeAll(async () => {
  const { cert, key } = await certificate("far.test");
  writeFileSync(path("cert"), cert);
  writeFileSync(path("key"), key);
  writeFileSync(path("token"), `${ALICE}\n`);
  writeFileSync(path("new-token"), NEW);
});

async function farEnd(...args: string[]): Promise<Run & { port: number }> {
  const run = resplice(["tunnel", "far", "127.0.0.1:0", ...args]);
  const [, port] = await run.says(/far end: listening at 127\.0\.0\.1:(\d+)/);
  return { ...run, port: Number(port) };
}

async function nearEnd(...args: string[]): Promise<Run & { port: number }> {
  const run = resplice(["tunnel", "near", ...args]);
  const [, port] = await run.says(/near end: .*listening at 127\.0\.0\.1:(\d+) for/);
  return { ...run, port: Number(port) };
}

/** A target that answers each chunk with itself. */
async function echoTarget(): Promise<{ port: number; sockets: Arrivals<Socket> }> {
  const sockets = new Arrivals<Socket>();
  const port = await rawServer((socket) => {
    sockets.put(socket);
    socket.pipe(socket);
  });
  return { port, sockets };
}

function connectTo(port: number): Socket {
  const socket = net.connect({ port, host: "127.0.0.1" });
  onTestFinished(() => void socket.destroy());
  return socket.on("error", () => {});
}

async function echoed(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  return String((await once(socket, "data"))[0]);
}

const NO_FILES = { cert: undefined, key: undefined, ca: undefined, servername: undefined };
const TLS = ["--tls-cert", path("cert"), "--tls-key", path("key")];
const TRUST = ["--tls-ca", path("cert"), "--servername", "far.test"];

describe("a tunnel", () => {
  test("with TLS, tokens and certificates carries a connection, and logs it at both ends", SLOW, async () => {
    writeFileSync(path("tokens"), `alice ${ALICE}\n`);
    const target = await echoTarget();
    const allow = `alice=127.0.0.1:${target.port}`;
    const far = await farEnd("--allow", allow, "--tokens", path("tokens"), ...TLS, "--tls-ca", path("cert"));
    const at = `127.0.0.1:${far.port}`;
    const secrets = ["--token-file", path("token"), ...TLS, ...TRUST];
    const near = await nearEnd("127.0.0.1:0", at, "--to", `127.0.0.1:${target.port}`, ...secrets);
    const socket = connectTo(near.port);
    expect(await echoed(socket, "through both ends")).toBe("through both ends");
    const { localPort } = socket;
    socket.end();
    await once(socket, "close");
    const line = `127.0.0.1:${localPort} -> 127.0.0.1:${target.port}: ended in order after`;
    await far.says(new RegExp(`resplice: alice ${line} .* 17 bytes up, 17 down`));
    await near.says(new RegExp(`resplice: ${line} .* 17 bytes up, 17 down`));
    // Nothing is carried any more.
    near.child.kill("SIGTERM");
    far.child.kill("SIGINT");
    expect(await Promise.all([near.exit, far.exit])).toEqual([0, 0]);
    for (const { stderr } of [near, far]) expect(stderr()).toMatch(/connections survive 300 s without a path/);
  });

  test("of a file of settings, whose near end resets what is left after the drain and ends with 1", SLOW, async () => {
    const target = await echoTarget();
    const far = await farEnd("--allow", `localhost:${target.port}`, "--json");
    const to = [{ name: "db", listen: "127.0.0.1:0", target: `127.0.0.1:${target.port}` }];
    const settings = { far: `127.0.0.1:${far.port}`, to, survive: 9, drain: 0 };
    writeFileSync(path("near.json"), JSON.stringify(settings));
    const near = await nearEnd("--config", path("near.json"));
    await near.says(/connections survive 9 s/);
    const socket = connectTo(near.port);
    await echoed(socket, "hello");
    const failed = once(socket, "error");
    near.child.kill("SIGTERM");
    expect(await failed).toMatchObject([{ code: "ECONNRESET" }]);
    expect(await near.exit).toBe(1);
    expect(near.stderr()).toMatch(/near end: db: listening at/);
    expect(near.stderr()).toMatch(/closed: 1 connections were reset/);
    await far.says(/"event":"tunnel.connection".*"bytesUp":5/);
  });

  test("that is told again ends at once", SLOW, async () => {
    const target = await echoTarget();
    const far = await farEnd("--allow", `127.0.0.1:${target.port}`, "--drain", "3600");
    const near = await nearEnd("127.0.0.1:0", `127.0.0.1:${far.port}`, "--to", `127.0.0.1:${target.port}`);
    await echoed(connectTo(near.port), "hello");
    far.child.kill("SIGTERM");
    await far.says(/SIGTERM: connections may end within 3600 s/);
    far.child.kill("SIGTERM");
    expect(await far.exit).toBe(1);
  });
});

test("SIGHUP has the far end use new tokens and a new allow-list; of a bad file it keeps the old", SLOW, async () => {
  const target = await echoTarget();
  const config = (allow: number): void => {
    const settings = { allow: [`127.0.0.1:${allow}`], tokens: "renewed", "tls-cert": "cert", "tls-key": "key" };
    writeFileSync(path("far.json"), JSON.stringify(settings));
  };
  config(1);
  writeFileSync(path("renewed"), `alice ${ALICE}\n`);
  const far = await farEnd("--config", path("far.json"));
  const reach = async (token: string): Promise<unknown> => {
    const state = await readNear({
      tls: { ...NO_FILES, ca: path("cert"), servername: "far.test" },
      token: { file: path(token) },
    });
    const connect = clientOptions({ state });
    const to = `127.0.0.1:${target.port}`;
    return probe({ far: { port: far.port, host: "127.0.0.1" }, connect, to, withinMs: 20_000 }).catch(
      (error: unknown) => (error as Error).message,
    );
  };
  expect(await reach("token")).toMatch(/^not-allowed: .* is not allowed$/);
  config(target.port);
  writeFileSync(path("renewed"), `alice ${NEW}\n`);
  far.child.kill("SIGHUP");
  await far.says(/SIGHUP: the files are read again, and in use/);
  expect(await reach("new-token")).toBeUndefined();
  expect(await reach("token")).toMatch(/this token is not known$/);
  writeFileSync(path("renewed"), "alice short\n");
  far.child.kill("SIGHUP");
  await far.says(/SIGHUP: all stays as it was: --tokens .*renewed, line 1: a token has at least 16 characters/);
  expect(await reach("new-token")).toBeUndefined();
  expect(far.stderr()).not.toContain("short");
});

test("check ends with 0, or with 1 and the reason", SLOW, async () => {
  const target = await echoTarget();
  const far = await farEnd("--allow", `127.0.0.1:${target.port}`);
  const checks = [`127.0.0.1:${target.port}`, "127.0.0.1:22"].map((to) => {
    return resplice(["tunnel", "check", to, `127.0.0.1:${far.port}`]);
  });
  const [good, bad] = checks as [Run, Run];
  expect(await Promise.all(checks.map(({ exit }) => exit))).toEqual([0, 1]);
  expect(good.stdout().toString()).toMatch(/^connected to 127\.0\.0\.1:\d+ through 127\.0\.0\.1:\d+ in \d+ ms\n$/);
  expect(bad.stderr()).toMatch(
    /^resplice: no connection to 127\.0\.0\.1:22 through .*: not-allowed: 127\.0\.0\.1:22 is not allowed\n$/,
  );
});
