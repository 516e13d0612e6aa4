import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isBackupError } from '../../src/core/errors.ts';
import { type Manifest, parseManifest, type Receipt } from '../../src/core/manifest/manifest.ts';
import { type Destination, placeOf, remember } from '../../src/core/offsite/destination.ts';
import { fetchOffsite, listOffsite } from '../../src/core/offsite/fetch.ts';
import { forgetOffsite } from '../../src/core/offsite/forget.ts';
import { proveOffsite } from '../../src/core/offsite/prove.ts';
import { databaseIdOf, recordReceipt } from '../../src/core/offsite/receipts.ts';
import { type Sent, sendOffsite } from '../../src/core/offsite/send.ts';
import { createDatabase, sha256, snapshot } from '../support/databases.ts';
import { mirrorAt, needEngines } from '../support/offsite.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itInPart } from '../support/operations.ts';

const quiet = (): void => undefined;

function manifestOf(path: string): Manifest {
  const parsed = parseManifest(readFileSync(`${path}.json`, 'utf8'));
  assert.ok(parsed.kind === 'manifest');
  return parsed.manifest;
}

const receiptOf = (path: string): Receipt | undefined => manifestOf(path).offsite?.[0];

describe('copies of databases with equal content', () => {
  const folder = useTempFolder();
  let destination: Destination;
  let one: string;
  let two: string;

  beforeEach(async function () {
    needEngines(this, 'rclone');
    destination = mirrorAt(folder('mirror'));
    createDatabase(folder('one.db'), { rows: 3 });
    copyFileSync(folder('one.db'), folder('two.db'));
    one = await backUp('one');
    two = await backUp('two');
  });

  const backUp = async (name: string, into = 'backups'): Promise<string> =>
    (
      await snapshot(folder(`${name}.db`), {
        ...{ folder: folder(into), recordAs: { path: `${name}.db` } },
      })
    ).path;
  const send = (...only: string[]): Promise<Sent> =>
    sendOffsite(
      { destination, folders: [folder('backups')], ...(only.length > 0 && { only }) },
      quiet,
    );
  const copyOf = (path: string): string =>
    join(folder('mirror'), manifestOf(path).sha256.slice(0, 12), basename(path));

  it('are one for each: what is sent of one is no copy of the other', async () => {
    assert.equal(sha256(one), sha256(two));
    assert.equal((await send(one)).sent.length, 1);
    const second = await send(two);
    assert.deepEqual([second.sent.length, second.already.length], [1, 0]);
    assert.deepEqual(
      new Set((await listOffsite({ destination })).map(({ database }) => database)),
      new Set([one, two].map((path) => databaseIdOf(manifestOf(path)))),
    );
    const third = await send();
    assert.deepEqual([third.sent.length, third.already.length], [0, 2]);
  });

  itInPart('are proved and fetched for their own database only', async () => {
    await send(one);
    const [copy] = await listOffsite({ destination });
    await proveOffsite({ destination, folders: [folder('backups')] }, quiet);
    assert.equal(receiptOf(two), undefined);
    rmSync(one);
    rmSync(`${one}.json`);
    const fetched = await fetchOffsite(
      { destination, id: copy?.id ?? '', folder: folder('backups') },
      quiet,
    );
    assert.deepEqual([fetched.already, fetched.path], [false, one]);
  });

  itInPart('of one name share their address, and none is sent again and again', async () => {
    mkdirSync(folder('others'));
    const same = join(folder('others'), basename(one));
    copyFileSync(two, same);
    writeFileSync(`${same}.json`, readFileSync(`${two}.json`));
    await send(one);
    const shared = await send(same);
    assert.deepEqual([shared.already.length, shared.proved.length], [1, 1]);
    const copy = copyOf(one);
    const bytes = readFileSync(copy);
    writeFileSync(copy, bytes.fill(7, 300, 310));
    await proveOffsite(
      { destination, all: true, folders: [folder('backups'), folder('others')] },
      quiet,
    );
    assert.deepEqual([receiptOf(one)?.provedAt, receiptOf(same)?.provedAt], [undefined, undefined]);
  });

  it('that a proof found damaged are replaced by the next send', async () => {
    await send(one);
    const copy = copyOf(one);
    const bytes = readFileSync(copy);
    writeFileSync(copy, bytes.fill(7, 300, 310));
    const { failures } = await proveOffsite(
      { destination, all: true, folders: [folder('backups')] },
      quiet,
    );
    assert.match(failures[0]?.message ?? '', /returns damaged data/);
    assert.equal(receiptOf(one)?.provedAt, undefined);
    const { sent, already, proved, failures: none } = await send(one);
    assert.deepEqual([sent.length, already.length, proved.length, none], [1, 0, 1, []]);
    assert.equal(sha256(copy), sha256(one));
    assert.ok(receiptOf(one)?.provedAt !== undefined);
    assert.deepEqual(readdirSync(folder('mirror')), [basename(join(copy, '..'))]);
  });
});

