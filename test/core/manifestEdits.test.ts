import assert from 'node:assert/strict';
import { existsSync, utimesSync } from 'node:fs';
import { makePrivateFolder, sweepLeftovers } from '../../src/core/files/workplace.ts';
import { editManifest, readManifestOf } from '../../src/core/manifest/manifestFile.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('what two processes do at once', () => {
  const folder = useTempFolder();

  it('to one manifest is all in it: the second draft is made of what the first one has written', async () => {
    const { path } = await snapshot(createDatabase(folder('app.db')));
    let tries = 0;
    editManifest(path, (before) => {
      // The other process is quicker.
      if (++tries === 1) editManifest(path, (earlier) => ({ ...earlier, pinned: true }));
      return { ...before, note: 'mine' };
    });
    assert.equal(tries, 2);
    const { manifest } = readManifestOf(path) as { manifest: { pinned?: boolean; note?: string } };
    assert.deepEqual([manifest.pinned, manifest.note], [true, 'mine']);
  });

  it('leaves the half-made files of one that lives, although the clock says that a day has passed', async () => {
    const { path, remove } = makePrivateFolder(folder());
    const dayAgo = new Date(Date.now() - 25 * 3_600_000);
    utimesSync(path, dayAgo, dayAgo);
    await sweepLeftovers(folder());
    assert.ok(existsSync(path));
    remove();
  });
});
