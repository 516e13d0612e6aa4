import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { type ContentSearch, findByContent } from '../../src/core/catalog/byContent.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the search for databases by content', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const search = (
    changes: Partial<ContentSearch> = {},
    exclude: string[] = [],
    include: string[] = [],
  ): { found: string[]; complete: boolean } => {
    const places = [{ folder: folder(), exclude, include }];
    const all = { places, leaveOut: [], limitMs: 60_000, ...changes };
    const { paths, complete } = findByContent(all);
    return { found: paths.map((path) => relative(folder(), path)).sort(), complete };
  };
  const create = (...names: string[]): void => {
    for (const name of names) {
      mkdirSync(dirname(folder(name)), { recursive: true });
      createDatabase(folder(name));
    }
  };

  it('finds nothing in a folder that is empty, missing or a file', () => {
    writeFileSync(folder('file'), 'x');
    for (const place of [folder(), folder('missing'), folder('file')]) {
      const places = [{ folder: place, exclude: [], include: [] }];
      assert.deepEqual(search({ places }), { found: [], complete: true });
    }
  });

  it('goes by content, whatever the name, and opens no text of the same size', () => {
    create('Cookies', 'a/APP.DB', 'a/.hidden', 'a/travel-journal', 'b/c/tiles.dat');
    writeFileSync(folder('page.txt'), 'x'.repeat(4096));
    writeFileSync(folder('empty'), '');
    writeFileSync(folder('short'), 'SQLite format 3\0');
    const found = ['Cookies', 'a/.hidden', 'a/APP.DB', 'a/travel-journal', 'b/c/tiles.dat'];
    assert.deepEqual(search(), { found, complete: true });
  });

  it('passes over what is found by its name', () => {
    create('a.db', 'a/b.db', 'a/c.DB', 'a/d');
    assert.deepEqual(search({}, [], ['**/*.{db,sqlite}']).found, ['a/c.DB', 'a/d']);
    const only = [folder('a/b.db'), folder('a/d')];
    assert.deepEqual(search({ only }, [], ['**/*.{db,sqlite}']).found, ['a/d']);
  });

  it('passes over what is known, backups folders, our own backups and siblings', async () => {
    create('known', 'kept/old');
    createDatabase(folder('busy'), { journalMode: 'wal' });
    await holdOpen(folder('busy'), 'DELETE FROM items');
    await snapshot(folder('known'));
    const leaveOut = [folder('known'), folder('kept')];
    assert.deepEqual(search({ leaveOut }).found, ['busy']);
  });

  it('neither reads nor enters what is excluded, node_modules and .git', () => {
    create('a/x', 'a/deep/x', 'cache/x', 'node_modules/m/x', '.git/x', 'b/.git/x', 'top.tmp');
    create('.tmp-sqlite-backup-00000000-1-000000000000/x');
    symlinkSync(folder('cache'), folder('linked'));
    symlinkSync(folder(), folder('a/loop'));
    const cases: [exclude: string[], found: string[]][] = [
      [[], ['a/deep/x', 'a/x', 'cache/x', 'top.tmp']],
      [
        ['**/cache', '*.tmp'],
        ['a/deep/x', 'a/x'],
      ],
      [['{a,b}/{x,deep}'], ['cache/x', 'top.tmp']],
      [['**/cache/**', '{a/deep,**/*.tmp}'], ['a/x']],
      [
        ['', '[', 'a/*'],
        ['cache/x', 'top.tmp'],
      ],
    ];
    for (const [exclude, found] of cases) assert.deepEqual(search({}, exclude).found, found);
  });

  it('gives a workspace folder inside another one its own excludes', () => {
    create('x', 'inner/x', 'inner/out/x');
    const places = [
      { folder: folder(), exclude: ['**/inner'], include: [] },
      { folder: folder('inner'), exclude: ['out'], include: [] },
    ];
    assert.deepEqual(search({ places }).found, ['inner/x', 'x']);
  });

  it('waits for no pipe, opens no device, and follows links to files', () => {
    create('elsewhere/real');
    spawnSync('mkfifo', [folder('pipe')]);
    symlinkSync(folder('pipe'), folder('to-pipe'));
    symlinkSync('/dev/zero', folder('to-device'));
    symlinkSync('/dev', folder('to-devices'));
    symlinkSync(folder('nowhere'), folder('dangling'));
    symlinkSync(folder('elsewhere/real'), folder('link'));
    // The file and the link to it count once, under the name that is met first.
    assert.deepEqual(search(), { found: ['link'], complete: true });
  });

  it('stops in time, and says that it has not seen all', () => {
    create('x');
    assert.deepEqual(search({ limitMs: -1 }), { found: [], complete: false });
  });

  it('stops at a thousand, higher folders first', () => {
    create('z', 'a/b/0');
    for (let n = 1; n <= 1000; n++) copyFileSync(folder('z'), folder(`a/b/${n}`));
    const { found, complete } = search();
    assert.equal(complete, false);
    assert.equal(found.length, 1000);
    assert.ok(found.includes('z'));
  });

  it('looks at single files as if it had come to them', () => {
    create('a/x', 'a/y', 'cache/x', 'node_modules/m/x', 'kept/x');
    const only = ['a/x', 'cache/x', 'node_modules/m/x', 'kept/x', 'a/missing', '..'].map((name) =>
      folder(name),
    );
    assert.deepEqual(search({ only, leaveOut: [folder('kept')] }, ['cache']).found, ['a/x']);
  });
});
