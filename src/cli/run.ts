/** Runs one command; then ends the process with the command's exit code, after all output is written. */
import { type Command, parseCommandLine } from "./arguments.ts";
import { chaos } from "./chaos/chaos.ts";
import { demo } from "./demo/demo.ts";
import { runReceiver } from "./demo/receiver.ts";
import { runSender } from "./demo/sender.ts";
import { EXIT } from "./exit-codes.ts";
import { HELP, TUNNEL_HELP, version } from "./help.ts";
import { connect, listen } from "./pipe/pipe.ts";
import { check } from "./tunnel/check.ts";
import { far } from "./tunnel/far.ts";
import { near } from "./tunnel/near.ts";
import { UsageError } from "./usage.ts";

export async function run(args: readonly string[]): Promise<void> {
  // If the reader of a pipe has gone, 'error' without a listener would be an uncaught exception. write() callbacks
  // report it.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  let code: number;
  try {
    code = await execute(parseCommandLine(args));
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`resplice: ${error.message}\n          (resplice --help says more)\n`);
      code = EXIT.usage;
    } else {
      process.stderr.write(`resplice: ${error instanceof Error ? error.message : String(error)}\n`);
      code = EXIT.failed;
    }
  }
  await leave(code);
}

function execute(command: Command): Promise<number> | number {
  switch (command.name) {
    case "help":
      process.stdout.write(HELP);
      return EXIT.ok;
    case "version":
      process.stdout.write(`${version()}\n`);
      return EXIT.ok;
    case "listen":
      return listen(command.options);
    case "connect":
      return connect(command.options);
    case "tunnel-help":
      process.stdout.write(TUNNEL_HELP);
      return EXIT.ok;
    case "tunnel-far":
      return far(command.options, command.again);
    case "tunnel-near":
      return near(command.options, command.again);
    case "tunnel-check":
      return check(command.options);
    case "chaos":
      return chaos(command.options);
    case "demo":
      return demo(command.options);
    case "demo-sender":
      return runSender(command);
    case "demo-receiver":
      return runReceiver(command);
  }
}

/** Waits until output to a pipe is written, then exits: a terminal's stdin would keep the process alive for ever. */
async function leave(code: number): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => {
      if (stream.destroyed || !stream.writable) resolve();
      else stream.write("", () => resolve());
    });
  }
  process.exit(code);
}
