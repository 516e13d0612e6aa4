import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { aheadOf, counterSql, isBroken, takeCuts } from '../support/cuts.ts';
import { createDatabase, manifestOf } from '../support/databases.ts';
import {
  asNobody,
  cliEntry,
  endProcessesAfterEach,
  isLinuxRoot,
  run,
  start,
} from '../support/processes.ts';
import { sampleOf } from '../support/operations.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a cut, with root to prepare it', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();
  before(function () {
    if (!isLinuxRoot) this.skip();
  });

  const counters = (names: string[]): string[] =>
    names.map((name) => createDatabase(folder(name), { journalMode: 'wal', sql: counterSql }));

  const backUpAsNobody = async (
    paths: string[],
  ): Promise<{ cut: string; backups: { path: string }[] }> => {
    chmodSync(folder(), 0o755);
    mkdirSync(folder('b'));
    chmodSync(folder('b'), 0o777);
    const args = ['back-up', ...paths, '--together', '--to', folder('b'), '--json'];
    const ended = await run([...asNobody, process.execPath, cliEntry, ...args], { cwd: folder() });
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    return JSON.parse(ended.stdout) as { cut: string; backups: { path: string }[] };
  };

  it('claims no instant that it has not got while somebody writes without a pause', async function () {
    this.timeout(60_000);
    const paths = counters(['a.db', 'b.db', 'c.db', 'd.db', 'e.db', 'f.db', 'g.db', 'h.db']);
    await start('pairWriter.ts', 'restless', ...paths);
    const cuts = await takeCuts(
      folder(),
      sampleOf([...Array(15).keys()], 15).length,
      paths,
      asNobody,
    );
    const shared = cuts.filter(({ label }) => label === 'one-instant');
    assert.deepEqual(shared.map(aheadOf).filter(isBroken), []);
    const others = cuts.filter(({ label }) => label === 'per-database');
    for (const { reason } of others) assert.match(reason ?? '', /\w{3}/);
  });

  it('tells in the manifests what kind of cut it was, and why', async () => {
    const paths = counters(['a.db', 'b.db', 'c.db', 'd.db', 'e.db', 'f.db', 'g.db', 'h.db']);
    await start('pairWriter.ts', 'restless', ...paths);
    const { cut, backups } = await backUpAsNobody(paths);
    for (const { path } of backups) {
      const recorded = manifestOf(path).cut;
      assert.deepEqual([recorded?.label, recorded?.members], [cut, paths.length]);
      assert.equal(recorded?.reason !== undefined, cut === 'per-database');
    }
  });
});
