/** The texts of --help and --version. */
import { readFileSync } from "node:fs";

export const HELP: string = `resplice: TCP links that outlive their sockets

  resplice demo                 a sender, a receiver, and between them a path that breaks all the time
  resplice listen [HOST:]PORT   waits for one link and joins it to stdin and stdout; port 0 is any free one
  resplice connect HOST:PORT    opens a link and joins it to stdin and stdout

listen and connect are a netcat that survives: a link goes on over as many connections as it takes. It ends when both
sides' inputs have ended and all has been written out at the other end (give < /dev/null where there is nothing to send).
Both ends must be resplice. Without the options below nothing is encrypted, and everyone may connect.

  resplice listen 7000 > copy < /dev/null           here
  resplice connect here:7000 < original             there

Options of listen and connect:
  --progress      each second what was sent, accepted and received
  --verbose       a structured log of all that happens
  --cert FILE --key FILE
                  TLS, with this certificate and private key (PEM); listen needs them for TLS
  --ca FILE       who signs the other end's certificate (PEM); listen then lets in only clients that have one
  --token-file FILE
                  the file of a secret that both ends need; without TLS who listens on the path can read it

Options of connect:
  --give-up SECONDS   ends with 1 after so long without a connection; default never
  --tls               TLS; the authorities are those that Node knows, unless --ca says otherwise
  --servername NAME   the name in the other end's certificate, if it is not the host's

Options of listen:
  --resume-for SECONDS   for how long a client that has gone may come back; default 300

Options of demo:
  --seconds N     for how long the path breaks; default 10
  --messages N    so many messages, spread over that time; default 1,000 a second
  --seed N        makes the same faults again (not their timing); default random
  --toxiproxy     the faults are made by a real Toxiproxy: TOXIPROXY_URL, one on the PATH, or it is built or downloaded
  --page          a live page of each of the two processes, in the browser; then --seconds is 300 by default
  --json          the result as one object, the last line of stdout; all else goes to stderr
  --verbose       a structured log of all that happens

  --help, -h      this
  --version, -V

State changes, progress and logs go to stderr. The first Ctrl-C reads no more and delivers what has been read, for up to
10 s; unless that was all, the other end is told so and ends with 1. The second gives up.

Exit codes:
  0    all was accepted in both directions; demo: nothing was lost, doubled or reordered
  1    the link failed, or something was not delivered, or may not have been; demo: lost, doubled or reordered
  2    the command line makes no sense
  69   this Node is too old
  130  Ctrl-C, and all that had been read by then was delivered (143: the same after SIGTERM, 129: after SIGHUP)
  141  what reads our stdout is gone
`;

export function version(): string {
  // package.json is two folders up from src/cli, and from dist/cli.
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
