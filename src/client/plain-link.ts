/** A client's link to a server that is not resplice. */
import type { Endpoint, StartTlsOptions } from "../io/dial.ts";
import { RespliceError } from "../link/errors.ts";
import type { Connection } from "../link/ports.ts";
import type { ProtocolEvent } from "../link/protocol.ts";
import type { Link } from "../link/types.ts";
import { PlainCore } from "../plain/core.ts";
import { MOST_MESSAGE_CHARACTERS, printable } from "../telemetry/printable.ts";
import { messageOf } from "../telemetry/thrown.ts";
import { type DialledLink, type LoginTerms, stretched } from "./connector.ts";
import { asError } from "./failure.ts";
import { type ClientHost, ClientLinkOwner } from "./link-owner.ts";
import { Login } from "./login.ts";
import { PlainLinkHandle } from "./plain-handle.ts";
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

/** No server is given an open payload. */
const NO_PAYLOAD = Buffer.alloc(0);

export class PlainLinkOwner extends ClientLinkOwner {
  declare readonly core: PlainCore;
  readonly #host: PlainHost;
  readonly #options: ResolvedOpenPlainOptions;
  #login: Login | undefined;

  constructor(options: ResolvedOpenPlainOptions, host: PlainHost) {
    super({ core: plainCore(options, host), link: options.link, options, openPayload: NO_PAYLOAD }, host);
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
        startTls: (connection, tls) => this.#host.startTls(connection, place?.endpoint, { tls, tlsMs, signal }),
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

  override onEvent(event: ProtocolEvent): void {
    if (event.type === "login-message" && event.channel === this.#login?.id) this.#login.onMessage(event.message);
    super.onEvent(event);
  }
}

function plainCore(options: ResolvedOpenPlainOptions, host: ClientHost): PlainCore {
  const { plain, link, deadAfterMs, writeStallMs, answerMs, windowBytes } = options;
  const { probe, requests, reconnectWhen, login } = plain;
  const { maxMessageBytes, queue, keepalive } = link;
  return new PlainCore(
    {
      framing: plain.framing,
      hasLogin: login !== undefined,
      ...(probe && { probe }),
      ...(requests && { requests: { ...requests, maxAnswerBytes: requests.maxAnswerBytes ?? maxMessageBytes } }),
      ...(reconnectWhen && { reconnectWhen }),
      resendInFlight: plain.resendInFlight,
      inDoubtBytes: plain.inDoubtBytes,
      idleCloseMs: plain.idleCloseMs,
      maxConnectionAgeMs: plain.maxConnectionAgeMs,
      maxMessageBytes,
      queue,
      windowBytes,
      pingAfterMs: keepalive.pingAfterMs,
      deadAfterMs,
      writeStallMs,
      answerMs,
      logBudget: host.memory.logBudget,
      blocks: host.memory.blocks,
      encodeFailed,
    },
    host.entropy,
  );
}

/** Only a refusal and a certificate end the link: any other error of a login is one of this attempt. */
function loginError(thrown: unknown): RespliceError {
  const error = asError(thrown);
  if (error.retryable || error.code === "LOGIN_REFUSED" || error.code === "CERTIFICATE_INVALID") return error;
  return new RespliceError("CONNECT_FAILED", `the login failed: ${error.message}`, { cause: error });
}

/** The error for a message that cannot be framed, or lacks an id: with the code of what was thrown, if that has one. */
function encodeFailed(thrown: unknown): RespliceError {
  const code = thrown instanceof RespliceError ? thrown.code : "INVALID_ARGUMENT";
  const text = printable(messageOf(thrown), MOST_MESSAGE_CHARACTERS);
  const details = { cause: thrown, delivery: "not-sent" } as const;
  return new RespliceError(code, `the message is refused: ${text}`, details);
}
