/** A server that asks again who its client is: what was answered before does not count any more. */
import { expect, test } from "vitest";
import { ByHand, type HandClient, type HandServer, type Line, namesOf } from "../../sim/by-hand.ts";

function connected(): { world: ByHand; client: HandClient; server: HandServer; line: Line } {
  const world = new ByHand();
  const server = world.server();
  const client = world.client();
  return { world, client, server, line: client.connect(server) };
}

function asksAgain({ world, server }: { world: ByHand; server: HandServer }): void {
  server.link.askWho("reauthenticate", world.nowMs);
  world.drain();
}

test("a standby that was let in before cannot take over, and the client resumes with a verdict of now", () => {
  const given = connected();
  const { world, client, server, line } = given;
  world.pass(21_000);
  const standby = client.dial(server, "standby");
  standby.up();
  expect(namesOf(standby.down())).toEqual(["ready"]);
  asksAgain(given);
  expect(namesOf(standby.up())).toEqual(["commit"]);
  standby.settle();
  line.settle();
  expect(server.refusals).toEqual(["authentication-unavailable"]);
  expect(server.link.adopted).toBe(undefined);

  client.connect(server);
  expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  expect(server.link.gone).toBe(false);
});

test("a resume that was being judged is judged anew, also while the client has no connection", () => {
  const given = connected();
  const { client, server, line } = given;
  line.cut();
  server.authentication = "by hand";
  const early = client.dial(server);
  early.up();
  asksAgain(given);
  server.verdict(early);
  early.settle();
  expect(server.refusals).toEqual(["authentication-unavailable"]);
  expect(server.link.adopted).toBe(undefined);

  const late = client.dial(server);
  late.up();
  server.verdict(late);
  late.settle();
  expect(server.link.adopted?.id).toBe(late.id);
});
