/** `resplice tunnel check` */
import { probe } from "../../tunnel/probe.ts";
import { formatTarget } from "../../tunnel/target.ts";
import { formatAddress } from "../address.ts";
import { EXIT } from "../exit-codes.ts";
import { clientOptions, readNear } from "./protection.ts";
import type { CheckArguments } from "./types.ts";

/** Answers the exit code. The result is on stdout, the reason why there is no connection on stderr. */
export async function check(args: CheckArguments): Promise<number> {
  const { far, target, withinMs } = args;
  const connect = clientOptions({ state: await readNear(args) });
  const [to, through] = [formatTarget(target), formatAddress(far)];
  const sinceMs = performance.now();
  try {
    await probe({ far, connect, to, withinMs });
  } catch (error) {
    process.stderr.write(`resplice: no connection to ${to} through ${through}: ${(error as Error).message}\n`);
    return EXIT.failed;
  }
  process.stdout.write(`connected to ${to} through ${through} in ${Math.round(performance.now() - sinceMs)} ms\n`);
  return EXIT.ok;
}
