import assert from 'node:assert/strict';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { extractBundle } from '../../src/core/bundle/extract.ts';
import { Zip } from '../../src/core/bundle/zipReader.ts';
import { type Packable, writeZip } from '../../src/core/bundle/zipWriter.ts';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import { digestFile } from '../../src/core/files/digests.ts';
import { verifyBundle } from '../../src/core/verify/verifyBundle.ts';
import { bundled, bundleOf, bundleRequest, quietHooks } from '../support/bundles.ts';
import { counterSql, isBroken } from '../support/cuts.ts';
import { createDatabase, sha256, valueOf } from '../support/databases.ts';
import {
  disturb,
  everyNthOfMany,
  hasHit,
  inLanes,
  isThorough,
  type Operation,
  operationsOn,
  traced,
  itWhere,
  itInPart,
} from '../support/operations.ts';
import {
  type Ended,
  endProcessesAfterEach,
  fixture,
  isLinuxRoot,
  needProgram,
  run,
  start,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a bundle', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();

  describe('of a program that writes to one database, then to the other', () => {
    const bundles = isThorough ? 100 : 25;
    it(`keeps its rule in each of ${bundles}`, async function () {
      this.timeout(110_000);
      const paths = ['a.db', 'b.db'].map((name) =>
        createDatabase(folder(name), { journalMode: 'wal', sql: counterSql }),
      );
      await start('pairWriter.ts', 'steady', ...paths);
      const broken: number[] = [];
      const labels = new Map<string, number>();
      for (let n = 0; n < bundles; n++) {
        const { path, manifest } = await bundleOf(paths, {
          compression: 'fast',
          busyTimeoutMs: 5000,
        });
        const out = folder(`out-${n}`);
        const files = await extractBundle({ bundle: path, folder: out }, quietHooks);
        const [a = NaN, b = NaN] = files.map((file) =>
          Number(valueOf(file.path, 'SELECT n FROM counter')),
        );
        labels.set(manifest.cut.label, (labels.get(manifest.cut.label) ?? 0) + 1);
        if (manifest.cut.label === 'one-instant' && isBroken(a - b)) broken.push(a - b);
        rmSync(out, { recursive: true });
      }
      assert.deepEqual(broken, []);
      assert.ok((labels.get('one-instant') ?? 0) >= 0.95 * bundles, JSON.stringify([...labels]));
    });
  });

  describe('disturbed at any operation on the backups folder', () => {
    let before: string[] = [];
    const databases = (): string[] => [folder('app.db'), folder('users.db')];

    beforeEach(function () {
      if (process.platform !== 'linux') this.skip(); // strace exists there only.
      needProgram('strace', 'strace');
      createDatabase(folder('app.db'), { rows: 20 });
      createDatabase(folder('users.db'), { rows: 20 });
      writeFileSync(folder('note.txt'), 'note');
      before = databases().map(sha256);
    });

    /** The backups folder of a lane. */
    const backupsOf = (lane: number): string => folder(`b${lane}`);

    const job = (lane: number, ...straceOptions: string[]): Promise<Ended> => {
      const request = bundleRequest(databases(), {
        folder: backupsOf(lane),
        companions: [{ root: folder(), globs: ['note.txt'] }],
      });
      return run([
        ...(straceOptions.length > 0 ? traced(folder(`trace${lane}`), ...straceOptions) : []),
        process.execPath,
        fixture('bundleJob.ts'),
        JSON.stringify(request),
      ]);
    };

    const operations = async (): Promise<Operation[]> => {
      mkdirSync(backupsOf(0));
      // The first bundle gives the databases their identities; the ones after it all do the same.
      assert.equal((await job(0)).code, 0);
      rmSync(backupsOf(0), { recursive: true });
      mkdirSync(backupsOf(0));
      const { code, stdout, stderr } = await job(0, '-q');
      assert.equal(code, 0, stdout + stderr);
      return operationsOn(backupsOf(0), folder('trace0'));
    };

    /** What is wrong after a disturbed job and the good one that follows it. */
    const judge = async (lane: number, ended: Ended, kind: string): Promise<string[]> => {
      const at = backupsOf(lane);
      const wrong: string[] = [];
      const finals = readdirSync(at).filter((name) => !name.startsWith('.tmp-'));
      for (const name of finals.filter((one) => one.endsWith('.zip'))) {
        const { status, findings } = await verifyBundle(join(at, name), () => undefined, folder());
        const isWithoutPair =
          status === 'partial' && findings.every(({ code }) => code === 'no-manifest');
        if (status !== 'ok' && !isWithoutPair) wrong.push(`${name} is ${status}`);
      }
      for (const name of finals.filter((one) => one.endsWith('.json'))) {
        if (!finals.includes(name.slice(0, -'.json'.length)))
          wrong.push('a manifest without its zip');
      }
      if (kind !== 'KILL') {
        if (ended.code !== 0 && finals.length > 0) wrong.push(`failed, but left ${finals.join()}`);
        if (ended.code === 0 && finals.length !== 2)
          wrong.push(`succeeded with ${finals.length} files`);
        const { code = '' } =
          ended.code === 0 ? {} : (JSON.parse(ended.stdout || '{}') as { code?: string });
        if (ended.code !== 0 && !['io-error', 'access', 'target-full'].includes(code))
          wrong.push(`${code}: ${ended.stdout}${ended.stderr}`);
      }
      const next = await job(lane);
      if (next.code !== 0) wrong.push(`the next bundle failed: ${next.stdout}${next.stderr}`);
      if (readdirSync(at).some((name) => name.startsWith('.tmp-')))
        wrong.push('the next bundle did not sweep');
      if (databases().map(sha256).join() !== before.join()) wrong.push('a database has changed');
      return wrong;
    };

    const canFill = ({ call }: Operation): boolean =>
      /^(openat|link|linkat|mkdir|rename|write|pwrite64)$/.test(call);

    for (const [kind, injection, choose] of [
      ['KILL', 'signal=KILL', (all) => everyNthOfMany(all, 2, 0)],
      ['EIO', 'error=EIO', (all) => everyNthOfMany(all, 6, 1)],
      ['ENOSPC', 'error=ENOSPC', (all) => everyNthOfMany(all.filter(canFill), 6, 2)],
    ] as const satisfies [string, string, (all: Operation[]) => Operation[]][]) {
      itWhere(kind !== 'ENOSPC')(`by ${kind} is whole or not there`, async () => {
        const all = choose(await operations());
        const wrong: string[] = [];
        let missed = 0;
        await inLanes(2, all, async (operation, lane) => {
          const attempt = (): ReturnType<typeof job> => {
            rmSync(backupsOf(lane), { recursive: true, force: true });
            mkdirSync(backupsOf(lane));
            return job(lane, ...disturb(operation, injection));
          };
          let ended = await attempt();
          const isMissed = (): boolean =>
            kind !== 'KILL' && !hasHit(backupsOf(lane), folder(`trace${lane}`));
          for (let more = 3; more > 0 && isMissed(); more--) ended = await attempt();
          if (isMissed()) {
            missed++;
            return;
          }
          const found = await judge(lane, ended, kind);
          const shown = operation.line
            .replace(/^\d+ +/, '')
            .replaceAll(folder(), '')
            .slice(0, 120);
          wrong.push(...found.map((one) => `${one} <- ${shown}`));
        });
        assert.deepEqual(wrong, []);
        assert.ok(missed < Math.max(3, all.length / 5), `${missed} of ${all.length} missed`);
      });
    }
  });

  it('leaves nothing on a disk that is too small for the zip', async function () {
    if (!isLinuxRoot) this.skip();
    mkdirSync(folder('small'));
    const mounted = await run(['mount', '-t', 'tmpfs', '-o', 'size=11m', 'tmpfs', folder('small')]);
    if (mounted.code !== 0) this.skip();
    try {
      // Twice 4.5 MB of noise: room for the copies and for half of the zip.
      const paths = ['a.db', 'b.db'].map((name) => createDatabase(folder(name), { rows: 18_000 }));
      for (const compression of ['store', 'balanced'] as const) {
        await assert.rejects(bundled(paths, { folder: folder('small/b'), compression }), {
          code: 'target-full',
        });
        assert.deepEqual(readdirSync(folder('small')), []);
      }
    } finally {
      await run(['umount', folder('small')]);
    }
  });

  describe('beyond what the old format can say', () => {
    before(() => {
      for (const [program, name] of [
        ['unzip', 'unzip'],
        ['7zz', '7zip'],
        ['python3', 'python3'],
      ] as const)
        needProgram(program, name);
    });
    const readers = [
      ['unzip', '-tqq'],
      ['7zz', 't', '-bso0'],
      [
        'python3',
        '-c',
        'import sys,zipfile; assert zipfile.ZipFile(sys.argv[1]).testzip() is None',
      ],
    ];
    const options = {
      at: new Date('2026-11-21T13:45:02.000Z'),
      onProgress: () => undefined,
      onPacked: () => undefined,
    };

    it('has an entry of more than 4 GiB', async function () {
      if (!isThorough) this.skip(); // Minutes of zeros: FAULTS=all.
      this.timeout(300_000);
      const sizeBytes = 2 ** 32 + 12_345;
      const handle = openSync(folder('large.db'), 'w');
      ftruncateSync(handle, sizeBytes);
      closeSync(handle);
      const content = { path: folder('large.db') };
      const large: Packable = {
        name: 'large.db',
        sizeBytes,
        crc32: digestFile(content.path).crc32,
        content,
      };
      const tail = Buffer.from('tail');
      const small: Packable = {
        name: 'tail',
        sizeBytes: 4,
        crc32: crc32(tail),
        content: { bytes: tail },
      };
      await writeZip(folder('x.zip'), [large, small], { ...options, compression: 'fast' });
      const zip = await Zip.open(folder('x.zip'));
      try {
        await zip.requireSoundEntries();
        let read = 0;
        await zip.read('large.db', (chunk) => (read += chunk.length));
        assert.equal(read, sizeBytes);
        assert.equal((await zip.readSmall('tail', 10)).toString(), 'tail');
      } finally {
        zip.close();
      }
      for (const reader of readers.slice(0, 2)) {
        const { code, stdout, stderr } = await run([...reader, folder('x.zip')]);
        assert.equal(code, 0, `${reader[0]}: ${stdout}${stderr}`);
      }
    });

    it('begins an entry behind 4 GiB', async function () {
      if (!isThorough) this.skip(); // Minutes of zeros: FAULTS=all.
      this.timeout(300_000);
      const sizeBytes = 2 ** 32 - 100;
      const handle = openSync(folder('large.db'), 'w');
      ftruncateSync(handle, sizeBytes);
      closeSync(handle);
      const content = { path: folder('large.db') };
      const tail = Buffer.from('tail');
      await writeZip(
        folder('x.zip'),
        [
          { name: 'large.db', sizeBytes, crc32: digestFile(content.path).crc32, content },
          { name: 'a', sizeBytes: 4, crc32: crc32(tail), content: { bytes: tail } },
          { name: 'b', sizeBytes: 4, crc32: crc32(tail), content: { bytes: tail } },
        ],
        { ...options, compression: 'store' },
      );
      const zip = await Zip.open(folder('x.zip'));
      try {
        await zip.requireSoundEntries();
        assert.equal((await zip.readSmall('b', 10)).toString(), 'tail');
      } finally {
        zip.close();
      }
      const listed = await run(['unzip', '-p', folder('x.zip'), 'b']);
      assert.equal(listed.stdout, 'tail');
    });

    itInPart('has more than 65,535 entries', async function () {
      this.timeout(300_000);
      const entries = Array.from({ length: 65_600 }, (_none, n): Packable => {
        const bytes = Buffer.from(String(n));
        return {
          name: `uploads/${n}`,
          sizeBytes: bytes.length,
          crc32: crc32(bytes),
          content: { bytes },
        };
      });
      await writeZip(folder('x.zip'), entries, { ...options, compression: 'store' });
      const zip = await Zip.open(folder('x.zip'));
      try {
        await zip.requireSoundEntries();
        assert.equal((await zip.readSmall('uploads/65599', 10)).toString(), '65599');
      } finally {
        zip.close();
      }
      for (const reader of readers) {
        const { code, stdout, stderr } = await run([...reader, folder('x.zip')]);
        assert.equal(code, 0, `${reader[0]}: ${stdout}${stderr}`.slice(0, 500));
      }
    });

    it('is taken, verified and listed with more than 65,535 files', async function () {
      if (!isThorough) this.skip(); // Minutes: FAULTS=all.
      this.timeout(300_000);
      mkdirSync(folder('uploads'));
      for (let n = 0; n < 65_600; n++) writeFileSync(folder(`uploads/${n}`), String(n));
      const { path, manifest } = await bundleOf([createDatabase(folder('app.db'))], {
        companions: [{ root: folder(), globs: ['uploads/*'] }],
        compression: 'fast',
      });
      assert.equal(manifest.entries.length, 65_601);
      assert.equal((await verifyBundle(path, () => undefined, folder())).status, 'ok');
      assert.equal(listBackups(folder('backups'))[0]?.bundle?.companions, 65_600);
    });
  });
});
