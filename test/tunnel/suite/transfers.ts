/** ssh and curl: what arrives has the hash of what was sent. */
import { mkdirSync, writeFileSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { userInfo } from "node:os";
import { installed } from "../../real/install.ts";
import { startNginx } from "../../real/nginx-server.ts";
import { freePort } from "../../real/stage.ts";
import { cutRows, cutWay, rowOfCuts, untilCut } from "./cut-rows.ts";
import { line } from "./programs.ts";
import type { TunnelScenario, TunnelStage } from "./stage.ts";

const MIB = 2 ** 20;
/** 1 GiB. */
const MEBIBYTES = 1_024;
const SSHD_FOLDER = "/run/sshd";

export const TRANSFERS: readonly TunnelScenario[] = [
  ...cutRows("ssh", "1 GiB from `yes`, from the server and to it", ssh),
  ...cutRows("curl", "1 GiB from nginx", curl),
];

async function ssh(stage: TunnelStage, tls: boolean): Promise<void> {
  const { port, client } = await startSshd(stage);
  const way = await cutWay(stage, { target: port, tls });
  const login = `${client} -p ${way.port} 127.0.0.1`;
  const mib = stage.scaled(MEBIBYTES);
  // `yes` is ended by a signal when its reader goes.
  const made = `(yes || true) | head -c ${mib * MIB}`;
  const hash = await line(stage, `${made} | sha256sum`);
  const directions = {
    "from the server": `${login} '${made}' | sha256sum`,
    "to the server": `${made} | ${login} sha256sum`,
  };
  for (const [direction, transfer] of Object.entries(directions)) {
    const { transfers, right } = await untilCut(stage, way, async () => (await line(stage, transfer)) === hash);
    stage.row({
      what: `${direction}: hashes that differ`,
      figure: transfers - right,
      bound: 0,
      unit: "",
      note: `${transfers} transfers of ${mib} MiB`,
    });
  }
  await rowOfCuts(stage, way);
}

/** A server of our own, and the client's command line as far as the port. */
async function startSshd(stage: TunnelStage): Promise<{ port: number; client: string }> {
  const command = installed("sshd", "openssh-server");
  const program = installed("ssh", "openssh-client");
  const port = await freePort();
  const path = (name: string): string => join(stage.folder, name);
  for (const key of ["host", "user"]) await line(stage, `ssh-keygen -q -t ed25519 -N "" -f ${path(key)}`);
  await line(stage, `cp ${path("user.pub")} ${path("authorized_keys")}`);
  // Debian's unit makes it; of another user's sshd it is not asked.
  if (process.getuid?.() === 0) mkdirSync(SSHD_FOLDER, { recursive: true, mode: 0o755 });
  const settings = {
    ListenAddress: `127.0.0.1:${port}`,
    HostKey: path("host"),
    AuthorizedKeysFile: path("authorized_keys"),
    PidFile: "none",
    PermitRootLogin: "prohibit-password",
    StrictModes: "no",
    UsePAM: "no",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`);
  writeFileSync(path("sshd_config"), lines.join(""));
  const server = stage.server({ command, args: ["-D", "-e", "-f", path("sshd_config")], port });
  await server.start();
  const known = `-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes`;
  return { port, client: `${program} -F none ${known} -i ${path("user")} -l ${userInfo().username}` };
}

async function curl(stage: TunnelStage, tls: boolean): Promise<void> {
  const program = installed("curl", "curl");
  // A server's workers are somebody else's.
  await chmod(stage.folder, 0o711);
  const mib = stage.scaled(MEBIBYTES);
  const hash = await line(stage, `head -c ${mib * MIB} /dev/urandom > big; sha256sum < big`);
  const server = await startNginx(stage, { http: ["access_log off;"], server: [`root ${stage.folder};`] });
  const way = await cutWay(stage, { target: server.port, tls });
  const transfer = `${program} -sS http://127.0.0.1:${way.port}/big | sha256sum`;
  const { transfers, right } = await untilCut(stage, way, async () => (await line(stage, transfer)) === hash);
  stage.row({
    what: "hashes that differ",
    figure: transfers - right,
    bound: 0,
    unit: "",
    note: `${transfers} transfers of ${mib} MiB`,
  });
  await rowOfCuts(stage, way);
}
