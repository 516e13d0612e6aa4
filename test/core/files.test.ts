import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs, {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { resolveRegularFile, stemOf } from '../../src/core/files/paths.ts';
import { createPrivateFile, linkWithoutOverwriting } from '../../src/core/files/publish.ts';
import {
  makePrivateFolder,
  prepareFolder,
  sweepLeftovers,
} from '../../src/core/files/workplace.ts';
import { namesOf } from '../../src/core/manifest/hardLinks.ts';
import { publishPair } from '../../src/core/manifest/manifestFile.ts';
import { hasNameOfOurs, snapshotNames } from '../../src/core/manifest/names.ts';
import { siblingsOf } from '../../src/core/sqlite/siblings.ts';
import { createDatabase, snapshot } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const at = new Date('2026-11-21T13:45:02.789Z');

function nameOf(source: string, attempt = 1): string {
  const names = snapshotNames(source, at);
  for (let n = 1; n < attempt; n++) names.next();
  return String(names.next().value);
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** Runs `use` under a umask that only this process has for so long. */
async function withUmask<T>(mask: number, use: () => Promise<T>): Promise<T> {
  const before = process.umask(mask);
  try {
    return await use();
  } finally {
    process.umask(before);
  }
}

/** `before` is called with each folder that is about to be listed while `use` runs. */
async function beforeListing(
  before: (path: unknown) => unknown,
  use: () => unknown,
): Promise<void> {
  const { readdirSync: list } = fs;
  Object.assign(fs, {
    readdirSync: (...args: Parameters<typeof list>) => (before(args[0]), list(...args)),
  });
  syncBuiltinESMExports();
  try {
    await use();
  } finally {
    Object.assign(fs, { readdirSync: list });
    syncBuiltinESMExports();
  }
}

describe('names of snapshots', () => {
  const table: [source: string, name: string][] = [
    ['/data/app.db', 'app_20261121_134502Z.db'],
    ['/data/app', 'app_20261121_134502Z'],
    ['/data/.env.db', '.env_20261121_134502Z.db'],
    ['/data/.hidden', '.hidden_20261121_134502Z'],
    ['/data/a.b.sqlite3', 'a.b_20261121_134502Z.sqlite3'],
    ['/data/two words.db', 'two words_20261121_134502Z.db'],
    ['/data/a:b*c?.db', 'a_b_c__20261121_134502Z.db'],
    ['/data/line\nbreak.db', 'line_break_20261121_134502Z.db'],
    ['/data/\u202Egnp.db', '_gnp_20261121_134502Z.db'],
    ['/data/naïve 数据.db', 'naïve 数据_20261121_134502Z.db'],
    ['/data/CON.db', 'CON_20261121_134502Z.db'],
    ['/data/quote"\'.db', "quote_'_20261121_134502Z.db"],
    ['/data/x.d\tb', 'x_20261121_134502Z.d_b'],
  ];
  for (const [source, name] of table) {
    it(`are ${JSON.stringify(name)} for ${JSON.stringify(source)}`, () => {
      assert.equal(nameOf(source), name);
    });
  }

  it('count up when one is taken', () => {
    assert.equal(nameOf('/data/app.db', 2), 'app_20261121_134502Z-2.db');
    assert.equal(nameOf('/data/app.db', 12), 'app_20261121_134502Z-12.db');
  });

  it('leave room for the manifest, for `.suspect`, and for what SQLite would put beside them', () => {
    for (const letter of ['n', 'ü', '数', '🦆']) {
      const name = nameOf(`/data/${letter.repeat(300)}.db`, 1000);
      assert.ok(Buffer.byteLength(`${name}.suspect.json`) <= 255, name);
      assert.ok(Buffer.byteLength(`${name}-journal`) <= 255, name);
      assert.match(name, /_20261121_134502Z-1000\.db$/);
      assert.ok(!name.includes('\uFFFD') && name.isWellFormed(), 'no character is cut in two');
    }
  });

  it('are distinct even when the extension alone fills a name', () => {
    const source = `/data/x.${'e'.repeat(253)}`;
    assert.ok(Buffer.byteLength(nameOf(source)) <= 250, `${nameOf(source).length} bytes`);
    assert.notEqual(nameOf(source), nameOf(source, 2));
  });
});

describe('stemOf', () => {
  it('is the name without folder and extension', () => {
    assert.equal(stemOf('/data/app.v2.db'), 'app.v2');
  });
});

describe('resolveRegularFile', () => {
  const folder = useTempFolder();

  it('refuses what is no path', () => {
    for (const path of ['', 'a\0b']) {
      assert.throws(() => resolveRegularFile(path), { code: 'bad-name' });
    }
  });

  it('refuses what does not exist, in all the ways a path can fail to exist', () => {
    writeFileSync(folder('file'), 'x');
    symlinkSync(folder('nowhere'), folder('dangling'));
    symlinkSync(folder('loop'), folder('loop'));
    for (const name of ['missing', 'file/below', 'dangling', 'loop', 'missing/app.db']) {
      assert.throws(() => resolveRegularFile(folder(name)), { code: 'source-missing' });
    }
  });

  it('refuses a name that no file system takes', () => {
    assert.throws(() => resolveRegularFile(folder('n'.repeat(300))), { code: 'bad-name' });
  });

  it('refuses folders, pipes and devices without opening them', () => {
    spawnSync('mkfifo', [folder('pipe.db')]);
    const refused: [string, RegExp][] = [
      [folder(), /is a folder/],
      [folder('pipe.db'), /is a pipe/],
      ['/dev/null', /is a special file/],
    ];
    for (const [path, message] of refused) {
      assert.throws(() => resolveRegularFile(path), { code: 'not-a-database', message });
    }
  });

  it('follows links to the file itself', () => {
    writeFileSync(folder('file'), 'x');
    symlinkSync('file', folder('one'));
    symlinkSync('one', folder('two'));
    assert.equal(resolveRegularFile(folder('two')), folder('file'));
  });
});

describe('prepareFolder', () => {
  const folder = useTempFolder();

  it('refuses a file, and what is below a file', () => {
    writeFileSync(folder('file'), 'x');
    for (const name of ['file', 'file/below']) {
      assert.throws(() => prepareFolder(folder(name)), { code: 'access' });
    }
    assert.equal(readFileSync(folder('file'), 'utf8'), 'x');
  });

  it('refuses a link to nowhere, and leaves it as it is', () => {
    symlinkSync(folder('nowhere'), folder('link'));
    assert.throws(() => prepareFolder(folder('link')), { code: 'access' });
    assert.ok(!existsSync(folder('nowhere')));
  });

  it('makes all that is missing, and can take exactly that back', () => {
    mkdirSync(folder('kept'));
    const { path, undo } = prepareFolder(folder('kept/a/b/c'));
    assert.equal(path, folder('kept/a/b/c'));
    undo();
    assert.deepEqual(readdirSync(folder('kept')), []);
  });

  it('takes nothing back that somebody has put something into', () => {
    const { path, undo } = prepareFolder(folder('a/b'));
    writeFileSync(join(path, 'file'), 'x');
    undo();
    assert.ok(existsSync(folder('a/b/file')));
  });

  it('takes nothing back that was there before', () => {
    mkdirSync(folder('there/empty'), { recursive: true });
    prepareFolder(folder('there/empty')).undo();
    assert.ok(existsSync(folder('there/empty')));
  });

  it('takes back what it made behind a link, and not the empty folder that the link leads to', () => {
    mkdirSync(folder('a folder with a long name/empty'), { recursive: true });
    symlinkSync(folder('a folder with a long name/empty'), folder('l'));
    prepareFolder(folder('l/new/newer')).undo();
    assert.ok(existsSync(folder('a folder with a long name/empty')));
    assert.deepEqual(readdirSync(folder('a folder with a long name/empty')), []);
  });

  it('takes back what it made behind a link whose path is longer than the real one', () => {
    mkdirSync(folder('r'));
    symlinkSync(folder('r'), folder('a link with a long name'));
    prepareFolder(folder('a link with a long name/new/newer')).undo();
    assert.deepEqual(readdirSync(folder('r')), []);
  });
});

describe('private folders and files', () => {
  const folder = useTempFolder();

  for (const mask of [0o000, 0o022, 0o077]) {
    it(`are for this user alone under umask ${mask.toString(8).padStart(3, '0')}`, async () => {
      const database = createDatabase(folder('app.db'));
      await withUmask(mask, async () => {
        const made = makePrivateFolder(folder());
        assert.equal(modeOf(made.path), '700');
        createPrivateFile(join(made.path, 'file'));
        assert.equal(modeOf(join(made.path, 'file')), '600');
        made.remove();
        const { path, manifestPath } = await snapshot(database);
        assert.deepEqual([modeOf(path), modeOf(manifestPath)], ['600', '600']);
      });
    });
  }

  it('are never somebody else’s file: creating one that exists fails', () => {
    writeFileSync(folder('file'), 'theirs');
    symlinkSync(folder('nowhere'), folder('link'));
    for (const name of ['file', 'link']) {
      assert.throws(() => createPrivateFile(folder(name)), { code: 'EEXIST' });
    }
    assert.equal(readFileSync(folder('file'), 'utf8'), 'theirs');
    assert.ok(!existsSync(folder('nowhere')));
  });

  it('go with all that is in them', () => {
    const { path, remove } = makePrivateFolder(folder());
    mkdirSync(join(path, 'a'));
    writeFileSync(join(path, 'a/b'), 'x');
    remove();
    assert.deepEqual(readdirSync(folder()), []);
  });
});

describe('linkWithoutOverwriting', () => {
  const folder = useTempFolder();

  it('never replaces a file, a folder or a link to nowhere', () => {
    writeFileSync(folder('file'), 'theirs');
    mkdirSync(folder('folder'));
    symlinkSync(folder('nowhere'), folder('dangling'));
    writeFileSync(folder('new'), 'ours');
    for (const name of ['file', 'folder', 'dangling']) {
      assert.throws(() => linkWithoutOverwriting(folder('new'), folder(name)), { code: 'EEXIST' });
    }
    assert.equal(readFileSync(folder('file'), 'utf8'), 'theirs');
    assert.equal(readFileSync(folder('new'), 'utf8'), 'ours');
    assert.ok(lstatSync(folder('dangling')).isSymbolicLink() && !existsSync(folder('nowhere')));
  });

  it('gives the file its name, which outlives the private one', () => {
    writeFileSync(folder('new'), 'ours');
    linkWithoutOverwriting(folder('new'), folder('final'));
    rmSync(folder('new'), { force: true });
    assert.deepEqual(readdirSync(folder()), ['final']);
    assert.equal(readFileSync(folder('final'), 'utf8'), 'ours');
  });
});

describe('publishPair', () => {
  const folder = useTempFolder();
  const publish = (names = ['a.db', 'a-2.db', 'a-3.db', 'a-4.db']): string => {
    const scratch = makePrivateFolder(folder());
    writeFileSync(join(scratch.path, 'copy.db'), 'ours');
    try {
      const made = publishPair(
        join(scratch.path, 'copy.db'),
        folder(),
        names,
        (name) => `of ${name}`,
      );
      assert.equal(made.manifestPath, `${made.path}.json`);
      assert.equal(readFileSync(made.path, 'utf8'), 'ours');
      assert.equal(readFileSync(made.manifestPath, 'utf8'), `of ${basename(made.path)}`);
      return basename(made.path);
    } finally {
      scratch.remove();
    }
  };

  it('takes the first name of which neither the backup nor the manifest exists, in whatever form', () => {
    writeFileSync(folder('a.db'), 'theirs');
    writeFileSync(folder('a-2.db.json'), 'theirs');
    symlinkSync(folder('nowhere'), folder('a-3.db'));
    assert.equal(publish(), 'a-4.db');
    assert.equal(readFileSync(folder('a.db'), 'utf8'), 'theirs');
    assert.equal(readFileSync(folder('a-2.db.json'), 'utf8'), 'theirs');
    assert.ok(!existsSync(folder('nowhere')));
    assert.deepEqual(
      readdirSync(folder()).sort(),
      ['a.db', 'a-2.db.json', 'a-3.db', 'a-4.db', 'a-4.db.json'].sort(),
    );
  });

  it('does not follow a link that has the name of the manifest', () => {
    symlinkSync(folder('nowhere'), folder('a.db.json'));
    assert.equal(publish(), 'a-2.db');
    assert.ok(!existsSync(folder('nowhere')));
  });

  it('gives up in words when all names are taken, and leaves nothing', () => {
    writeFileSync(folder('a.db'), 'theirs');
    assert.throws(() => publish(['a.db']), { code: 'name-taken' });
    assert.deepEqual(readdirSync(folder()), ['a.db']);
  });
});

describe('the sweep of leftovers', () => {
  const folder = useTempFolder();
  const mine = (): string => basename(makePrivateFolder(folder()).path);
  const of = (name: string, machine: string | undefined, pid: number | undefined): string => {
    const parts = name.split('-');
    if (machine !== undefined) parts[3] = machine;
    if (pid !== undefined) parts[4] = String(pid);
    const renamed = parts.join('-');
    mkdirSync(folder(renamed), { recursive: true });
    writeFileSync(folder(renamed, 'copy.db-wal'), 'x');
    return renamed;
  };
  const deadPid = (): number => spawnSync('true').pid;

  it('removes those of dead processes of this machine, with all that is in them', async () => {
    const left = of(mine(), undefined, deadPid());
    assert.deepEqual(await sweepLeftovers(folder()), []);
    assert.ok(!existsSync(folder(left)));
  });

  it('leaves those of living processes, this one included', async () => {
    const kept = [mine(), of(mine(), undefined, process.ppid), of(mine(), undefined, 1)];
    await sweepLeftovers(folder());
    for (const name of kept) assert.ok(existsSync(folder(name)), name);
  });

  it('goes on when a living process removes its own at that moment', async () => {
    const name = of(mine(), undefined, process.ppid);
    const left = of(mine(), undefined, deadPid());
    await beforeListing(
      (path) => path === folder(name) && rmSync(path, { recursive: true }),
      async () => assert.deepEqual(await sweepLeftovers(folder()), []),
    );
    assert.deepEqual([existsSync(folder(name)), existsSync(folder(left))], [false, false]);
  });

  it('leaves those of other machines until they are a day old', async () => {
    const fresh = of(mine(), '00000000', deadPid());
    const old = of(mine(), '11111111', deadPid());
    const busy = of(mine(), '22222222', deadPid());
    const yesterday = Date.now() / 1000 - 25 * 60 * 60;
    for (const path of [folder(old, 'copy.db-wal'), folder(old), folder(busy)]) {
      utimesSync(path, yesterday, yesterday);
    }
    await sweepLeftovers(folder());
    assert.deepEqual(
      [existsSync(folder(fresh)), existsSync(folder(old)), existsSync(folder(busy))],
      [true, false, true],
    );
  });

  it('leaves everything that is not named exactly like one of ours', async () => {
    const names = [
      '.tmp-sqlite-backup-',
      '.tmp-sqlite-backup-x',
      '.tmp-sqlite-backup-00000000-1-zz',
      'app.db',
    ];
    for (const name of names) writeFileSync(folder(name), 'x');
    await sweepLeftovers(folder());
    assert.deepEqual(readdirSync(folder()).sort(), names.sort());
  });

  it('removes a link that is named like one, and never what it leads to', async () => {
    const name = of(mine(), undefined, deadPid());
    mkdirSync(folder('theirs'));
    writeFileSync(folder('theirs/precious'), 'x');
    const parts = name.split('-');
    parts[5] = '0123456789ab';
    symlinkSync(folder('theirs'), folder(parts.join('-')));
    await sweepLeftovers(folder());
    assert.deepEqual(readdirSync(folder('theirs')), ['precious']);
  });

  it('removes only those of one process when told its number', async () => {
    const [one, two] = [deadPid(), deadPid()];
    const gone = of(mine(), undefined, one);
    const kept = of(mine(), undefined, two);
    await sweepLeftovers(folder(), { pid: one });
    assert.deepEqual([existsSync(folder(gone)), existsSync(folder(kept))], [false, true]);
  });
});

describe('the names of a database', () => {
  const folder = useTempFolder();

  it('are counted without those of ours, also when a process removes its own folder at that moment', async () => {
    const path = createDatabase(folder('app.db'));
    linkSync(path, folder('second name.db'));
    const gone = makePrivateFolder(folder()).path;
    for (const place of [gone, makePrivateFolder(folder()).path])
      linkSync(path, join(place, 'before'));
    assert.equal(namesOf(path), 2);
    await beforeListing(
      (listed) => listed === gone && rmSync(gone, { recursive: true }),
      () => assert.equal(namesOf(path), 2),
    );
    assert.ok(!existsSync(gone));
  });
});

describe('siblingsOf', () => {
  const folder = useTempFolder();

  it('says nothing of a file that has none, even when their names would be too long', () => {
    const name = 'n'.repeat(250);
    writeFileSync(folder(name), 'x');
    assert.equal(siblingsOf(folder(name)).size, 0);
  });

  it('tells sizes, and passes over folders of such a name', () => {
    writeFileSync(folder('app.db'), 'x');
    writeFileSync(folder('app.db-wal'), '12345');
    mkdirSync(folder('app.db-journal'));
    assert.deepEqual([...siblingsOf(folder('app.db'))], [['-wal', { sizeBytes: 5 }]]);
  });
});

describe('names of snapshots', () => {
  it('are told from names that people give', () => {
    for (const source of ['app.db', 'app', 'a.b.sqlite']) {
      const names = snapshotNames(source, new Date(0));
      for (const { value } of [names.next(), names.next()]) {
        assert.ok(hasNameOfOurs(`/backups/${value}`), source);
      }
    }
    for (const name of ['before-migration.db', 'app_20261121.db', 'app_20261121_134502Z copy.db']) {
      assert.equal(hasNameOfOurs(name), false, name);
    }
  });
});
