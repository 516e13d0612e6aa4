import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { spawnTree, temporaryFolder } from '../support/hosts/lifetime.ts';
import { openAddress } from './window.ts';
import { itInPart } from '../support/operations.ts';

const ROOT = resolve(import.meta.dirname, '../..');

/** With FAULTS=all, `npm ci` and the VS Code server come from the network; else they are those of this checkout. */
const fromNothing = process.env['FAULTS'] === 'all';

describe('npm start', function () {
  this.timeout(300_000);

  itInPart(
    'shows a fresh clone at the address that it prints, where a first backup takes a few clicks',
    async () => {
      const { path, remove } = temporaryFolder('clone');
      const clone = join(path, 'sqlite-backup');
      const env = environmentOfAPerson();
      cloneTo(clone);
      if (fromNothing) execFileSync('npm', ['ci'], { cwd: clone, env, stdio: 'inherit' });
      else for (const made of ['node_modules', '.vscode-test']) link(made, clone);

      const { child, kill } = spawnTree('npm', ['start'], {
        cwd: clone,
        env: { ...env, VSCODE_HOST: 'server' },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        assert.ok(child.stdout);
        const url = await printedAddress(child.stdout);
        const window = await openAddress(url);
        try {
          await window.openSidebar();
          await window.treeItem(/^data\/sessions\.db, .*never backed up/).waitFor();
          const row = window.treeItem(/^data\/app\.db, .*never backed up/);
          await row.hover();
          await row.getByRole('button', { name: /Back Up/ }).click();
          await window.option(/^In the Workspace: backups/).click();
          await window.notification(/Backed up data\/app\.db: .* verified\./).waitFor();
          await window.screenshot('npm-start');
        } catch (error) {
          await window.screenshot('failed');
          throw error;
        } finally {
          await window.close();
        }
        const folder = new URL(url).searchParams.get('folder') ?? '';
        const names = readdirSync(join(folder, 'backups')).sort();
        assert.match(names.join(' '), /^app_\d{8}_\d{6}Z\.db app_\d{8}_\d{6}Z\.db\.json$/);
      } finally {
        kill();
        remove();
      }
    },
  );
});

/** A clone, with the changes to its files that are not committed yet. */
function cloneTo(clone: string): void {
  execFileSync('git', ['clone', '--quiet', ROOT, clone]);
  const changes = execFileSync('git', ['diff', '--binary', 'HEAD'], { cwd: ROOT });
  if (changes.length > 0) execFileSync('git', ['apply'], { cwd: clone, input: changes });
}

function link(name: string, clone: string): void {
  mkdirSync(join(ROOT, name), { recursive: true });
  symlinkSync(join(ROOT, name), join(clone, name));
}

/** Without what `npm test` adds for this checkout. */
function environmentOfAPerson(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE)/i.test(name));
  const env = Object.fromEntries(entries);
  const inside = (folder: string): boolean => folder.includes('node_modules');
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => !inside(folder));
  return { ...env, PATH: folders.join(delimiter) };
}

async function printedAddress(output: NodeJS.ReadableStream): Promise<string> {
  const lines: string[] = [];
  for await (const line of createInterface(output)) {
    const url = /^Open (http:\S+)$/.exec(line)?.[1];
    if (url !== undefined) return url;
    lines.push(line);
  }
  throw new Error(`npm start ended without an address:\n${lines.join('\n')}`);
}
