/**
 * Plays all scenarios on the runtime that runs it, and prints what they have reached as a line of JSON. The first argument is
 * what they are given.
 */
import { type Given, SCENARIOS } from "./scenarios.ts";

const given = JSON.parse(process.argv[2] ?? "") as Given;
for (const [scenario, play] of Object.entries(SCENARIOS)) {
  const played = await play(given).catch((error: unknown) => [
    { what: "played to its end", figure: 0, bound: 1, note: String(error) },
  ]);
  for (const each of played) console.log(JSON.stringify({ ...each, what: `${scenario}: ${each.what}` }));
}
process.exit();
