import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** True where this process can install packages of Debian. */
export const canInstall =
  process.platform === 'linux' && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');

/** Installs a package; returns what apt-get said when it could not. One process at a time: suites run side by side. */
export function installPackage(name: string): string | undefined {
  const install = `apt-get install -y ${name}`;
  const script = `${install} || { apt-get update && ${install}; }`;
  const lock = join(tmpdir(), 'sqlite-backup-apt.lock');
  const { status, stdout, stderr } = spawnSync('flock', [lock, 'sh', '-c', script], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    encoding: 'utf8',
  });
  return status === 0 ? undefined : `${stdout}${stderr}`;
}