/** A stand-in for restic that has one snapshot of each file `ID` in a folder: each call of the real one takes a second. */
describe('copies that restic removes', () => {
  const folder = useTempFolder();
  const [first, second, other] = ['1', '2', '3'].map((digit) => digit.repeat(64)) as [
    string,
    string,
    string,
  ];
  let destination: Destination;
  let one: string;
  let two: string;

  beforeEach(async () => {
    mkdirSync(folder('server'));
    createDatabase(folder('one.db'), { rows: 3 });
    copyFileSync(folder('one.db'), folder('two.db'));
    [one, two] = (await Promise.all(
      ['one', 'two'].map(async (name) => {
        const { path } = await snapshot(folder(`${name}.db`), {
          ...{ folder: folder('backups'), recordAs: { path: `${name}.db` } },
        });
        return path;
      }),
    )) as [string, string];
  });

  /** `forgetting` are the lines of its `forget`, and `listing` those before it lists. */
  function setUp(forgetting: string, listing = ''): void {
    const program = folder('restic');
    writeFileSync(
      program,
      `#!/bin/sh
cd "${folder('server')}"
case "$1" in
  version) echo "restic 0.14.0";;
  snapshots) ${listing}
    all=$(cat * | tr '\\n' ','); echo "[\${all%,}]";;
  forget) ${forgetting}
    ;;
esac
`,
      { mode: 0o755 },
    );
    destination = {
      ...{ name: 'nas', engine: 'restic', repository: folder('server'), what: 'all', program },
    } as Destination;
    put(first, one);
    put(second, one);
    put(other, two);
    const receipt = (id: string): Receipt => ({
      ...{ name: 'nas', engine: 'restic', place: placeOf(destination), id },
      ...{ at: '2026-01-01T00:00:00.000Z', provedAt: '2026-01-01T00:00:00.000Z' },
    });
    // As an earlier version has left it: the copy of one counts for two as well.
    recordReceipt(one, receipt(first));
    recordReceipt(two, receipt(first));
    remember(destination, { folders: [folder('backups')] });
  }

  function put(id: string, backup: string): void {
    const { sha256: sha, createdAt, source, sizeBytes } = manifestOf(backup);
    const tags = ['sqlite-backup', `sha=${sha}`, `at=${createdAt}`, `size=${sizeBytes}`];
    const paths = [`/${basename(backup)}`, `/${basename(backup)}.json`];
    const snapshotThere = { id, paths, tags: [...tags, `db=${source.id}`] };
    writeFileSync(join(folder('server'), id), `${JSON.stringify(snapshotThere)}\n`);
  }

  const forget = (...ids: string[]): Promise<unknown> =>
    forgetOffsite({ destination, secret: 'x', ids });

  it('are removed for their own database: a backup of another is sent again', async () => {
    setUp(`rm ${first}`);
    await forget(first);
    assert.ok(receiptOf(one)?.removedAt !== undefined);
    assert.equal(receiptOf(one)?.provedAt, undefined);
    assert.deepEqual(manifestOf(two).offsite, []);
  });

  it('are recorded as removed when restic fails after it', async () => {
    setUp(`rm ${first}; echo "1 files deleted"; echo "Fatal: prune: write: broken" >&2; exit 1`);
    await assert.rejects(
      forget(first),
      (error) =>
        isBackupError(error) &&
        /Copies were removed from nas before this happened: restic failed for nas: Fatal: prune/.test(
          error.message,
        ) &&
        /restic prune/.test(error.hint ?? ''),
    );
    assert.ok(receiptOf(one)?.removedAt !== undefined);
    assert.equal(receiptOf(one)?.provedAt, undefined);
  });

  it('keep their receipt when restic fails before it', async () => {
    setUp(`echo "Fatal: no idea" >&2; exit 1`);
    const before = [receiptOf(one), receiptOf(two)];
    await assert.rejects(forget(first), /restic failed for nas: Fatal: no idea/);
    assert.deepEqual([receiptOf(one), receiptOf(two)], before);
  });

  it('have no proof when restic fails and does not say what is left', async () => {
    setUp(
      `rm ${first}; touch ../away; echo "dial tcp: i/o timeout" >&2; exit 1`,
      '[ -e ../away ] && { echo "dial tcp: i/o timeout" >&2; exit 1; }',
    );
    await assert.rejects(forget(first), /nas cannot be reached/);
    const { provedAt, removedAt } = receiptOf(one) ?? {};
    assert.deepEqual([provedAt, removedAt], [undefined, undefined]);
  });
});
