import { expect, test } from "vitest";
import { failure, openTo, serve, turned } from "../support.ts";

test("links of an identity, while they can be sent on", async () => {
  const { port, links, supervisor } = await serve({
    authenticate: ({ credentials }) => String(credentials),
  });
  const opened = [];
  for (const credentials of ["alice", "bob", "alice"]) {
    const client = openTo(port, { credentials });
    await client.connected();
    opened.push({ client, server: await links.next() });
  }
  const [first, other, second] = opened.map(({ server }) => server);
  expect(supervisor.linksOf("alice")).toEqual([first, second]);
  expect(supervisor.linksOf("bob")).toEqual([other]);
  expect(supervisor.linksOf("carol")).toEqual([]);

  // The answer is theirs who asked: it does not change under a loop that ends links.
  const ended = opened.map(({ client }) => turned(client, "closed"));
  for (const link of supervisor.linksOf("alice")) link.abort("revoked");
  expect(await Promise.all([ended[0], ended[2]])).toMatchObject([
    { error: { code: "PEER_ABORTED", peerCode: "revoked" } },
    { error: { code: "PEER_ABORTED", peerCode: "revoked" } },
  ]);
  expect([supervisor.linksOf("alice"), supervisor.linksOf("bob")]).toEqual([[], [other]]);
  expect(await failure(() => supervisor.linksOf(undefined as never))).toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("where nobody is asked who it is, there are none", async () => {
  const { port, links, supervisor } = await serve();
  await openTo(port).connected();
  await links.next();
  expect([supervisor.links.size, supervisor.linksOf("")]).toEqual([1, []]);
});
