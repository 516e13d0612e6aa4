import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { extractBundle, extractMember } from '../../src/core/bundle/extract.ts';
import { looksLikeBundle, withBundle } from '../../src/core/bundle/openBundle.ts';
import { Zip } from '../../src/core/bundle/zipReader.ts';
import { listAll, listBackups } from '../../src/core/catalog/catalog.ts';
import { drillBundle } from '../../src/core/verify/drill.ts';
import { recordVerdict } from '../../src/core/verify/verdict.ts';
import { verifyBundle } from '../../src/core/verify/verifyBundle.ts';
import { bundleManifestOf, bundleOf, quietHooks } from '../support/bundles.ts';
import { createDatabase, overwrite, pagesOf, sha256, valueOf } from '../support/databases.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { type RawEntry, rawZip } from '../support/zips.ts';
import { itInPart } from '../support/operations.ts';

describe('reading bundles', () => {
  const folder = useTempFolder();

  /** Files below the temporary folder, as relative paths. */
  const everything = (): string[] => readdirSync(folder(), { recursive: true }).map(String).sort();

  const verify = async (
    path: string,
  ): Promise<{ status: string; codes: string[]; text: string }> => {
    const { status, findings } = await verifyBundle(path, () => undefined, folder());
    return {
      status,
      codes: findings.map(({ code }) => code),
      text: findings.map(({ message }) => message).join('\n'),
    };
  };

  const write = (name: string, entries: RawEntry[], options = {}): string => {
    writeFileSync(folder(name), rawZip(entries, options));
    return folder(name);
  };

  const database = (rows = 20): Buffer => {
    const path = folder(`content-${rows}.db`);
    return readFileSync(existsSync(path) ? path : createDatabase(path, { rows }));
  };

  it('tells a bundle from a snapshot by its content, and throws for what cannot be read', async () => {
    const { path } = await bundleOf([createDatabase(folder('app.db'))]);
    renameSync(path, folder('called.db'));
    symlinkSync(folder('loop.db'), folder('loop.db'));
    assert.deepEqual(
      [folder('called.db'), folder('app.db')].map((one) => looksLikeBundle(one)),
      [true, false],
    );
    assert.throws(() => looksLikeBundle(folder('loop.db')), { message: /leads to itself/ });
    assert.throws(() => looksLikeBundle(folder('none.db')), { code: 'source-missing' });
  });

  describe('that are hostile', () => {
    const one: RawEntry = { name: 'app.db', data: 'x'.repeat(100) };
    const kilobyte = Buffer.alloc(1024);
    const hostile: [what: string, entries: RawEntry[], options?: { entryCount?: number }][] = [
      ['climb out', [{ name: '../evil.db' }]],
      ['climb out in the middle', [{ name: 'a/../../evil.db' }]],
      ['are absolute', [{ name: '/tmp/evil.db' }]],
      ['have a drive', [{ name: 'C:/evil.db' }]],
      ['have a drive and backslashes', [{ name: 'C:\\evil.db' }]],
      ['climb out with backslashes', [{ name: '..\\evil.db' }]],
      ['have a backslash', [{ name: 'a\\b.db' }]],
      ['have a NUL', [{ name: 'a\0b.db' }]],
      ['have a newline', [{ name: 'a\nb.db' }]],
      ['are written from right to left', [{ name: 'a\u202ebd.exe' }]],
      ['have a blank of no width', [{ name: 'a\u200b.db' }]],
      ['are empty', [{ name: '' }]],
      ['are a dot', [{ name: './a.db' }]],
      ['have an empty part', [{ name: 'a//b.db' }]],
      ['are devices', [{ name: 'NUL' }]],
      ['are devices with an extension', [{ name: 'sub/com1.db' }]],
      ['end with a dot', [{ name: 'app.db.' }]],
      ['end with a blank', [{ name: 'app.db ' }]],
      ['begin with a blank', [{ name: ' app.db' }]],
      ['have a stream', [{ name: 'app.db:x' }]],
      ['have a wildcard', [{ name: 'app*.db' }]],
      ['are too long', [{ name: 'a'.repeat(300) }]],
      ['are a WAL', [one, { name: 'app.db-wal', data: 'x' }]],
      ['are a shared memory', [{ name: 'app.db-shm' }]],
      ['are a journal', [{ name: 'app.db-JOURNAL' }]],
      ['are there twice', [one, one]],
      ['are there twice but for the case', [one, { name: 'APP.db' }]],
      ['are there twice but for the composition', [{ name: '\u00e4.db' }, { name: 'a\u0308.db' }]],
      ['are a file and a folder', [{ name: 'a' }, { name: 'a/b.db' }]],
      ['are a link', [{ name: 'app.db', data: '/etc/passwd', mode: 0o120777 }]],
      ['are a device', [{ name: 'app.db', mode: 0o020666 }]],
      ['are a folder in disguise', [{ name: 'app.db', attributes: 0x10 }]],
      ['are a folder with content', [{ name: 'a/', data: 'x' }]],
      ['are a link that is called a folder', [{ name: 'a/', mode: 0o120777 }]],
      ['are encrypted', [{ ...one, flags: 0x801 }]],
      ['are packed in another way', [{ ...one, method: 12 }]],
      ['have another name where they begin', [{ ...one, localName: 'bad.db' }]],
      ['have another size where they begin', [{ ...one, localSize: 99 }]],
      ['have a second name', [{ ...one, extra: unicodeName('app.db', 'evil.db') }]],
      ['share their bytes', [one, { ...one, name: 'b.db', localName: 'app.db', offset: 0 }]],
      ['are longer than they say', [{ name: 'a', data: kilobyte, deflate: true, size: 1000 }]],
      ['are shorter than they say', [{ name: 'a', data: kilobyte, deflate: true, size: 1025 }]],
      ['have a wrong CRC', [{ ...one, crc: 1 }]],
      [
        'have more data than belongs to them',
        [{ ...one, deflate: true, trailing: Buffer.from('more') }],
      ],
      ['are no deflate', [{ name: 'a', data: 'garbage that is none', method: 8 }]],
      ['promise what no packing can do', [{ name: 'a', data: kilobyte, deflate: true, size: 4e9 }]],
      ['are more than there are', [one], { entryCount: 2 }],
    ];
    for (const [what, entries, options] of hostile) {
      it(`because entries ${what} are refused, and nothing is written`, async () => {
        const path = write('bad.zip', entries, options);
        const before = everything();
        await assert.rejects(extractBundle({ bundle: path, folder: folder('out') }, quietHooks), {
          code: 'backup-damaged',
        });
        const { status, codes, text } = await verify(path);
        assert.deepEqual([status, codes.includes('backup-damaged')], ['damaged', true], text);
        assert.deepEqual(everything(), before);
      });
    }

    it('are not read when they have too many entries, or too much in them', async () => {
      const path = write('bad.zip', [one, { name: 'b', data: 'y' }]);
      await assert.rejects(Zip.open(path, { entries: 1, totalBytes: 1e9 }), { code: 'too-large' });
      await assert.rejects(Zip.open(path, { entries: 10, totalBytes: 100 }), { code: 'too-large' });
      (await Zip.open(path, { entries: 2, totalBytes: 101 })).close();
    });

    it('are stopped by the first byte too many of a bomb', async () => {
      const path = write('bomb.zip', [
        { name: 'a.bin', data: Buffer.alloc(50_000_000), deflate: true, size: 100_000 },
      ]);
      await assert.rejects(extractBundle({ bundle: path, folder: folder('out') }, quietHooks), {
        code: 'backup-damaged',
        message: /longer than its header says/,
      });
      assert.ok(!existsSync(folder('out')));
    });

    it('are refused when they are cut off, wherever', async () => {
      const whole = rawZip([{ name: 'app.db', data: database() }]);
      for (let length = 0; length < whole.length; length += 977) {
        writeFileSync(folder('cut.zip'), whole.subarray(0, length));
        assert.equal((await verify(folder('cut.zip'))).status, 'damaged', `${length} bytes`);
      }
    });

    const manifests: [what: string, json: string][] = [
      ['no JSON', '{'],
      ['text', '"text"'],
      ['of somebody else', '{"format":1,"kind":"bundle"}'],
      ['with a prototype', '{"__proto__":{"format":1,"kind":"bundle"},"entries":[]}'],
      [
        'with no entries',
        '{"format":1,"kind":"bundle","tool":{"name":"sqlite-backup","version":"1","sqlite":"3"}}',
      ],
    ];
    for (const [what, json] of manifests) {
      it(`with a manifest that is ${what} prove nothing`, async () => {
        const path = write('x.zip', [
          { name: 'manifest.json', data: json },
          { name: 'app.db', data: database() },
        ]);
        const { status, codes } = await verify(path);
        assert.deepEqual([status, codes], ['partial', ['bad-manifest']]);
        assert.equal(Reflect.get({}, 'format'), undefined);
      });
    }

    it('with a manifest that is endless are refused', async () => {
      const path = write('x.zip', [
        { name: 'manifest.json', data: Buffer.alloc(65 * 1024 * 1024, ' '), deflate: true },
        { name: 'app.db', data: database() },
      ]);
      assert.equal((await verify(path)).status, 'damaged');
      assert.deepEqual(
        await listAll(folder()).then(({ entries }) =>
          entries.filter(({ kind }) => kind === 'bundle'),
        ),
        [],
      );
    });

    it('with a manifest of a newer format are not taken apart', async () => {
      const json = '{"format":9,"tool":{"name":"sqlite-backup"}}';
      const path = write('x.zip', [
        { name: 'manifest.json', data: json },
        { name: 'app.db', data: database() },
      ]);
      assert.deepEqual((await verify(path)).codes, ['newer-format']);
      await assert.rejects(extractBundle({ bundle: path, folder: folder('out') }, quietHooks), {
        code: 'newer-format',
      });
    });

    it('with a forged manifest are damaged', async () => {
      const { path } = await bundleOf([createDatabase(folder('app.db'))]);
      const parts = await withBundle(path, async ({ zip }) => {
        const json = (await zip.readSmall('manifest.json', 1e6)).toString();
        return { json, data: await zip.readSmall('app.db', 1e9) };
      });
      const forge = (json: string, ...more: RawEntry[]): string =>
        write('forged.zip', [
          { name: 'manifest.json', data: json },
          { name: 'app.db', data: parts.data },
          ...more,
        ]);
      assert.deepEqual((await verify(forge(parts.json))).codes, ['no-manifest']);
      const wrongHash = parts.json.replace(
        /"sha256": "./,
        (text) => `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`,
      );
      const lies: [code: string, path: () => string][] = [
        ['hash-mismatch', () => forge(wrongHash)],
        ['size-mismatch', () => forge(parts.json.replace(/"sizeBytes": (\d)/, '"sizeBytes": 1$1'))],
        ['unknown-entry', () => forge(parts.json, { name: 'more.txt', data: 'x' })],
        ['missing-entry', () => forge(parts.json.replaceAll('"app.db"', '"other.db"'))],
        ['rows-differ', () => forge(parts.json.replace(/"rows": \d+/, '"rows": 7'))],
        ['facts-differ', () => forge(parts.json.replace(/"pageCount": \d+/, '"pageCount": 7'))],
      ];
      for (const [code, make] of lies) {
        const forged = make();
        const { status, codes } = await verify(forged);
        assert.deepEqual(
          [status, codes.includes(code)],
          ['damaged', true],
          `${code}: ${codes.join()}`,
        );
        if (code === 'rows-differ' || code === 'facts-differ') continue; // The bytes are those of the hash.
        await assert.rejects(extractBundle({ bundle: forged, folder: folder('out') }, quietHooks), {
          code: 'backup-damaged',
        });
        assert.ok(!existsSync(folder('out')), code);
      }
    });
  });

  describe('that others made', () => {
    const layout = (): RawEntry[] => [
      { name: 'VERSION', data: '3.2\n' },
      { name: 'home.db', data: database(50), deflate: true },
      { name: 'zigbee.db', data: database(5), deflate: true },
      { name: 'floor_plan/', mode: 0o040755 },
      { name: 'floor_plan/ground.png', data: 'png' },
    ];

    it('are listed, verified and extracted; nothing is claimed about their instant', async () => {
      mkdirSync(folder('backups'));
      const path = write('backups/theirs.zip', layout());
      const {
        entries: [entry, ...rest],
      } = await listAll(folder('backups'), { members: true });
      assert.deepEqual(rest, []);
      assert.deepEqual(
        [entry?.kind, entry?.foreign, entry?.verified, entry?.bundle?.cut, entry?.kept],
        ['bundle', true, 'unchecked', undefined, undefined],
      );
      assert.deepEqual(
        entry?.bundle?.members?.map(({ name, kind }) => [name, kind]),
        [
          ['VERSION', 'companion'],
          ['home.db', 'database'],
          ['zigbee.db', 'database'],
          ['floor_plan/ground.png', 'companion'],
        ],
      );
      const { status, codes } = await verify(path);
      assert.deepEqual([status, codes], ['partial', ['no-manifest']]);
      const files = await extractBundle({ bundle: path, folder: folder('out') }, quietHooks);
      assert.deepEqual(
        files.map(({ member, kind }) => [member, kind]),
        entry?.bundle?.members?.map(({ name, kind }) => [name, kind]),
      );
      assert.equal(valueOf(folder('out/home.db'), 'SELECT count(*) FROM items'), 50);
      assert.equal(readFileSync(folder('out/floor_plan/ground.png'), 'utf8'), 'png');
      assert.deepEqual(listBackups(folder('backups')), []);
    });

    it('have each database checked, by its content', async () => {
      const bad = database(3000);
      bad.fill(0xff, 5 * 4096, 6 * 4096);
      const damaged = write('a.zip', [...layout(), { name: 'bad.db', data: bad }]);
      assert.equal((await verify(damaged)).status, 'damaged');
      const text = write('b.zip', [...layout(), { name: 'text.db', data: 'no database' }]);
      assert.deepEqual((await verify(text)).codes, ['not-a-database', 'no-manifest']);
      const hidden = write('c.zip', [...layout(), { name: 'data.bin', data: bad }]);
      assert.equal((await verify(hidden)).status, 'damaged');
      for (const path of [damaged, text, hidden]) {
        await assert.rejects(extractBundle({ bundle: path, folder: folder('out') }, quietHooks), {
          code: 'backup-damaged',
        });
        assert.ok(!existsSync(folder('out')));
      }
    });

    it('do not count as backups without a database at the top', async () => {
      mkdirSync(folder('backups'));
      write('backups/photos.zip', [
        { name: 'a.png', data: 'x' },
        { name: 'sub/thumbs.db', data: 'x' },
      ]);
      writeFileSync(folder('backups/text.zip'), 'no zip');
      assert.deepEqual((await listAll(folder('backups'))).entries, []);
    });
  });

  describe('of ours', () => {
    const make = async (): Promise<string> => {
      writeFileSync(folder('note.txt'), 'note');
      const paths = [
        createDatabase(folder('app.db'), { journalMode: 'wal' }),
        createDatabase(folder('users.db')),
      ];
      const companions = [{ root: folder(), globs: ['note.txt'] }];
      return (await bundleOf(paths, { companions, folder: folder('backups') })).path;
    };

    it('are listed without being opened, and known by what is in them when the manifest beside is gone', async () => {
      const path = await make();
      const [entry] = listBackups(folder('backups'));
      assert.deepEqual(
        entry?.bundle?.databases.map(({ name, verified }) => [name, verified]),
        [
          ['app.db', 'ok'],
          ['users.db', 'ok'],
        ],
      );
      assert.deepEqual(
        [entry?.foreign, entry?.verified, entry?.bundle?.cut, entry?.bundle?.companions],
        [false, 'ok', 'one-instant', 1],
      );
      assert.deepEqual((await listAll(folder('backups'))).entries, [entry]);
      writeFileSync(folder('alone.zip'), readFileSync(path));
      const { entries } = await listAll(folder());
      const alone = entries.find((one) => one.kind === 'bundle');
      assert.deepEqual(
        [alone?.foreign, alone?.verified, alone?.bundle?.complete, alone?.kept],
        [false, 'unchecked', true, undefined],
      );
      assert.deepEqual((await verify(folder('alone.zip'))).codes, ['no-manifest']);
    });

    itInPart('are found damaged wherever a byte is flipped', async function () {
      this.timeout(60_000);
      const path = await make();
      const whole = readFileSync(path);
      assert.equal((await verify(path)).status, 'ok');
      for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 60)) {
        const flipped = Buffer.from(whole);
        flipped[at] = (flipped[at] ?? 0) ^ 1;
        writeFileSync(path, flipped);
        assert.equal((await verify(path)).status, 'damaged', `byte ${at}`);
      }
      writeFileSync(path, whole.subarray(0, -1));
      assert.equal((await verify(path)).status, 'damaged');
      assert.equal(listBackups(folder('backups'))[0]?.verified, 'damaged');
    });

    it('keep their verdict and their drill in the manifest beside them', async () => {
      const path = await make();
      const verdict = await verifyBundle(path, () => undefined, folder());
      const drill = await drillBundle(verdict, folder());
      assert.deepEqual([drill.status, drill.findings], ['ok', []]);
      assert.equal(recordVerdict(verdict, drill), undefined);
      assert.equal(bundleManifestOf(path).drill?.status, 'ok');
      overwrite(path, 5000, Buffer.from('xxxx'));
      const damaged = await verifyBundle(path, () => undefined, folder());
      recordVerdict(damaged, await drillBundle(damaged, folder()));
      const manifest = bundleManifestOf(path);
      assert.deepEqual([manifest.verdict.status, manifest.drill?.status], ['damaged', 'failed']);
      assert.deepEqual(
        readdirSync(folder()).filter((name) => name.startsWith('.tmp')),
        [],
      );
    });

    it('are extracted, all or some, and nothing is overwritten', async () => {
      const path = await make();
      const files = await extractBundle({ bundle: path, folder: folder('all') }, quietHooks);
      assert.deepEqual(
        files.map(({ member, kind }) => [member, kind]),
        [
          ['app.db', 'database'],
          ['users.db', 'database'],
          ['files/note.txt', 'companion'],
        ],
      );
      assert.equal(pagesOf(folder('all/app.db')), pagesOf(folder('app.db')));
      for (const file of files) assert.equal(sha256(file.path), file.sha256);
      const some = await extractBundle(
        { bundle: path, folder: folder('some'), members: ['files/note.txt', 'files/note.txt'] },
        quietHooks,
      );
      assert.deepEqual(
        some.map(({ path: one }) => one),
        [folder('some/files/note.txt')],
      );
      await assert.rejects(extractBundle({ bundle: path, folder: folder('some') }, quietHooks), {
        code: 'name-taken',
      });
      assert.deepEqual(readdirSync(folder('some')), ['files'], 'not even the others');
      await assert.rejects(
        extractBundle(
          { bundle: path, folder: folder('none'), members: ['app.db', 'no.db'] },
          quietHooks,
        ),
        { code: 'source-missing' },
      );
      assert.ok(!existsSync(folder('none')));
    });

    it('are not extracted through a link', async () => {
      const path = await make();
      mkdirSync(folder('out'));
      mkdirSync(folder('elsewhere'));
      symlinkSync(folder('elsewhere'), folder('out/files'));
      await assert.rejects(extractBundle({ bundle: path, folder: folder('out') }, quietHooks), {
        code: 'name-taken',
      });
      assert.deepEqual(
        [readdirSync(folder('elsewhere')), readdirSync(folder('out'))],
        [[], ['files']],
      );
      symlinkSync(folder('nowhere'), folder('elsewhere/app.db'));
      await assert.rejects(
        extractBundle(
          { bundle: path, folder: folder('elsewhere'), members: ['app.db'] },
          quietHooks,
        ),
        { code: 'name-taken' },
      );
    });

    it('leave nothing when the last word is no', async () => {
      const path = await make();
      const hooks = { ...quietHooks, beforePublish: () => Promise.reject(new Error('no')) };
      await assert.rejects(extractBundle({ bundle: path, folder: folder('out') }, hooks), /no/);
      assert.ok(!existsSync(folder('out')));
    });

    it('give out one member under another name', async () => {
      const path = await make();
      const to = { bundle: path, folder: folder('out'), readOnly: true };
      const file = await extractMember({ ...to, member: 'users.db', name: 'look.db' }, quietHooks);
      assert.deepEqual([file.member, basename(file.path)], ['users.db', 'look.db']);
      assert.equal(pagesOf(file.path), pagesOf(folder('users.db')));
      for (const [member, name, code] of [
        ['users.db', 'look.db', 'name-taken'],
        ['users.db', '../x.db', 'bad-name'],
        ['no.db', 'y.db', 'source-missing'],
      ] as const)
        await assert.rejects(extractMember({ ...to, member, name }, quietHooks), { code });
    });
  });
});

/** The Info-ZIP field for a name in Unicode. */
function unicodeName(name: string, other: string): Buffer {
  void name;
  const field = Buffer.alloc(9 + other.length);
  field.writeUInt16LE(0x7075, 0);
  field.writeUInt16LE(5 + other.length, 2);
  field.writeUInt8(1, 4);
  field.write(other, 9);
  return field;
}
