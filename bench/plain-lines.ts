/** A plain link beside a raw socket, both with a line feed behind each message; the server is a raw socket. */
import type { LineTraffic } from "./plain-lines-worker.ts";
import type { Scenario } from "./scenario.ts";
import { converseIn } from "./throughput.ts";

const RATE = "one way, plain lines of 100 B";
const CPU = "one way, plain lines of 100 B, CPU";

export const plainLines: Scenario = {
  name: RATE,
  rows: [RATE, CPU],
  sides: ["ours", "reference"],
  async measure(side, crew, { seconds }) {
    const traffic: LineTraffic = { side };
    const { rate, cpuNs } = await converseIn("plain-lines-worker.ts", crew, traffic, seconds);
    return { [RATE]: rate, [CPU]: cpuNs };
  },
};
