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

  it('offers its commands', async () => {
    await window.findCommand('SQLite Backup: Show Log');
    await window.screenshot('commands');
  });
});
