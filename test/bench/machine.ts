import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import Database from 'better-sqlite3';

/** What the numbers depend on, one fact a line. `folder` is where the databases and backups are. */
export function describeMachine(folder: string): string {
  const driver = new Database(':memory:');
  const sqlite = String(driver.prepare('SELECT sqlite_version()').pluck().get());
  driver.close();
  return [
    `CPU: ${cpus()[0]?.model.trim()}, ${cpus().length} cores`,
    `Memory: ${(totalmem() / 1e9).toFixed(0)} GB`,
    `System: ${type()} ${release()}`,
    `File system: ${fileSystemOf(folder)} (${folder})`,
    `Node.js ${process.versions.node}, SQLite of better-sqlite3 ${sqlite}, sqlite3 ${cliVersion()}`,
  ].join('\n');
}

/** Of the command `sqlite3`. Throws when there is none. */
export function cliVersion(): string {
  return execFileSync('sqlite3', ['--version'], { encoding: 'utf8' }).split(' ')[0] ?? '';
}

function fileSystemOf(folder: string): string {
  if (process.platform !== 'linux') return 'unknown';
  const output = execFileSync('df', ['--output=fstype,source', folder], { encoding: 'utf8' });
  return output.trim().split('\n').at(-1)?.trim().replace(/\s+/, ' on ') ?? 'unknown';
}
