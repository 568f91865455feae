/** A cluster of processes behind the router. */
import { expect, onTestFinished, test } from "vitest";
import type { Link } from "../../../src/index.ts";
import { newKeys } from "../../../src/core/session/proof.ts";
import { encodeHello, encodeToken } from "../../../src/core/wire/frames.ts";
import { SYSTEM_ENTROPY } from "../../../src/io/entropy.ts";
import { Child } from "../../endurance/child.ts";
import { eventually, openTo, rawClient, receiveText, relayTo, turned } from "../../support.ts";
import { openingOf } from "../raw-session.ts";
import type { PrimaryCommands } from "./primary.ts";

const EXTENSION_BYTES = 20_000;

/** The process that answers the link. */
async function ask(link: Link): Promise<number> {
  await link.send("hello");
  return Number((await receiveText(link))?.split(" ")[0]);
}

test("sessions stay with their workers, through cuts, drains and kills", { timeout: 30_000 }, async () => {
  const primary = new Child<PrimaryCommands>(new URL("primary.ts", import.meta.url), "primary");
  onTestFinished(() => primary.stop());
  // A worker finds the router, whichever of the two is first.
  const forked = Promise.all([primary.call("fork"), primary.call("fork")]);
  const port = await primary.call("route");
  const pids = await forked;
  expect((await primary.call("stats")).servers).toBe(2);
  const atRest = await primary.call("descriptors");

  const relay = await relayTo(port);
  const links = [openTo(relay.port), openTo(relay.port), openTo(relay.port), openTo(relay.port)];
  for (const link of links) await link.connected();
  const owners = await Promise.all(links.map(ask));
  for (const pid of pids) expect(owners.filter((owner) => owner === pid)).toHaveLength(2);
  for (let cut = 0; cut < 3; cut++) {
    const back = Promise.all(links.map((link) => turned(link, "connected")));
    relay.cut("rst");
    expect((await back).map(({ session }) => session)).toEqual(links.map(() => "resumed"));
  }
  expect(await Promise.all(links.map(ask))).toEqual(owners);
  const forking = primary.call("fork");

  // Of a peer that does not wait for its answer nothing is lost: the frame behind a long one is found, and answered.
  const talker = await rawClient(port);
  talker.socket.write(encodeHello("hello", openingOf(newKeys(SYSTEM_ENTROPY), "")));
  const extension = Buffer.alloc(EXTENSION_BYTES);
  extension[0] = 200;
  extension.writeUInt32BE(EXTENSION_BYTES - 8, 4);
  for (let at = 0; at < extension.length; at += 200) {
    talker.socket.write(extension.subarray(at, at + 200));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const ping = encodeToken("ping", 7);
  talker.socket.write(ping);
  await eventually(() => expect(talker.bytes.subarray(-8)).toEqual(ping.subarray(-8)));
  talker.socket.destroy();

  // The one that goes away keeps its sessions until they are through; they go on at a new one.
  const [leaving, dying] = pids;
  const moving = links.filter((_, n) => owners[n] === leaving);
  const next = await forking;
  const moved = Promise.all(moving.map((link) => turned(link, "connected")));
  expect(await primary.call("close", leaving)).toBe(0);
  expect((await moved).map((change) => change.session === "new" && change.reason)).toEqual(["moved", "moved"]);
  for (const owner of await Promise.all(moving.map(ask))) expect([next, dying]).toContain(owner);

  const before = await Promise.all(links.map(ask));
  const lost = links.filter((_, n) => before[n] === dying);
  const told = Promise.all(lost.map((link) => turned(link, "connected")));
  expect(await primary.call("kill", dying)).toBe("SIGKILL");
  relay.cut("rst");
  expect((await told).map((change) => change.session === "new" && change.reason)).toEqual(
    lost.map(() => "session-lost"),
  );
  expect(await Promise.all(links.map(ask))).toEqual(links.map(() => next));
  expect(await primary.call("stats")).toMatchObject({ servers: 1, waiting: 0, handing: 0, refused: 0, rejected: 0 });
  // Nothing is left of the connections that were handed on. A worker that is alive has one channel.
  expect(await primary.call("descriptors")).toBeLessThanOrEqual(atRest);
});
