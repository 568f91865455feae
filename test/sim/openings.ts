/** How scenarios by hand begin, mostly. */
import { expect } from "vitest";
import type { LinkCore } from "../../src/core/session/link-core.ts";
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

/** A client with a link to the server that will go away, and the server that it finds after that. */
export function beforeTheMove(options: Parameters<ByHand["client"]>[0] = {}): OpenLink & { next: HandServer } {
  const world = new ByHand();
  const [server, next] = [world.server(), world.server()];
  const client = world.client(options);
  return { world, server, next, client, line: client.connect(server) };
}

export function goAway({ world, server }: Pick<OpenLink, "world" | "server">): void {
  server.core.drain(10_000, world.nowMs);
  for (const link of server.core.links()) server.core.sendElsewhere(link, world.nowMs);
  world.drain();
}

/** The application ends when its input has. */
export function endWithInput(core: LinkCore): void {
  if (core.inputEnded) core.end();
}

/** The HELLO that the client says next, for others to change. */
export function nextHello(client: HandClient, server: HandServer): Hello {
  const line = client.dial(server);
  const [frame] = decoded(line.takeUp());
  line.cut();
  return (frame as HelloFrame).hello;
}
