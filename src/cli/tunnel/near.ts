/** `resplice tunnel near` */
import type { AddressInfo } from "node:net";
import { balancers } from "../../tunnel/client-ends.ts";
import { NearEnd } from "../../tunnel/near.ts";
import { formatTarget } from "../../tunnel/target.ts";
import { formatAddress } from "../address.ts";
import { runEnd } from "./ends.ts";
import { outputOf } from "./output.ts";
import { formatPlace } from "./places.ts";
import { clientOptions, readNear } from "./protection.ts";
import { onHangUp, Reread } from "./reread.ts";
import type { NearArguments, Tunnel } from "./types.ts";

/** `parse`: the arguments again, of which a file may say something else by then. Answers the exit code. */
export async function near(args: NearArguments, parse: () => NearArguments): Promise<number> {
  const output = await outputOf(args, "near");
  const files = await Reread.begin(args, parse, readNear);
  const { far, tunnels, name, surviveMs, maxConnections, acceptProxy } = args;
  const end = new NearEnd({
    far,
    connect: clientOptions(files),
    forwards: tunnels.map(({ listen, target }) => ({ listen, to: formatTarget(target) })),
    name,
    surviveMs,
    maxConnections,
    balancers: acceptProxy && balancers(acceptProxy),
    log: output.log,
    logger: output.logger,
  });
  // The new files are in use when they have been read: what was opened before is not used any more.
  const stopRereading = onHangUp(files, () => void setImmediate(() => end.renew()), output.say);
  try {
    return await runEnd(
      {
        listen: async () => {
          const addresses = await end.listen();
          return tunnels.map((tunnel, at) => placeText(tunnel, addresses[at] ?? null, formatAddress(far)));
        },
        get sources() {
          return {
            near: end.manager,
            ...Object.fromEntries(end.servers.map((server, at) => [`listener${at}`, server])),
          };
        },
        close: (drainMs, atOnce) => end.close(drainMs, atOnce),
      },
      args,
      output,
    );
  } finally {
    stopRereading();
  }
}

function placeText({ name, listen, target }: Tunnel, at: AddressInfo | string | null, far: string): string {
  const where =
    typeof at === "object" && at !== null ? formatAddress({ host: at.address, port: at.port }) : formatPlace(listen);
  const called = name === undefined ? "" : ` ${name}:`;
  return `near end:${called} listening at ${where} for ${formatTarget(target)} through ${far}`;
}
