/** `resplice tunnel far` */
import { FarEnd } from "../../tunnel/far.ts";
import { formatPlace } from "./places.ts";
import { runEnd } from "./ends.ts";
import { outputOf } from "./output.ts";
import { readFar } from "./protection.ts";
import { onHangUp, Reread } from "./reread.ts";
import type { FarArguments } from "./types.ts";

/** `parse`: the arguments again, of which a file may say something else by then. Answers the exit code. */
export async function far(args: FarArguments, parse: () => FarArguments): Promise<number> {
  const output = await outputOf(args, "far");
  const files = await Reread.begin(args, parse, readFar);
  const { pems, proofs, allow } = files.state;
  const { listen, surviveMs, maxConnections, maxConnectionsEach, sendProxy } = args;
  const isAsked = proofs.tokens !== undefined || proofs.certificates;
  const end = new FarEnd({
    listen,
    tls: pems === undefined ? false : { ...pems, requestCert: proofs.certificates },
    proofs: isAsked ? proofs : undefined,
    allow,
    proxy: sendProxy,
    surviveMs,
    maxConnections,
    maxConnectionsEach,
    log: output.log,
    logger: output.logger,
  });
  const stopRereading = onHangUp(
    files,
    ({ pems: tls, ...state }) => end.renew({ tls, allow: state.allow, proofs: isAsked ? state.proofs : undefined }),
    output.say,
  );
  try {
    return await runEnd(
      {
        listen: async () => {
          const { host, port } = await end.listen();
          return [`far end: listening at ${"port" in listen ? formatPlace({ host, port }) : formatPlace(listen)}`];
        },
        sources: { far: end.supervisor },
        close: (drainMs, atOnce) => end.close(drainMs, atOnce),
      },
      args,
      output,
    );
  } finally {
    stopRereading();
  }
}
