/** pgbench and redis-benchmark: each transaction and each command happens, and happens once. */
import { query } from "../../real/postgres-client.ts";
import { installed } from "../../real/install.ts";
import { PASSWORD, PostgresServer } from "../../real/postgres-server.ts";
import { startRedis } from "../../real/redis-server.ts";
import { cutRows, cutWay, rowOfCuts } from "./cut-rows.ts";
import { ran, reported, told } from "./programs.ts";
import type { TunnelScenario, TunnelStage } from "./stage.ts";

const PGBENCH_S = 120;
/** So that there is a cut of each kind. */
const PGBENCH_S_LEAST = 18;
const PGBENCH_CLIENTS = 8;
const REDIS_COMMANDS = 1_000_000;
const REDIS_CLIENTS = 50;
/** The key that redis-benchmark increments. */
const COUNTER = "counter:__rand_int__";

export const DATABASES: readonly TunnelScenario[] = [
  ...cutRows("pgbench", `pgbench -c ${PGBENCH_CLIENTS} -T ${PGBENCH_S}: rows are the transactions reported`, pgbench),
  ...cutRows("redis", `redis-benchmark -c ${REDIS_CLIENTS} -n ${REDIS_COMMANDS}: the counter is at that`, redis),
];

async function pgbench(stage: TunnelStage, tls: boolean): Promise<void> {
  const command = installed("pgbench", "postgresql");
  const { admin, process } = await PostgresServer.start(stage);
  const env = { PGUSER: "admin", PGDATABASE: "postgres", PGPASSWORD: PASSWORD, PGHOST: "127.0.0.1" };
  const run = (port: number, ...args: string[]): ReturnType<typeof ran> =>
    ran(stage, command, args, { env: { ...env, PGPORT: `${port}` } });
  const made = await run(process.port, "--initialize", "--scale=1", "--quiet");
  if (made.code !== 0) throw new Error(`pgbench --initialize: ${told(made)}`);

  const way = await cutWay(stage, { target: process.port, tls });
  const seconds = stage.scaled(PGBENCH_S, PGBENCH_S_LEAST);
  const result = await run(way.port, "--no-vacuum", "-c", `${PGBENCH_CLIENTS}`, "-T", `${seconds}`);
  await rowOfCuts(stage, way);
  const transactions = reported(result.stdout, /transactions actually processed: (\d+)/u);
  const failed = reported(result.stdout, /failed transactions: (\d+)/u);
  const [[rows] = []] = await query(admin, "SELECT count(*) FROM pgbench_history");
  const perSecond = Math.round(reported(result.stdout, /tps = ([\d.]+)/u));
  stage.row({ what: "exit code", figure: result.code ?? Infinity, bound: 0, unit: "", note: told(result) });
  stage.row({ what: "transactions that failed", figure: failed, bound: 0, unit: "", note: `in ${seconds} s` });
  stage.row({
    what: "rows more or fewer than transactions",
    figure: Math.abs(Number(rows) - transactions),
    bound: 0,
    unit: "",
    note: `${rows} rows, ${transactions} transactions, ${perSecond} a second`,
  });
}

async function redis(stage: TunnelStage, tls: boolean): Promise<void> {
  const command = installed("redis-benchmark", "redis-tools");
  const server = await startRedis(stage);
  const way = await cutWay(stage, { target: server.port, tls });
  const number = stage.scaled(REDIS_COMMANDS);
  const args = ["-p", `${way.port}`, "-c", `${REDIS_CLIENTS}`, "-n", `${number}`, "-t", "incr", "-q"];
  const result = await ran(stage, command, args);
  await rowOfCuts(stage, way);
  const asked = await ran(stage, "redis-cli", ["-p", `${server.port}`, "get", COUNTER]);
  const perSecond = Math.round(reported(result.stdout, /INCR: ([\d.]+) requests per second/u));
  const errors = result.stdout.split(/[\r\n]/u).filter((said) => said.includes("rror"));
  stage.row({ what: "exit code", figure: result.code ?? Infinity, bound: 0, unit: "", note: told(result) });
  stage.row({ what: "errors", figure: errors.length, bound: 0, unit: "", note: errors[0] ?? "" });
  stage.row({
    what: "commands that happened twice, or did not",
    figure: Math.abs(Number(asked.stdout) - number),
    bound: 0,
    unit: "",
    note: `of ${number}, ${perSecond} a second`,
  });
}
