/** A client's link to a server that is not resplice. */
import type { Endpoint, StartTlsOptions } from "../io/dial.ts";
import { RespliceError } from "../link/errors.ts";
import type { Connection } from "../link/ports.ts";
import type { ProtocolEvent } from "../link/protocol.ts";
import type { Link } from "../link/types.ts";
import { PlainCore } from "../plain/core.ts";
import { NO_PAYLOAD, PlainLinkHandle } from "../plain-link/handle.ts";
import { Login } from "../plain-link/login.ts";
import { plainCoreOptions } from "../plain-link/options.ts";
import { type DialledLink, type LoginTerms, stretched } from "./connector.ts";
import { asError } from "./failure.ts";
import { toTlsOptions } from "./hooks.ts";
import { type ClientHost, ClientLinkOwner } from "./link-owner.ts";
import type { ResolvedOpenPlainOptions } from "./plain-options.ts";

export interface PlainHost extends ClientHost {
  /**
   * Begins TLS on a connection (STARTTLS). `endpoint`: where it goes; undefined with the application's own transport.
   * Rejects with a DialError, and then the connection is closed.
   */
  readonly startTls: (
    connection: Connection,
    endpoint: Endpoint | undefined,
    options: StartTlsOptions,
  ) => Promise<Connection>;
}

/** A server may send so much, besides one message, that the login has not received. */
const MOST_UNREAD_BYTES = 1_048_576;

export class PlainLinkOwner extends ClientLinkOwner {
  declare readonly core: PlainCore;
  readonly #host: PlainHost;
  readonly #options: ResolvedOpenPlainOptions;
  #login: Login | undefined;

  constructor(options: ResolvedOpenPlainOptions, host: PlainHost) {
    const core = new PlainCore(plainCoreOptions(options, host.memory), host.entropy);
    super({ core, link: options.link, options, openPayload: NO_PAYLOAD }, host);
    this.#host = host;
    this.#options = options;
  }

  protected override get login(): DialledLink["login"] {
    return (terms) => this.#logIn(terms);
  }

  protected override newLink(): Link {
    return new PlainLinkHandle(this.engine);
  }

  async #logIn({ id, signal, place }: LoginTerms): Promise<void> {
    const { login } = this.#options.plain;
    if (login === undefined) return;
    const { core, driver } = this;
    const { clock } = this.#host;
    const tlsMs = stretched(this.#options.timeouts.tlsMs, 1);
    const work = new Login(
      { core, driver, clock },
      {
        id,
        signal,
        mostUnreadBytes: MOST_UNREAD_BYTES,
        tls: {
          check: toTlsOptions,
          start: (connection, tls) => this.#startTls(connection, place?.endpoint, { tls, tlsMs, signal }),
        },
      },
    );
    this.#login = work;
    try {
      await work.run(login);
    } catch (error) {
      throw signal.aborted ? error : loginError(error);
    } finally {
      if (this.#login === work) this.#login = undefined;
    }
  }

  async #startTls(
    connection: Connection,
    endpoint: Endpoint | undefined,
    options: StartTlsOptions,
  ): Promise<Connection> {
    try {
      return await this.#host.startTls(connection, endpoint, options);
    } catch (error) {
      throw asError(error);
    }
  }

  override onEvent(event: ProtocolEvent): void {
    if (event.type === "login-message" && event.channel === this.#login?.id) this.#login.onMessage(event.message);
    super.onEvent(event);
  }
}

/** Only a refusal and a certificate end the link: any other error of a login is one of this attempt. */
function loginError(thrown: unknown): RespliceError {
  const error = asError(thrown);
  if (error.retryable || error.code === "LOGIN_REFUSED" || error.code === "CERTIFICATE_INVALID") return error;
  return new RespliceError("CONNECT_FAILED", `the login failed: ${error.message}`, { cause: error });
}
