/** Tells systemd how far a service of `Type=notify` is. */
import { execFile } from "node:child_process";

/** It takes a datagram to a Unix socket, which Node cannot send. */
const COMMAND = "systemd-notify";
const WITHIN_MS = 5_000;
/** As sd_notify(3) has them: before version 253 the command has no option for the second. */
const MESSAGES = { ready: "READY=1", stopping: "STOPPING=1" } as const;

/**
 * Does nothing in a process that systemd has not asked to be told. Resolves when systemd has been told, or cannot be:
 * then that is said, and the process goes on.
 */
export function notify(what: "ready" | "stopping", say: (line: string) => void): Promise<void> {
  const { NOTIFY_SOCKET = "", PATH } = process.env;
  if (NOTIFY_SOCKET === "") return Promise.resolve();
  // The environment may hold tokens.
  const options = { env: { NOTIFY_SOCKET, PATH }, timeout: WITHIN_MS, killSignal: "SIGKILL" } as const;
  return new Promise((resolve) => {
    execFile(COMMAND, [MESSAGES[what]], options, (error, _, stderr) => {
      if (error !== null) say(`systemd was not told "${what}": ${reasonOf(error, stderr.trim())}`);
      resolve();
    });
  });
}

function reasonOf(error: Error & { code?: unknown; killed?: boolean }, stderr: string): string {
  if (error.code === "ENOENT") return `there is no command ${COMMAND}`;
  if (error.killed === true) return `${COMMAND} took more than ${WITHIN_MS / 1_000} s`;
  return stderr === "" ? error.message : stderr;
}
