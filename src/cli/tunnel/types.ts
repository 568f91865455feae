/** The command line of `resplice tunnel`, read and checked. */
import type { AllowList } from "../../tunnel/allow.ts";
import type { ProxyVersion } from "../../tunnel/proxy-header.ts";
import type { Target } from "../../tunnel/target.ts";
import type { TlsFiles } from "../files.ts";

/** Where to listen. `port` 0: any free one; no `host`: every address. `fd`: a descriptor that the process was given. */
export type Place =
  | { readonly host?: string; readonly port: number }
  | { readonly path: string }
  | { readonly fd: number };

/** Where a secret is. The secret itself is in no argument. */
export type SecretSource = { readonly file: string } | { readonly variable: "RESPLICE_TOKEN" | "RESPLICE_TOKENS" };

export interface CommonArguments {
  /** Undefined: no TLS. Of a far end, `ca` asks clients for certificates. */
  readonly tls: TlsFiles | undefined;
  /** How long a connection's session waits for its other end. */
  readonly surviveMs: number;
  /** Undefined: 10,000, or what the limit of descriptors allows. */
  readonly maxConnections: number | undefined;
  /** After the first signal, how long connections may go on until they end by themselves. */
  readonly drainMs: number;
  /** Of this end, for the other one and the log. A near end that starts again with it ends what it has left before. */
  readonly name: string | undefined;
  /** The log as JSON, through pino. */
  readonly json: boolean;
  /** All that happens is logged. */
  readonly verbose: boolean;
  /** Where Prometheus and health probes ask. Undefined: nowhere. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  /** What the user should know at the start: lines for the log, mostly of what is not protected. */
  readonly notes: readonly string[];
}

export interface FarArguments extends CommonArguments {
  readonly listen: Place;
  readonly allow: AllowList;
  /** Of each client that has shown who it is. Undefined: nine tenths of `maxConnections`. */
  readonly maxConnectionsEach: number | undefined;
  /** Undefined: no token is asked for. */
  readonly tokens: SecretSource | undefined;
  /** Each connection to a target begins with such a PROXY header. Undefined: with none. */
  readonly sendProxy: ProxyVersion | undefined;
}

export interface NearArguments extends CommonArguments {
  readonly far: { readonly host: string; readonly port: number };
  /** At least one. */
  readonly tunnels: readonly Tunnel[];
  /** Undefined: none is sent. */
  readonly token: SecretSource | undefined;
  /** The networks of balancers, whose connections begin with a PROXY header. Undefined: there is no header. */
  readonly acceptProxy: readonly string[] | undefined;
}

/** A local listener, and the target of what connects there. */
export interface Tunnel {
  /** In a file of settings a tunnel may have a name, for `check` and the log. */
  readonly name: string | undefined;
  readonly listen: Place;
  readonly target: Target;
}

export interface CheckArguments extends Pick<NearArguments, "far" | "tls" | "token"> {
  readonly target: Target;
  /** For all of it, from the dial to the answer of the far end. */
  readonly withinMs: number;
}

/** `again`: the same command line, with what the file of settings says by then. It throws a UsageError. */
export type TunnelCommand =
  | { readonly name: "tunnel-help" }
  | { readonly name: "tunnel-far"; readonly options: FarArguments; readonly again: () => FarArguments }
  | { readonly name: "tunnel-near"; readonly options: NearArguments; readonly again: () => NearArguments }
  | { readonly name: "tunnel-check"; readonly options: CheckArguments };
