import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  futimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeBundle } from '../../src/core/bundle/bundle.ts';
import { extractBundle } from '../../src/core/bundle/extract.ts';
import { withBundle } from '../../src/core/bundle/openBundle.ts';
import { copyCompanion, Memory } from '../../src/core/bundle/readCompanion.ts';
import { listBackups } from '../../src/core/catalog/catalog.ts';
import {
  planPruning,
  remarkOn,
  removeBackups,
  renameBackup,
} from '../../src/core/catalog/keeping.ts';
import type { Compression } from '../../src/core/manifest/manifest.ts';
import { verifyBundle } from '../../src/core/verify/verifyBundle.ts';
import {
  bundled,
  bundleManifestOf,
  bundleOf,
  bundleRequest,
  quietHooks,
} from '../support/bundles.ts';
import {
  createDatabase,
  createWithForeignCollation,
  itemsSql,
  overwrite,
  pagesOf,
  sha256,
  siblingsBeside,
} from '../support/databases.ts';
import { endProcessesAfterEach, holdOpen, needProgram, run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { itWhere } from '../support/operations.ts';

describe('a bundle', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  const finals = (): string[] =>
    existsSync(folder('backups')) ? readdirSync(folder('backups')) : [];
  const namesIn = (path: string): Promise<string[]> =>
    withBundle(path, ({ zip }) => zip.members.map(({ name }) => name));
  const two = (): string[] => [
    createDatabase(folder('app.db'), { journalMode: 'wal' }),
    createDatabase(folder('users.db')),
  ];

  describe('that cannot be made', () => {
    for (const [what, code, make] of [
      ['is missing', 'source-missing', () => undefined],
      [
        'is no database',
        'not-a-database',
        (path: string) => writeFileSync(path, 'text '.repeat(500)),
      ],
      [
        'is locked',
        'source-busy',
        async (path: string) => {
          createDatabase(path);
          await holdOpen(path, 'BEGIN EXCLUSIVE');
        },
      ],
      [
        'is damaged',
        'corrupt',
        (path: string) => {
          createDatabase(path, { rows: 2000 });
          overwrite(path, 5 * 4096, Buffer.alloc(4096, 0xff));
        },
      ],
    ] as const) {
      it(`because a database ${what} says so, and leaves nothing`, async () => {
        const [good = ''] = two();
        const bad = folder('bad.db');
        await make(bad);
        const before = sha256(good);
        const { bundle, failures } = await bundled([good, bad]);
        assert.equal(bundle, undefined);
        assert.deepEqual(
          failures.map(({ path, error }) => [path, error.code]),
          [[bad, code]],
        );
        assert.ok(failures[0]?.error.message.includes(bad));
        assert.deepEqual(finals(), []);
        assert.ok(!existsSync(folder('backups')));
        assert.equal(sha256(good), before);
      });

      it(`without the one that ${what} is made so when that is allowed, and says what is missing`, async () => {
        const [good = ''] = two();
        const bad = folder('bad.db');
        await make(bad);
        const { bundle, failures } = await bundled([good, bad], { allowIncomplete: true });
        assert.deepEqual(
          failures.map(({ path, error }) => [path, error.code]),
          [[bad, code]],
        );
        const { path = '', manifest } = bundle ?? {};
        assert.equal(manifest?.complete, false);
        assert.deepEqual(
          manifest?.failures?.map((one) => [one.path, one.code]),
          [['bad.db', code]],
        );
        assert.deepEqual(await namesIn(path), ['manifest.json', 'app.db', 'VERSION']);
        const { status, findings } = await verifyBundle(path, () => undefined, folder());
        assert.deepEqual([status, findings.map((one) => one.code)], ['ok', ['incomplete']]);
        assert.equal(listBackups(folder('backups'))[0]?.bundle?.complete, false);
      });
    }

    it('and lacks something pushes no complete one out', async () => {
      const [app = ''] = two();
      const whole = await bundled([app]);
      await bundled([app, folder('missing.db')], { allowIncomplete: true });
      const { keep, remove } = planPruning(folder('backups'), { keepLast: 1 }, new Date());
      assert.deepEqual(remove, []);
      assert.deepEqual(keep.find(({ path }) => path === whole.bundle?.path)?.reasons, [
        'newest good backup',
      ]);
    });

    it('of nothing but what fails is not made, whatever is allowed', async () => {
      const { bundle, failures } = await bundled([folder('a.db'), folder('b.db')], {
        allowIncomplete: true,
      });
      assert.deepEqual([bundle, failures.length], [undefined, 2]);
      assert.ok(!existsSync(folder('backups')));
    });

    it('because a companion cannot be read says so', async function () {
      if (process.getuid?.() === 0) this.skip(); // Root reads everything.
      const [app = ''] = two();
      mkdirSync(folder('uploads'));
      writeFileSync(folder('uploads/a.txt'), 'a');
      chmodSync(folder('uploads/a.txt'), 0);
      const companions = [{ root: folder(), globs: ['uploads/**'] }];
      const { bundle, failures } = await bundled([app], { companions });
      assert.deepEqual([bundle, failures[0]?.error.code], [undefined, 'access']);
    });

    for (const glob of ['../secret', '/etc/passwd', '', ' ', 'a/../../b', 'C:\\x']) {
      it(`with companions outside of the folder: ${JSON.stringify(glob)}`, async () => {
        const [app = ''] = two();
        await assert.rejects(bundled([app], { companions: [{ root: folder(), globs: [glob] }] }), {
          code: 'bad-setting',
        });
        assert.ok(!existsSync(folder('backups')));
      });
    }

    it('because the last word is no leaves nothing', async () => {
      const beforePublish = (): Promise<void> => Promise.reject(new Error('no'));
      await assert.rejects(bundled(two(), {}, { beforePublish }), /no/);
      assert.ok(!existsSync(folder('backups')));
    });

    for (const phase of ['copy', 'check', 'hash'] as const) {
      it(`because it is stopped at ${phase} leaves nothing`, async () => {
        const stop = new Error('stop');
        const onProgress = (progress: { phase: string }): void => {
          if (progress.phase === phase) throw stop;
        };
        const result = await bundled(two(), {}, { onProgress }).catch((error: unknown) => error);
        assert.ok(result instanceof Error || (result as { bundle?: unknown }).bundle === undefined);
        assert.deepEqual(finals(), []);
      });
    }
  });

  it('holds the databases at one instant, manifest first, and says so beside it', async () => {
    const paths = two();
    const before = paths.map(sha256);
    const { path, manifestPath, manifest } = await bundleOf(paths);
    assert.match(basename(path), /^shop_\d{8}_\d{6}Z\.zip$/);
    assert.equal(manifestPath, `${path}.json`);
    assert.deepEqual(bundleManifestOf(path), manifest);
    assert.deepEqual(await namesIn(path), ['manifest.json', 'app.db', 'users.db', 'VERSION']);
    assert.deepEqual(manifest.cut, { label: 'one-instant', members: 2 });
    assert.deepEqual(
      [manifest.complete, manifest.failures, manifest.warnings],
      [true, undefined, undefined],
    );
    assert.deepEqual([manifest.verdict.status, manifest.workspace], ['ok', 'shop']);
    assert.deepEqual(
      manifest.entries.map((entry) => entry.kind === 'database' && entry.facts.journalMode),
      ['wal', 'delete'],
    );
    assert.deepEqual(paths.map(sha256), before);
    assert.deepEqual(finals().sort(), [basename(path), basename(manifestPath)].sort());
    const extracted = await extractBundle({ bundle: path, folder: folder('out') }, quietHooks);
    assert.deepEqual(
      extracted.map((file) => pagesOf(file.path)),
      paths.map((one) => pagesOf(one)),
    );
  });

  it('has the same content each time, but for the times', async () => {
    const paths = two();
    writeFileSync(folder('note.txt'), 'x'.repeat(100_000));
    const companions = [{ root: folder(), globs: ['note.txt'] }];
    const seen: string[] = [];
    for (let n = 0; n < 2; n++) {
      const { path } = await bundleOf(n === 0 ? paths : paths.toReversed(), { companions });
      seen.push(
        await withBundle(path, async ({ zip }) => {
          const json = (await zip.readSmall('manifest.json', 1e6)).toString();
          const members = zip.members.map(({ name, compressedBytes }) => [name, compressedBytes]);
          return JSON.stringify([
            json.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'T'),
            members.slice(1),
          ]);
        }),
      );
      await sleep(1100);
    }
    assert.equal(seen[0], seen[1]);
  });

  for (const compression of ['store', 'fast', 'balanced', 'small'] satisfies Compression[]) {
    itWhere(compression === 'balanced')(
      `is read by the tools that people have: ${compression}`,
      async function () {
        this.timeout(180_000); // The tools may have to be installed first.
        if (process.platform === 'win32') this.skip();
        for (const [program, name] of [
          ['unzip', 'unzip'],
          ['zipinfo', 'unzip'],
          ['7zz', '7zip'],
          ['python3', 'python3'],
        ] as const)
          needProgram(program, name);
        const app = createDatabase(folder('app.db'), { rows: 20_000 });
        mkdirSync(folder('uploads'));
        writeFileSync(folder('uploads/bild ä.txt'), 'ä'.repeat(1000));
        writeFileSync(folder('uploads/empty'), '');
        const companions = [{ root: folder(), globs: ['uploads/**'] }];
        const { path } = await bundleOf([app, createDatabase(folder('users.db'))], {
          companions,
          compression,
        });
        for (const command of [
          ['unzip', '-tqq', path],
          ['7zz', 't', path],
          [
            'python3',
            '-c',
            'import sys,zipfile; assert zipfile.ZipFile(sys.argv[1]).testzip() is None',
            path,
          ],
        ]) {
          const { code, stdout, stderr } = await run(command);
          assert.equal(code, 0, `${command[0]}: ${stdout}${stderr}`);
        }
        const names = await run(['zipinfo', '-1', path], { env: { LC_ALL: 'C.UTF-8' } });
        assert.deepEqual(names.stdout.trim().split('\n'), [
          'manifest.json',
          'app.db',
          'users.db',
          'files/uploads/bild ä.txt',
          'files/uploads/empty',
          'VERSION',
        ]);
        await run(['unzip', '-q', path, '-d', folder('unzipped')]);
        assert.equal(pagesOf(folder('unzipped/app.db')), pagesOf(app));
      },
    );
  }

  it('keeps databases of one name from two folders apart, and maps them', async () => {
    for (const name of ['a', 'b']) mkdirSync(folder(name));
    const paths = [
      createDatabase(folder('b/app.db'), { rows: 3 }),
      createDatabase(folder('a/app.db')),
    ];
    const { manifest } = await bundleOf(paths, { folder: folder('backups') });
    assert.deepEqual(
      manifest.entries.map(({ name, sizeBytes }) => [name, sizeBytes]).map(([name]) => name),
      ['app.db', 'app-2.db'],
    );
    const mapped = await bundleOf([], {
      folder: folder('backups'),
      databases: paths.map((database) => ({
        database,
        recordAs: { path: `${basename(dirname(database))}/app.db`, workspace: 'shop' },
      })),
    });
    assert.deepEqual(
      mapped.manifest.entries.map(({ name, source }) => [name, source.path]),
      [
        ['a/app.db', 'a/app.db'],
        ['b/app.db', 'b/app.db'],
      ],
    );
  });

  it('gives every file a name that is legal everywhere', async () => {
    const app = createDatabase(folder('app.db'));
    const recorded = [
      'manifest.json',
      'VERSION',
      'con.db',
      'a:b?.db',
      ' x.db',
      'files',
      'a\u202eb.db',
      'app.db.',
    ];
    const databases = recorded.map((path, index) => ({
      database: createDatabase(folder(`${index}.db`)),
      recordAs: { path },
    }));
    writeFileSync(folder('note.txt'), 'x');
    const companions = [{ root: folder(), globs: ['note.txt'] }];
    const { path } = await bundleOf([app], { databases, companions });
    const names = await namesIn(path);
    assert.equal(names.length, recorded.length + 3);
    assert.equal(new Set(names.map((name) => name.toLowerCase())).size, names.length);
    assert.equal((await verifyBundle(path, () => undefined, folder())).status, 'ok');
  });

  it('is called by its name, and a second one of the same second -2', async () => {
    const paths = two();
    const first = await bundleOf(paths, { name: 'before/launch' });
    assert.match(basename(first.path), /^before_launch_\d{8}_\d{6}Z\.zip$/);
    writeFileSync(folder('backups', basename(first.path).replace('Z.zip', 'Z-x.zip')), '');
    const more = await Promise.all([1, 2].map(() => bundleOf(paths, { name: 'x' })));
    assert.equal(new Set(more.map(({ path }) => path)).size, 2);
  });

  it('made with compact is smaller, and per database', async () => {
    const paths = ['a.db', 'b.db'].map((name) =>
      createDatabase(folder(name), { sql: `${itemsSql(2000)} DELETE FROM items WHERE id > 10` }),
    );
    const { manifest } = await bundleOf(paths, { method: 'compact' });
    assert.deepEqual([manifest.method, manifest.cut.label], ['compact', 'per-database']);
    assert.match(manifest.cut.reason ?? '', /[Cc]ompact/);
  });

  it('is as good as its weakest database', async () => {
    const [app = ''] = two();
    const odd = createWithForeignCollation(folder('odd.db'));
    const { path, manifest } = await bundleOf([app, odd]);
    assert.equal(manifest.verdict.status, 'partial');
    assert.match(manifest.verdict.findings[0]?.message ?? '', /^odd\.db: /);
    assert.equal((await verifyBundle(path, () => undefined, folder())).status, 'partial');
    const unchecked = await bundleOf([app], { verify: false });
    assert.equal(unchecked.manifest.verdict.status, 'unchecked');
  });

  describe('with companion files', () => {
    const write = (name: string, text = name): void => {
      mkdirSync(dirname(folder(name)), { recursive: true });
      writeFileSync(folder(name), text);
    };
    const take = async (...globs: string[]): Promise<{ names: string[]; warnings: string[] }> => {
      const app = folder('data/app.db');
      const { path, manifest } = await bundleOf([app], {
        companions: [{ root: folder(), globs }],
        folder: folder('backups'),
      });
      const entries = manifest.entries.filter(({ kind }) => kind === 'companion');
      assert.equal((await verifyBundle(path, () => undefined, folder())).status, 'ok');
      return {
        names: entries.map(({ name }) => name),
        warnings: (manifest.warnings ?? []).map(({ code }) => code),
      };
    };

    beforeEach(() => {
      mkdirSync(folder('data'));
      createDatabase(folder('data/app.db'), { journalMode: 'wal' });
    });

    it('takes what the globs name, dotfiles only by name', async () => {
      for (const name of [
        'uploads/b.png',
        'uploads/a/x.txt',
        'uploads/.secret',
        '.env',
        'other.txt',
      ])
        write(name);
      assert.deepEqual(await take('uploads/**'), {
        names: ['files/uploads/a/x.txt', 'files/uploads/b.png'],
        warnings: [],
      });
      assert.deepEqual(await take('.env', './uploads/*.png', 'uploads/b.png'), {
        names: ['files/.env', 'files/uploads/b.png'],
        warnings: [],
      });
    });

    it('takes no links, no node_modules, no .git, no backups, nothing half-made, no database twice', async () => {
      for (const name of [
        'a.txt',
        'node_modules/x/y.txt',
        '.git/config',
        'data/note.txt',
        'backups/old.txt',
      ])
        write(name);
      write('.tmp-sqlite-backup-00000000-1-000000000000/x.txt');
      write('data/app.db-journal', '');
      symlinkSync('/etc', folder('link'));
      symlinkSync('/etc/hosts', folder('hosts.txt'));
      assert.deepEqual(await take('**'), {
        names: ['files/a.txt', 'files/data/note.txt'],
        warnings: ['not-a-file', 'not-a-file'],
      });
    });

    it('says when a glob matches nothing', async () => {
      assert.deepEqual(await take('nothing/**', 'no.txt'), {
        names: [],
        warnings: ['no-companions', 'no-companions'],
      });
    });

    it('copies a database among them as a database, and leaves its siblings to it', async () => {
      createDatabase(folder('data/cache.db'), { journalMode: 'wal' });
      await holdOpen(folder('data/cache.db'), 'INSERT INTO items (name) VALUES (1)');
      assert.ok(siblingsBeside(folder('data/cache.db')).includes('-wal'));
      write('data/lost.db-wal');
      const { path, manifest } = await bundleOf([folder('data/app.db')], {
        companions: [{ root: folder(), globs: ['data/**'], workspace: 'shop' }],
        folder: folder('backups'),
      });
      assert.deepEqual(await namesIn(path), [
        'manifest.json',
        'app.db',
        'data/cache.db',
        'VERSION',
      ]);
      assert.deepEqual(manifest.warnings?.map(({ code }) => code).sort(), [
        'database-found',
        'sibling',
      ]);
      assert.deepEqual(manifest.cut, { label: 'one-instant', members: 2 });
    });

    it('names one that changes each time it is read', async function () {
      // A file that Linux makes up for each reading.
      if (process.platform !== 'linux') this.skip();
      const { path, manifest } = await bundleOf([folder('data/app.db')], {
        companions: [{ root: '/proc/sys/kernel/random', globs: ['uuid'] }],
        folder: folder('backups'),
      });
      const [, entry] = manifest.entries;
      assert.equal(entry?.kind === 'companion' && entry.changedWhileReading, true);
      assert.equal((await verifyBundle(path, () => undefined, folder())).status, 'ok');
    });

    it('takes those whose names have line breaks', async () => {
      write('uploads/two\nlines.txt');
      write('uploads/in\nside/a\rb.txt');
      const { path, manifest } = await bundleOf([folder('data/app.db')], {
        companions: [{ root: folder(), globs: ['uploads/**'] }],
        folder: folder('backups'),
      });
      assert.deepEqual(
        manifest.entries.slice(1).map(({ name, source }) => [name, source.path]),
        [
          ['files/uploads/in_side/a_b.txt', 'uploads/in\nside/a\rb.txt'],
          ['files/uploads/two_lines.txt', 'uploads/two\nlines.txt'],
        ],
      );
      assert.equal((await verifyBundle(path, () => undefined, folder())).status, 'ok');
    });

    it('leaves out what a glob with ! means, hidden files too, and says so when that is nothing', async () => {
      for (const name of ['conf/a.json', 'conf/.secret', 'conf/sub/b.json', 'up/c.png', 'up/d.tmp'])
        write(name);
      assert.deepEqual(await take('!conf/**', '*/**', 'conf/.secret', '!**/*.tmp'), {
        names: ['files/up/c.png'],
        warnings: [],
      });
      assert.deepEqual(await take('!up/x.png', 'up/*.png', '!(conf|data|backups)/*.tmp'), {
        names: ['files/up/c.png', 'files/up/d.tmp'],
        warnings: ['no-companions'],
      });
      await assert.rejects(take('!conf/**'), {
        code: 'bad-setting',
        message: /only excludes files/,
      });
      await assert.rejects(take('!../x', '**'), { code: 'bad-setting' });
    });

    it('does not enter a folder that is left out as a whole', async () => {
      write('up/c.png');
      write('closed/a.txt');
      symlinkSync(folder('up'), folder('closed/link'));
      assert.deepEqual(await take('**', '!closed/**', '!data/**'), {
        names: ['files/up/c.png'],
        warnings: [],
      });
    });

    it('says of each link to a folder that nothing in it is taken', async () => {
      write('real/a.txt');
      symlinkSync(folder('real'), folder('linked'));
      symlinkSync(folder('nowhere'), folder('broken'));
      assert.deepEqual(await take('**/*.txt', '*/a.txt'), {
        names: ['files/real/a.txt'],
        warnings: ['not-a-file'],
      });
    });

    it('says of a sibling whose database is not taken that it is left out', async () => {
      createDatabase(folder('data/other.db'));
      write('data/other.db-shm');
      assert.deepEqual(await take('data/*-shm'), { names: [], warnings: ['sibling'] });
      assert.deepEqual(await take('data/**'), { names: [], warnings: ['database-found'] });
    });

    it('says how many more warnings there are than it names', async () => {
      for (let n = 0; n < 120; n++) symlinkSync('/etc/hosts', folder(`${n}.txt`));
      const { warnings } = await take('*.txt');
      assert.deepEqual([warnings.length, warnings.at(-1)], [100, 'more-warnings']);
    });

    describe('whose names are not UTF-8', () => {
      const bytes = (...parts: (string | number[])[]): Buffer =>
        Buffer.concat([Buffer.from(`${folder()}/`), ...parts.map((part) => Buffer.from(part))]);
      const make = (): void => {
        mkdirSync(bytes('uploads/', [0xff]), { recursive: true });
        writeFileSync(bytes('uploads/caf', [0xe9], '.txt'), 'one');
        writeFileSync(bytes('uploads/caf', [0xe8], '.txt'), 'two');
        writeFileSync(bytes('uploads/', [0xff], '/in.txt'), 'three');
        writeFileSync(folder('uploads/caf\\xe9.txt'), 'no bytes, but these letters');
      };

      beforeEach(function () {
        if (process.platform !== 'linux') this.skip();
        write('uploads/café.txt', 'plain');
        make();
      });

      it('takes them under another name, and says so', async () => {
        const { path, manifest } = await bundleOf([folder('data/app.db')], {
          companions: [{ root: folder(), globs: ['uploads/**'], workspace: 'shop' }],
          folder: folder('backups'),
        });
        assert.deepEqual(
          manifest.entries
            .slice(1)
            .map(({ source }) => source.path)
            .sort(),
          [
            'uploads/\\xff/in.txt',
            'uploads/caf\\xe8.txt',
            'uploads/caf\\xe9.txt',
            'uploads/caf\\xe9.txt',
            'uploads/café.txt',
          ],
        );
        assert.deepEqual([manifest.complete, manifest.warnings?.length], [true, 3]);
        assert.match(JSON.stringify(manifest.warnings), /caf\\\\xe8\.txt is not UTF-8/);
        assert.equal((await verifyBundle(path, () => undefined, folder())).status, 'ok');
        const files = await extractBundle({ bundle: path, folder: folder('out') }, quietHooks);
        const texts = files.slice(1).map((file) => readFileSync(file.path, 'utf8'));
        assert.deepEqual(texts.sort(), [
          'no bytes, but these letters',
          'one',
          'plain',
          'three',
          'two',
        ]);
      });

      it('says of a database that it is not in the bundle, which is then incomplete', async () => {
        const copy = readFileSync(createDatabase(folder('cache.db')));
        writeFileSync(bytes('uploads/', [0xe9], '.db'), copy);
        const { manifest } = await bundleOf([folder('data/app.db')], {
          companions: [{ root: folder(), globs: ['uploads/**'] }],
          folder: folder('backups'),
        });
        assert.deepEqual(
          [manifest.complete, manifest.failures?.map(({ path, code }) => [path, code])],
          [false, [['\\xe9.db', 'bad-name']]],
        );
        assert.match(manifest.failures?.[0]?.message ?? '', /not UTF-8/);
        const omitted = manifest.warnings?.find(({ code }) => code === 'omitted');
        assert.match(omitted?.message ?? '', /\\xe9\.db .* not in the bundle/);
      });
    });
  });

  describe('a copy of a companion', () => {
    /** What came of it, after `write` had its turn after each piece that was read. */
    const copyOf = (
      write: (chunk: number, file: number) => void,
      mostMemory = 0,
    ): { content: string; changed: boolean } => {
      let chunks = 0;
      const handle = openSync(folder('log.txt'), 'r+');
      try {
        const copied = copyCompanion(
          { path: folder('log.txt'), recordAs: { path: 'log.txt' } },
          folder('copy'),
          { memory: new Memory(mostMemory), onChunk: () => write(++chunks, handle) },
        );
        assert.ok(copied);
        const { content, sha256: hash, changedWhileReading } = copied;
        const bytes = 'path' in content ? readFileSync(content.path) : content.bytes;
        assert.equal('path' in content, mostMemory === 0);
        assert.equal(createHash('sha256').update(bytes).digest('hex'), hash);
        assert.equal(bytes.length, copied.sizeBytes);
        return { content: bytes.toString(), changed: changedWhileReading };
      } finally {
        closeSync(handle);
      }
    };
    const size = 2_500_000;
    /** Overwrites all of it in one go, as a program does that has it mapped: its times stay. */
    const rewrite = (file: number, letter: string): void => {
      const { atime, mtime } = fstatSync(file);
      writeSync(file, Buffer.alloc(fstatSync(file).size, letter), 0, undefined, 0);
      futimesSync(file, atime, mtime);
    };

    beforeEach(() => writeFileSync(folder('log.txt'), 'a'.repeat(size)));

    it('says so when the file is appended to during each reading, and comes to an end', () => {
      const { content, changed } = copyOf(() =>
        appendFileSync(folder('log.txt'), 'x'.repeat(9999)),
      );
      assert.equal(changed, true);
      assert.ok(content.length < 2 * size);
    });

    it('says so when the file is rewritten during each reading, at the same size and time', () => {
      let turn = 0;
      const { changed } = copyOf((_chunk, file) => rewrite(file, 'bcdefgh'[turn++ % 7] ?? ''));
      assert.equal(changed, true);
    });

    for (const [where, most] of [
      ['in a file', 0],
      ['in memory', 1e6],
    ] as const) {
      it(`is made again when the file is rewritten once: ${where}`, () => {
        if (most > 0) writeFileSync(folder('log.txt'), 'a'.repeat(50_000));
        const { content, changed } = copyOf((chunk, file) => {
          if (chunk === 1) rewrite(file, 'b');
        }, most);
        assert.equal(changed, false);
        assert.equal(content, readFileSync(folder('log.txt'), 'utf8'));
        assert.equal(new Set(content).size, 1);
      });
    }

    it('holds the old file when a new one takes its name', () => {
      const { content, changed } = copyOf((chunk) => {
        if (chunk > 1) return;
        writeFileSync(folder('new'), 'b'.repeat(size));
        renameSync(folder('new'), folder('log.txt'));
      });
      assert.deepEqual([changed, new Set(content)], [false, new Set('a')]);
    });

    it('is none of a file that is gone', () => {
      const gone = { path: folder('gone.txt'), recordAs: { path: 'gone.txt' } };
      const memory = new Memory(0);
      assert.equal(copyCompanion(gone, folder('copy'), { memory }), undefined);
      assert.ok(!existsSync(folder('copy')));
    });

    it('does not wait for one that has become a pipe', async function () {
      if (process.platform === 'win32') this.skip();
      assert.equal((await run(['mkfifo', folder('pipe')])).code, 0);
      const pipe = { path: folder('pipe'), recordAs: { path: 'pipe' } };
      assert.equal(copyCompanion(pipe, folder('copy'), { memory: new Memory(0) }), undefined);
    });
  });

  it('can be pinned, annotated, renamed, kept in order and removed like a snapshot', async () => {
    const paths = two();
    const made = [];
    for (let n = 0; n < 3; n++) made.push((await bundleOf(paths)).path);
    const [oldest = ''] = made;
    assert.equal(remarkOn(oldest, { pinned: true, note: 'keep' }).note, 'keep');
    const renamed = renameBackup(oldest, 'kept.zip');
    assert.equal(bundleManifestOf(renamed).pinned, true);
    assert.equal((await verifyBundle(renamed, () => undefined, folder())).status, 'ok');
    const plan = planPruning(folder('backups'), { keepLast: 1 }, new Date());
    assert.deepEqual([plan.keep.length, plan.remove.length], [2, 1]);
    const { removed, failures } = removeBackups(
      folder('backups'),
      plan.remove.map(({ path }) => path),
    );
    assert.deepEqual([removed.length, failures], [1, []]);
    assert.equal(finals().length, 4);
  });

  it('keeps no private copy once it is in the zip', async () => {
    const paths = two();
    const seen: string[][] = [];
    const request = bundleRequest(paths);
    await takeBundle(request, {
      ...quietHooks,
      beforePublish: () => {
        const [scratch = ''] = readdirSync(folder('backups'));
        seen.push(readdirSync(folder('backups', scratch)));
        return Promise.resolve();
      },
    });
    assert.deepEqual(seen, [['bundle.zip']]);
  });
});
