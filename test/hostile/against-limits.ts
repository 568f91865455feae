/** Attacks on a server by those it lets in: what it keeps for them, and the time that it has for them. */
import { FLOODS, type FloodName } from "./attacks.ts";
import { abandoned } from "./against-servers.ts";
import type { Attack } from "./stage.ts";

const ABOUT_FLOODS: Record<FloodName, string> = {
  again: "a byte of DATA that has arrived",
  ack: "ACKs that say nothing new",
  ping: "PINGs",
  extension: "empty extensions",
};

export const AGAINST_LIMITS: Attack[] = [
  {
    name: "identities",
    about:
      "sessions opened and left, each of another identity of 1,000 characters, beside 15 KB that are a secret, on a heap of 64 MB with the default caps",
    run: (stage) =>
      abandoned(stage, { authenticateMs: 0 }, { credentials: `${"i".repeat(1_000)}#:${"c".repeat(15_000)}` }),
  },
  ...(Object.keys(FLOODS) as FloodName[]).map((kind): Attack => ({
    name: `flood-${kind}`,
    about: `four sessions that send nothing but the smallest frames: ${ABOUT_FLOODS[kind]}`,
    async run(stage) {
      const { port } = await stage.server({});
      const healthy = await stage.healthy({ port });
      const { frames = 0 } = await stage.attacked(healthy, "flood", { where: { port }, times: 4, openPayload: kind });
      // Not a bound on the product: that it was a flood.
      stage.row({ what: "frames taken", figure: frames, bound: 100_000, is: "at least", unit: "" });
    },
  })),
];
