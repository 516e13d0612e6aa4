import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import { copyOut } from '../../src/core/catalog/keeping.ts';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { captureWith } from '../../src/worker/captureProcess.ts';
import {
  createDatabase,
  generationsIn,
  generationsSql,
  manifestOf,
  overwrite,
  snapshot,
  valueOf,
} from '../support/databases.ts';
import { isThorough, itWhere } from '../support/operations.ts';
import { useMounts } from '../support/mounts.ts';
import {
  asNobody,
  endProcessesAfterEach,
  fixture,
  isAlive,
  isLinuxRoot,
  run,
  start,
  waitUntil,
  workerEntry,
} from '../support/processes.ts';
import { applyRequest, leftoversIn, quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

interface Line {
  label: string;
  generations: string[];
  checks: string[];
  means: string[];
  others: string[];
}

const smallSql = generationsSql.replace('i < 1600', 'i < 200');
/** Slow on purpose: many commits fall into each copy. */
const slowly = '4096';

describe('captures by a second process, in great numbers,', function () {
  endProcessesAfterEach();
  const mounts = useMounts();
  const folder = useTempFolder();

  const mount = (kind: 'xfs' | 'btrfs'): string =>
    mounts.mountWithClones(kind, folder('image'), folder('mount'));

  const capture = async (count: number, to: string, databases: string[]): Promise<Line[]> => {
    const args = [fixture('captures.ts'), String(count), slowly, to, ...databases];
    const { code, stdout, stderr } = await run([process.execPath, ...args]);
    assert.equal(code, 0, stderr);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, count);
    return lines.map((line) => JSON.parse(line) as Line);
  };

  describe('of a database that a program writes to and another one checkpoints', () => {
    for (const disk of ['the disk of the tests', 'xfs'] as const) {
      for (const [journalMode, pageSize] of [
        ['wal', 512],
        ['wal', 4096],
        ['wal', 65536],
        ['delete', 4096],
      ] as const) {
        const count = isThorough ? 125 : 2;
        itWhere(pageSize === 4096)(
          `have one generation each (${disk}, ${journalMode}, pages of ${pageSize} bytes)`,
          async function () {
            this.timeout(30 * 60_000);
            if (disk === 'xfs' && !isLinuxRoot) this.skip();
            const place = disk === 'xfs' ? mount('xfs') : folder();
            const pragmas = [`page_size = ${pageSize}`];
            const path = createDatabase(`${place}/app.db`, { journalMode, pragmas, sql: smallSql });
            await start('writer.ts', path, journalMode === 'wal' ? '1' : '30');
            if (journalMode === 'wal') await start('checkpointer.ts', path);
            for (const line of await capture(count, `${place}/b`, [path])) {
              assert.match(String(line.generations), /^\d+$/, JSON.stringify(line));
              const means = disk === 'xfs' ? 'clone' : 'copy';
              assert.deepEqual([line.checks, line.means, line.others], [['ok'], [means], []]);
            }
          },
        );
      }
    }
  });

  for (const disk of ['the disk of the tests', 'xfs'] as const) {
    it(`of three databases that a program writes to in turn are of one moment or say that they are not (${disk})`, async function () {
      this.timeout(30 * 60_000);
      if (disk === 'xfs' && !isLinuxRoot) this.skip();
      const place = disk === 'xfs' ? mount('xfs') : folder();
      const paths = ['a', 'b', 'c'].map((name) =>
        createDatabase(`${place}/${name}.db`, { journalMode: 'wal', sql: smallSql }),
      );
      await start('turnWriter.ts', '5', ...paths);
      const count = isThorough ? 100 : 3;
      const cuts = await capture(count, `${place}/b`, paths);
      for (const cut of cuts) assert.deepEqual(cut.others, [], JSON.stringify(cut));
      const together = cuts.filter(({ label }) => label === 'one-instant');
      for (const { generations } of together) {
        const [a = NaN, b = NaN, c = NaN] = generations.map(Number);
        assert.ok(a >= b && b >= c && a - c <= 1, generations.join(' | '));
      }
      assert.ok(together.length >= count * 0.95, `${together.length} of ${count}`);
    });
  }

  it('of 32 MB and more are taken so, whatever the size of their pages', async function () {
    this.timeout(120_000);
    for (const pageSize of [512, 4096, 65536]) {
      const path = createDatabase(folder(`${pageSize}.db`), {
        journalMode: 'wal',
        pragmas: [`page_size = ${pageSize}`],
        sql: generationsSql.replace('i < 1600', 'i < 4200'),
      });
      const notes: string[] = [];
      const hooks = {
        capturing: captureWith(workerEntry),
        onNote: (one: string) => void notes.push(one),
      };
      const { path: copy, manifest } = await snapshot(path, { verify: true }, hooks);
      assert.ok(manifest.sizeBytes > 32e6);
      assert.deepEqual([manifest.verdict.status, notes], ['ok', []]);
      assert.equal(manifest.facts.pageSize, pageSize);
      assert.equal(generationsIn(copy), '0');
      const blobs = 'SELECT sum(length(data)) FROM filler';
      assert.equal(valueOf(copy, blobs), valueOf(path, blobs));
    }
  });

  it('of more than 1 GiB in pages of 512 bytes leave out the page that SQLite locks', async function () {
    if (!isThorough) this.skip();
    this.timeout(30 * 60_000);
    const path = createDatabase(folder('large.db'), {
      journalMode: 'wal',
      pragmas: ['page_size = 512', 'synchronous = off'],
      sql: generationsSql.replace('i < 1600', 'i < 138000'),
    });
    assert.ok(statSync(path).size > 1024 ** 3);
    const notes: string[] = [];
    const hooks = {
      capturing: captureWith(workerEntry),
      onNote: (one: string) => void notes.push(one),
    };
    const { path: copy, manifest } = await snapshot(
      path,
      { verify: true, busyTimeoutMs: 5000 },
      hooks,
    );
    assert.deepEqual([manifest.verdict.status, notes], ['ok', []]);
    assert.equal(generationsIn(copy), '0');
  });

  it('by a user who may not read the -shm have one generation, or are none', async function () {
    if (!isLinuxRoot) this.skip(); // Only root can become another user.
    const path = createDatabase(folder('app.db'), { journalMode: 'wal', sql: smallSql });
    await start('writer.ts', path, '5');
    chmodSync(folder(), 0o755);
    chmodSync(path, 0o644);
    chmodSync(`${path}-wal`, 0o644);
    chmodSync(`${path}-shm`, 0o600);
    mkdirSync(folder('b'));
    chmodSync(folder('b'), 0o777);
    const args = [fixture('captures.ts'), '2', slowly, folder('b'), path];
    const { code, stdout, stderr } = await run([...asNobody, process.execPath, ...args]);
    assert.equal(code, 0, stderr);
    for (const text of stdout.trim().split('\n')) {
      const line = JSON.parse(text) as Partial<Line> & { error?: { code: string } };
      if (line.error === undefined) assert.match(String(line.generations), /^\d+$/, text);
      else assert.match(line.error.code, /^(access|incomplete|source-busy|read-only-media)$/, text);
    }
  });

  for (const phase of ['index', 'start', 'copy', 'captured', 'prepared']) {
    itWhere(phase === 'copy')(
      `leave nothing under a final name, and no lock, when the first process is killed (${phase})`,
      async function () {
        if (process.platform !== 'linux') this.skip(); // /proc exists there only.
        const journalMode = phase === 'prepared' ? 'delete' : 'wal';
        const path = createDatabase(folder('app.db'), { journalMode, sql: smallSql });
        await start('writer.ts', path, '5');
        const args = [fixture('captures.ts'), '1', slowly, folder('b'), path];
        const ended = await run([process.execPath, ...args], { env: { KILL_AT: phase } });
        assert.equal(ended.signal, 'SIGKILL', ended.stdout + ended.stderr);
        const second = Number(/second (\d+)/.exec(ended.stdout)?.[1]);
        await waitUntil(() => !isAlive(second), 'the second process has ended');
        assert.deepEqual(
          readdirSync(folder('b')).filter((name) => !name.startsWith('.')),
          [],
        );
        const [line] = await capture(1, folder('b'), [path]);
        assert.deepEqual(line?.checks, ['ok']);
        assert.match(String(line.generations), /^\d+$/);
        assert.deepEqual(leftoversIn(folder('b')), []);
      },
    );
  }

  for (const kind of ['xfs', 'btrfs'] as const) {
    it(`share their blocks with the database, and a restore shares them with the backup (${kind})`, async function () {
      if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
      this.timeout(120_000);
      const place = mount(kind);
      const used = (): number => {
        execFileSync('sync', ['-f', place]);
        return Number(
          execFileSync('df', ['-B1', '--output=used', place], { encoding: 'utf8' }).split('\n')[1],
        );
      };
      const path = createDatabase(`${place}/app.db`, {
        journalMode: 'wal',
        sql: generationsSql.replace('i < 1600', 'i < 5000'),
      });
      const sizeBytes = statSync(path).size;
      const hooks = { ...quiet, capturing: captureWith(workerEntry) };
      const before = used();
      const backups = `${place}/b`;
      const { path: backup } = await snapshot(path, { folder: backups }, hooks);
      assert.equal(manifestOf(backup).cloned, true);
      const entries = listBackups(backups);
      assert.deepEqual(
        entries.map(({ kept }) => kept?.cloned),
        [true],
      );
      const target = `${place}/restored.db`;
      const [item] = (await applyRestore(applyRequest(backup, target), hooks)).items;
      assert.equal(item?.verified, 'ok');
      assert.ok(used() - before < sizeBytes / 4, `${used() - before} of ${sizeBytes}`);
      // What is written to the one is not seen in the others.
      overwrite(target, 100_000, Buffer.alloc(1_000_000, 7));
      overwrite(path, 2_000_000, Buffer.alloc(1_000_000, 7));
      assert.equal(valueOf(backup, 'PRAGMA integrity_check'), 'ok');
    });
  }

  it('are taken and put back where a copy has no space', async function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
    const place = mount('xfs');
    const path = createDatabase(`${place}/app.db`, {
      journalMode: 'wal',
      sql: generationsSql.replace('i < 1600', 'i < 5000'),
    });
    const sizeBytes = statSync(path).size;
    const free = Number(
      execFileSync('df', ['-B1', '--output=avail', place], { encoding: 'utf8' }).split('\n')[1],
    );
    execFileSync('fallocate', ['-l', String(free - sizeBytes / 2), `${place}/rest`]);
    const hooks = { ...quiet, capturing: captureWith(workerEntry) };
    const { path: backup } = await snapshot(path, { folder: `${place}/b` }, hooks);
    assert.equal(manifestOf(backup).cloned, true);
    const out = copyOut(backup, `${place}/out.db`, { readOnly: false });
    assert.equal(valueOf(out, 'PRAGMA integrity_check'), 'ok');
    const target = `${place}/restored.db`;
    const [item] = (await applyRestore(applyRequest(backup, target), hooks)).items;
    assert.equal(item?.verified, 'ok');
    // What has no way but a copy is told before it is begun.
    await assert.rejects(
      snapshot(path, { folder: `${place}/b`, method: 'compact' }, hooks),
      /Not enough space/,
    );
  });

  it('that are no clones do not say so', async () => {
    const path = createDatabase(folder('app.db'), { sql: smallSql });
    const capturing = { ...captureWith(workerEntry, {}), fewestBytes: 0 };
    const { manifest } = await snapshot(path, {}, { capturing });
    const canClone = manifest.cloned === true;
    const kind = execFileSync('stat', ['-f', '-c', '%T', folder()], { encoding: 'utf8' });
    assert.equal(canClone, /xfs|btrfs/.test(kind));
  });
});
