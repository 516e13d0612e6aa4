import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { createDatabase, valueOf } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, runCli } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('save-open', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();

  before(function () {
    if (process.platform !== 'linux') this.skip(); // Elsewhere other programs do not show their files.
  });

  const cli = (...args: string[]): ReturnType<typeof runCli> => runCli(args, { cwd: folder() });

  it('needs one database and a folder', async () => {
    assert.equal((await cli('save-open')).code, 2);
    assert.equal((await cli('save-open', 'a.db', 'b.db', '--to', 'b')).code, 2);
    assert.equal((await cli('save-open', 'a.db')).code, 2);
  });

  it('says when there is nothing to save', async () => {
    const { code, stderr } = await cli('save-open', 'app.db', '--to', 'b');
    assert.equal(code, 1);
    assert.match(stderr, /nothing to save/);
  });

  it('is what back-up names for a deleted database, and saves it', async () => {
    const live = createDatabase(folder('app.db'), { journalMode: 'wal' });
    const { pid } = await holdOpen(live, 'DELETE FROM items WHERE id > 7');
    rmSync(live);
    const refused = await cli('back-up', 'app.db', '--to', 'b');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, new RegExp(`node \\(pid ${pid}\\).*sqlite-backup save-open`, 's'));
    const { code, stdout, stderr } = await cli('save-open', 'app.db', '--to', 'b');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Stop the program, then restore this backup/);
    assert.match(stderr, new RegExp(`app\\.db.*node \\(pid ${pid}\\)`));
    const [name = ''] = readdirSync(folder('b'));
    assert.equal(valueOf(folder('b', name), 'SELECT count(*) FROM items'), 7);
  });
});
