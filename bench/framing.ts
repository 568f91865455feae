/** A long line through a decoder, beside the least that could be done with its chunks: joining them. */
import type { FramingCommands } from "./framing-worker.ts";
import type { Scenario } from "./scenario.ts";
import { median } from "./statistics.ts";

const LINE = "line of 8 MiB in chunks of 1,460 B, decoded in";

const TIMES = 20;

export const framing: Scenario = {
  name: LINE,
  rows: [LINE],
  sides: ["ours", "reference"],
  async measure(side, crew) {
    const worker = crew.start<FramingCommands>("framing-worker.ts", "decoder", side);
    return { [LINE]: median(await worker.call("decode", TIMES)) };
  },
};
