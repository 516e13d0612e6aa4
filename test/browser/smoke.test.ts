import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/hosts/lifetime.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { openWindow } from './window.ts';
import type { Window } from './window.ts';

describe('the packed extension', () => {
  const workspace = temporaryFolder('workspace');
  let window: Window;

  before(async () => {
    createSampleWorkspace(workspace.path);
    window = await openWindow({ folder: workspace.path });
  });

  after(async () => {
    await window?.close();
    workspace.remove();
  });

  it('brings the licences of all that it contains of others', () => {
    const folder = window.server?.extensionsFolder ?? '';
    const [name = ''] = globSync('sqlite-backup*/dist/third-party-notices.txt', { cwd: folder });
    const notices = readFileSync(join(folder, name), 'utf8');
    for (const one of ['better-sqlite3', 'picomatch', 'yauzl'])
      assert.match(notices, new RegExp(`^${one} [\\d.]+ \\(MIT\\)$`, 'm'));
  });

  it('offers its commands', async () => {
    await window.findCommand('SQLite Backup: Show Log');
    await window.screenshot('commands');
  });
});
