import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { verifySnapshot } from '../../src/core/verify/verifySnapshot.ts';
import { bundleOf } from '../support/bundles.ts';
import { createDatabase, snapshot, valueOf } from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, isLinuxRoot, kill } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** As `docker run -v app.db:/app.db` mounts it: what lies beside the original is not beside the mounted name. */
describe('a database that is mounted as a single file', function () {
  endProcessesAfterEach();
  afterEach(() => {
    execFileSync('umount', ['-l', here()]);
  });
  const folder = useTempFolder();
  const here = (): string => folder('here/app.db');

  before(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
  });

  const make = (journalMode: 'wal' | 'delete'): string => {
    for (const name of ['host', 'here']) mkdirSync(folder(name));
    const original = createDatabase(folder('host/app.db'), { journalMode });
    writeFileSync(here(), '');
    execFileSync('mount', ['--bind', original, here()]);
    return original;
  };

  const inWal = ['PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items WHERE id > 7'];
  const count = 'SELECT count(*) FROM items';
  const codesOf = (some: readonly { code: string }[] = []): string[] =>
    some.map(({ code }) => code);

  it('is not called verified when its -wal would be hidden, and a later verify says so too', async () => {
    await kill(await holdOpen(make('wal'), ...inWal));
    const { path, manifest } = await snapshot(here());
    assert.equal(valueOf(path, count), 100);
    assert.equal(manifest.verdict.status, 'partial');
    assert.deepEqual(codesOf(manifest.warnings), ['hidden-wal']);
    assert.match(manifest.warnings?.[0]?.message ?? '', /app\.db is mounted as a single file/);
    assert.equal(verifySnapshot(path, () => undefined).status, 'partial');
    const [entry] = (await bundleOf([here()])).manifest.entries;
    assert.ok(entry?.kind === 'database');
    assert.deepEqual([entry.verdict.status, codesOf(entry.warnings)], ['partial', ['hidden-wal']]);
  });

  it('is as good as any other when a program on this side of the mount has its -wal here', async () => {
    make('wal');
    await holdOpen(here(), ...inWal);
    const { path, manifest } = await snapshot(here());
    assert.deepEqual([valueOf(path, count), manifest.verdict.status], [7, 'ok']);
    assert.equal(manifest.warnings, undefined);
  });

  it('is as good as any other in rollback mode', async () => {
    make('delete');
    const { manifest } = await snapshot(here());
    assert.deepEqual([manifest.verdict.status, manifest.warnings], ['ok', undefined]);
  });
});
