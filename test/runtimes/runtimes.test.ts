/** The scenarios of `npm run test:runtimes`, small, on the Node that runs. */
import { expect, test } from "vitest";
import { certificate } from "../certificate.ts";
import { SCENARIOS } from "./scenarios.ts";

test.each(Object.entries(SCENARIOS))("%s", async (_, play) => {
  const played = await play({ messages: 50, bytes: 100_000, ...(await certificate()) });
  expect(played.length).toBeGreaterThan(0);
  expect(played.filter(({ figure, bound }) => figure < bound)).toEqual([]);
});
