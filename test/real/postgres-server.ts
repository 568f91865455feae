/** A PostgreSQL server with a fresh database, which lets clients in with a password and under TLS only. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ConnectionManager, PlainLink } from "../../src/index.ts";
import { certificate } from "../certificate.ts";
import { installed } from "./install.ts";
import { postgres, query } from "./postgres-client.ts";
import type { ServerProcess } from "./server-process.ts";
import { freePort, type RealStage } from "./stage.ts";

/** The server refuses to be root's: then it is nobody's. */
const NOBODY = 65_534;
export const PASSWORD = "open sesame";
/** Places that only a superuser is given. */
const RESERVED = 3;

interface OpenTerms {
  applicationName?: string;
  password?: string;
}

export class PostgresServer {
  readonly process: ServerProcess;
  /** A superuser's link. */
  readonly admin: PlainLink;
  readonly #manager: ConnectionManager;
  readonly #ca: string;

  private constructor(stage: RealStage, server: ServerProcess, ca: string) {
    this.#manager = stage.manager();
    this.process = server;
    this.#ca = ca;
    this.admin = this.#open("admin");
  }

  /** Makes the database, and starts the server. It takes so many clients at once, besides `admin`. */
  static async start(stage: RealStage, clients = 20): Promise<PostgresServer> {
    const command = installed("postgres", "postgresql");
    const { key, cert } = await certificate();
    const data = makeData(stage.folder, {
      "server.key": key,
      "server.crt": cert,
      "pg_hba.conf": "hostssl all all 127.0.0.1/32 password\n",
    });
    const port = await freePort();
    const settings = {
      listen_addresses: "127.0.0.1",
      unix_socket_directories: "",
      ssl: "on",
      fsync: "off",
      max_connections: clients + 1 + RESERVED,
      superuser_reserved_connections: RESERVED,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const server = stage.server({
      command,
      args: ["-D", data, "-p", `${port}`, ...args],
      port,
      ...owner(),
      endSignal: "SIGINT",
    });
    await server.start();
    const started = new PostgresServer(stage, server, cert);
    await query(started.admin, `CREATE ROLE client LOGIN PASSWORD '${PASSWORD}'`);
    return started;
  }

  /** A client's link. */
  open(terms: OpenTerms = {}): PlainLink {
    return this.#open("client", terms);
  }

  #open(user: string, { applicationName = user, password = PASSWORD }: OpenTerms = {}): PlainLink {
    const login = { user, password, database: "postgres", applicationName };
    const link = this.#manager.open({
      host: "127.0.0.1",
      port: this.process.port,
      reconnect: { minDelayMs: 10, maxDelayMs: 200 },
      protocol: postgres(login, { ca: this.#ca }),
    });
    // Notices, and parameters that have changed.
    link.onMessage(() => {});
    return link;
  }
}

function owner(): { uid?: number; gid?: number } {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

/** Answers the folder of a new database, with these files in it. */
function makeData(folder: string, files: Record<string, string>): string {
  const { uid } = owner();
  const data = join(folder, "data");
  const write = (path: string, text: string): void => {
    writeFileSync(path, text, { mode: 0o600 });
    if (uid !== undefined) chownSync(path, uid, uid);
  };
  mkdirSync(data);
  if (uid !== undefined) {
    chmodSync(folder, 0o711);
    chownSync(data, uid, uid);
  }
  const passwordFile = join(folder, "password");
  write(passwordFile, PASSWORD);
  const args = [
    "--username=admin",
    "--auth=password",
    `--pwfile=${passwordFile}`,
    "--locale=C",
    "--no-sync",
    "-D",
    data,
  ];
  const { status, stderr, error } = spawnSync(installed("initdb", "postgresql"), args, {
    cwd: folder,
    encoding: "utf8",
    ...owner(),
  });
  if (status !== 0) throw new Error(`initdb: ${error?.message ?? stderr}`);
  for (const [name, text] of Object.entries(files)) write(join(data, name), text);
  return data;
}
