/** How scenarios by hand begin, mostly. */
import { expect } from "vitest";
import type { Hello, HelloFrame } from "../../src/core/wire/frames.ts";
import { decoded } from "../core/support.ts";
import { ByHand, type HandClient, type HandServer, type Line } from "./by-hand.ts";

export interface OpenLink {
  world: ByHand;
  server: HandServer;
  client: HandClient;
  line: Line;
}

export function openLink(): OpenLink {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  return { world, server, client, line: client.connect(server) };
}

/** A link whose connection is silent since more than 20 s; what was written on it meanwhile stands on the line. */
export function suspectLink(): OpenLink {
  const link = openLink();
  link.world.pass(21_000);
  expect(link.client.events.map(({ type }) => type)).toContain("suspect");
  expect(link.client.core.wantsStandby).toBe(true);
  return link;
}

/** The HELLO that the client says next, for others to change. */
export function nextHello(client: HandClient, server: HandServer): Hello {
  const line = client.dial(server);
  const [frame] = decoded(line.takeUp());
  line.cut();
  return (frame as HelloFrame).hello;
}
