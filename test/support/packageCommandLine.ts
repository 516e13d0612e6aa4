// Packs the command line for npm, as sqlite-backup-cli-VERSION.tgz at the root of the project.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };

const ROOT = resolve(import.meta.dirname, '../..');

/** Builds for production and packs into `to`; returns the path of the tarball. */
export function packageCommandLine(to = ROOT): string {
  mkdirSync(join(ROOT, 'out'), { recursive: true });
  const staging = mkdtempSync(join(ROOT, 'out/command-line-'));
  try {
    const build = ['esbuild.mjs', `--command-line=${staging}`];
    execFileSync(process.execPath, build, { cwd: ROOT, stdio: 'inherit' });
    cpSync(join(ROOT, 'src/cli/start.cjs'), join(staging, 'start.cjs'));
    cpSync(join(ROOT, 'LICENSE'), join(staging, 'LICENSE'));
    const description = 'Consistent, verified backups of SQLite databases, and their restore.';
    writeFileSync(
      join(staging, 'README.md'),
      `# SQLite Backup, command line\n\n${description}\n\n    sqlite-backup help\n`,
    );
    const { version, license, devDependencies } = manifest;
    writeFileSync(
      join(staging, 'package.json'),
      JSON.stringify({
        // `sqlite-backup` on npm is another program.
        name: '@sqlite-backup/cli',
        ...{ version, description, license },
        type: 'module',
        bin: { 'sqlite-backup': 'start.cjs' },
        engines: { node: '>=22.14' },
        dependencies: { 'better-sqlite3': devDependencies['better-sqlite3'] },
      }),
    );
    const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', to];
    const printed = execFileSync('npm', pack, { cwd: staging, encoding: 'utf8' });
    const [{ filename }] = JSON.parse(printed) as [{ filename: string }];
    return join(to, filename);
  } finally {
    rmSync(staging, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const path = packageCommandLine();
  console.log(`${path}: ${(statSync(path).size / 1024 ** 2).toFixed(2)} MB`);
}
