/** The texts of --help and --version. */
import { readFileSync } from "node:fs";

export const HELP: string = `resplice: TCP links that outlive their sockets

  resplice demo                 a sender, a receiver, and between them a path that breaks all the time
  resplice chaos                the same for as long as you like, by a schedule too, and a report of what it did; with
                                --to between your own client and server
  resplice listen [HOST:]PORT   waits for one link and joins it to stdin and stdout; port 0 is any free one
  resplice connect HOST:PORT    opens a link and joins it to stdin and stdout
  resplice tunnel far|near|check    any TCP program keeps its connection through a cut: resplice tunnel --help

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

Options of chaos:
  --seconds N, --seed N, --toxiproxy, --json, --verbose    as above; default 60 s
  --schedule FILE instead of --seed, a list of faults in JSON: {"repeat": true, "faults": [{"after": 1, "kind": "rst"}]}.
                  With repeat it begins again until the time is up. The kinds are fin, rst, cut-after-bytes ("bytes"),
                  black-hole, stall, refuse ("for" so many seconds), one-way-black-hole ("for", "direction" to-server
                  or to-client), latency ("for", "delayMs", "jitterMs")
  --to HOST:PORT  between your own client and this server, whatever they speak: the command says where the client is
                  to connect. Bytes are counted then, not messages
  --listen PORT   of --to: there; default any free one. It listens on 127.0.0.1
  --report FILE   an HTML page: what was done when, gaps and recoveries, throughput. It needs no other file
  --junit FILE    the result for systems that run tests

  --help, -h      this
  --version, -V

State changes, progress and logs go to stderr. The first Ctrl-C reads no more and delivers what has been read, for up to
10 s; unless that was all, the other end is told so and ends with 1. The second gives up.

Exit codes:
  0    all was accepted in both directions; demo, chaos: nothing was lost, doubled or reordered
  1    the link failed, or something was not delivered, or may not have been; demo, chaos: lost, doubled or reordered,
       or no recovery within 30 s of a fault's end
  2    the command line makes no sense
  69   this Node is too old
  130  Ctrl-C, and all that had been read by then was delivered (143: the same after SIGTERM, 129: after SIGHUP)
  141  what reads our stdout is gone
`;

export const TUNNEL_HELP: string = `resplice tunnel: any TCP program keeps its connection through a cut

  resplice tunnel far [HOST:]PORT --allow HOST:PORT ...   at the targets: takes tunnels, and connects to targets
  resplice tunnel near [HOST:]PORT FAR --to HOST:PORT     at the programs: listens, and passes on to a target
  resplice tunnel near FAR --to LISTEN=TARGET ...         the same for several targets
  resplice tunnel check TARGET FAR                        says whether a far end can connect to a target

A near end listens, a far end connects to the target, and each connection between the two outlives the network's. FAR
is HOST:PORT of a far end. TARGET is HOST:PORT or unix:PATH, as the far end sees it. LISTEN is [HOST:]PORT, fd:N (a
socket that systemd gives), or of a near end unix:PATH. Of a near end a PORT alone is for this machine only.

  resplice tunnel far 7000 --allow localhost:5432 --tokens tokens --tls-cert cert.pem --tls-key key.pem
  resplice tunnel near 5432 far.example:7000 --to localhost:5432 --token-file token --tls-ca cert.pem
  psql -h localhost

Options of far:
  --allow [IDENTITY=]HOST:PORT
                  what near ends may reach; nothing else is connected to. HOST is a name, an address, or a network
                  such as 10.0.0.0/8 or [fd00::/8]; PORT a number, or a range such as 8000-8999; or unix:PATH. What
                  counts is the address that is connected to. With an identity it is for that near end alone. May be
                  given again
  --tokens FILE   a line for each near end: its identity and its token, of at least 16 characters. Or the environment
                  variable RESPLICE_TOKENS
  --max-connections-each N   of one client, by its token or certificate; default nine tenths of --max-connections
  --send-proxy v1|v2   tells targets the program's address, in a header of the PROXY protocol

Options of near:
  --to TARGET     where connections go; LISTEN=TARGET where no listener stands before FAR. May be given again
  --accept-proxy NETWORK,...   takes connections only from the balancers of these networks, with PROXY headers

Options of near and check:
  --token-file FILE    the file of the token. Or the environment variable RESPLICE_TOKEN
  --tls                TLS; the authorities are those that Node knows, unless --tls-ca says otherwise
  --servername NAME    the name in the far end's certificate, if it is not the host's

Options of far, near and check:
  --tls-cert FILE --tls-key FILE
                  TLS, with this certificate and private key (PEM); far needs them for TLS
  --tls-ca FILE   who signs the other end's certificate (PEM); far then takes only near ends that have one. Without
                  tokens the common name of their certificate is their identity
  --insecure      allows to do without TLS, and far without tokens and certificates, where others can connect or read
                  along. With TLS certificates are verified all the same
  --config FILE   these options in a JSON file, by their names: {"allow": ["localhost:5432"], "drain": 30}. Besides,
                  far has "listen", near and check have "far" and "to": a list of "LISTEN=TARGET", or of objects with
                  "listen", "target", and a "name" for check. What the command line says goes before the file. Names
                  of files are looked for beside it

Options of far and near:
  --survive SECONDS      how long a connection waits for the network; default 300
  --max-connections N    default 10,000, or what the limit of descriptors allows
  --drain SECONDS        after the first signal, how long connections may go on; default 10
  --name NAME            of this end, in logs. A near end that starts again under its name ends what it has left
  --metrics [HOST:]PORT  metrics for Prometheus, and health; a PORT alone is for this machine only
  --json                 the log as JSON
  --verbose              all that happens is logged

Option of check:
  --within SECONDS       default 10

Logs go to stderr: a line for each connection when it has ended. SIGHUP reads the files again, with --config: the
certificate, key, authorities, tokens, allow-list. If one of them is no use, all stay as they were. SIGTERM and Ctrl-C
end, at once if they come again.

Exit codes:
  0    no connection was cut off; check: the far end has connected to the target
  1    it failed, or connections were cut off in the end; check: the reason is on stderr
  2    the command line or the --config makes no sense
  69   this Node is too old
`;

export function version(): string {
  // package.json is two folders up from src/cli, and from dist/cli.
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
