import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Zip } from '../../src/core/bundle/zipReader.ts';
import { applyRestore, moveAside, putInPlace } from '../../src/core/restore/apply.ts';
import { planRestore, type RestorePlan } from '../../src/core/restore/plan.ts';
import { proveRestored } from '../../src/core/restore/proof.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import type { RestoreItem } from '../../src/core/restore/request.ts';
import { undoRestore } from '../../src/core/restore/undo.ts';
import { renderShell } from '../../src/core/runbook/runbook.ts';
import { bundleOf } from '../support/bundles.ts';
import {
  contentOf,
  createDatabase,
  overwrite,
  sha256,
  siblingsBeside,
  valueOf,
  withDatabase,
} from '../support/databases.ts';
import { endProcessesAfterEach, needProgram, run } from '../support/processes.ts';
import { applyRequest, leftoversIn, quiet, setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { rawZip } from '../support/zips.ts';
import { itInPart } from '../support/operations.ts';

const count = 'SELECT count(*) FROM items';
const noProgress = { onProgress: () => undefined };

describe('a restore from a bundle', () => {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let shop = '';
  let crm = '';
  let bundle = '';

  /** 100 rows in the shop (WAL) and 50 in the CRM, then both are changed. */
  beforeEach(async () => {
    shop = createDatabase(folder('shop.db'), { journalMode: 'wal' });
    crm = createDatabase(folder('crm.db'), { rows: 50 });
    mkdirSync(folder('uploads'));
    writeFileSync(folder('uploads/a.txt'), 'a companion');
    bundle = (
      await bundleOf([shop, crm], {
        folder: folder('backups'),
        companions: [{ root: folder(), globs: ['uploads/**'] }],
      })
    ).path;
    for (const one of [shop, crm])
      withDatabase(one, (db) =>
        db.exec(`DELETE FROM items WHERE id <= 3; UPDATE items SET name = 'x' WHERE id = 10;
          INSERT INTO items (id, name) VALUES (900, 'a'), (901, 'b')`),
      );
  });

  const items = (): Required<RestoreItem>[] => [
    { member: 'shop.db', target: shop },
    { member: 'crm.db', target: crm },
  ];
  const request = (
    changes: Partial<ReturnType<typeof applyRequest>> = {},
  ): ReturnType<typeof applyRequest> => applyRequest(bundle, shop, { items: items(), ...changes });
  const plan = (changes: Partial<Parameters<typeof planRestore>[0]> = {}): Promise<RestorePlan> =>
    planRestore({ backup: bundle, items: items(), ...changes }, noProgress);
  const names = (): string[] => readdirSync(folder(), { recursive: true }).map(String).sort();

  /** Changes a byte of what a member is packed into. */
  const damage = async (member: string): Promise<void> => {
    const zip = await Zip.open(bundle);
    const at = readFileSync(bundle).indexOf(member) + member.length + 2000;
    zip.close();
    overwrite(bundle, at, Buffer.from([(readFileSync(bundle)[at] ?? 0) ^ 0xff]));
  };

  /** A zip as others make it: no manifest, and a database in WAL mode among other files. */
  const foreign = (extra: Parameters<typeof rawZip>[0] = []): string => {
    const content = createDatabase(folder('foreign.db'), { rows: 30, journalMode: 'wal' });
    const path = folder('foreign.zip');
    writeFileSync(
      path,
      rawZip([
        { name: 'data/app.db', data: readFileSync(content), deflate: true },
        { name: 'VERSION', data: '7' },
        ...extra,
      ]),
    );
    rmSync(content);
    return path;
  };

  describe('is refused, and changes nothing,', () => {
    const expectRefusal = async (
      code: string,
      words: RegExp,
      changes: Partial<ReturnType<typeof applyRequest>>,
    ): Promise<void> => {
      const before = [names(), sha256(shop), sha256(crm)];
      for (const action of [applyRestore, moveAside])
        await assert.rejects(action(request(changes), quiet), { code, message: words });
      assert.deepEqual([names(), sha256(shop), sha256(crm)], before);
    };

    it('without a member, or with a name that is not in it, and names what is', async () => {
      const words = /Its databases: crm\.db, shop\.db\.$/;
      await expectRefusal('bad-name', words, { items: [{ target: shop }] });
      await expectRefusal('bad-name', words, { items: [{ target: shop, member: 'none.db' }] });
      await expectRefusal('bad-name', words, { items: [{ target: shop, member: '../shop.db' }] });
      await assert.rejects(plan({ items: [{ target: shop }] }), { code: 'bad-name' });
      const prove = proveRestored({ backup: bundle, items: [{ target: shop }] });
      await assert.rejects(prove, { code: 'bad-name' });
    });

    it('of a companion', async () => {
      const item = { target: folder('new.db'), member: 'files/uploads/a.txt' };
      await expectRefusal('bad-name', /which is not a database/, { items: [item] });
    });

    itInPart('when one of several members is damaged, before the first is touched', async () => {
      await damage('shop.db');
      const [first, second] = items();
      assert.ok(first && second);
      await expectRefusal('backup-damaged', /shop\.db/, { items: [second, first] });
      const made = await plan();
      assert.equal(made.verified, 'damaged');
      assert.deepEqual(made.items[0]?.tables, []);
      // The other one is as good as ever.
      assert.equal((await plan({ items: [second] })).verified, 'ok');
      await applyRestore(request({ items: [second] }), quiet);
      assert.equal(valueOf(crm, count), 50);
    });

    it('when it is cut off', async () => {
      writeFileSync(bundle, readFileSync(bundle).subarray(0, 4000));
      await expectRefusal('backup-damaged', /not a valid zip/, {});
      await assert.rejects(plan(), { code: 'backup-damaged' });
    });

    it('when its manifest was taken out, or says something else of a member', async () => {
      const entry = { name: 'shop.db', data: readFileSync(crm) };
      const manifest = await readMember(bundle, 'manifest.json');
      for (const [parts, words] of [
        [[{ name: 'manifest.json', data: manifest }, entry], /damaged/],
        [[{ name: 'manifest.json', data: 'x' }, entry], /backup details cannot be used/],
      ] as const) {
        writeFileSync(bundle, rawZip([...parts]));
        const item = { target: shop, member: 'shop.db' };
        await expectRefusal('backup-damaged', words, { items: [item] });
      }
    });

    it('from a zip of others, what is no database or has a wrong CRC', async () => {
      const database = readFileSync(createDatabase(folder('b.db')));
      const backup = foreign([
        { name: 'text.db', data: 'no database, but called one'.repeat(100) },
        { name: 'crc.db', data: database, crc: 1 },
      ]);
      const target = folder('new.db');
      for (const [member, words] of [
        ['VERSION', /not a SQLite database/],
        ['text.db', /not a SQLite database/],
        ['crc.db', /CRC|valid|trusted/],
      ] as const)
        await expectRefusal('backup-damaged', words, {
          backup,
          items: [{ target, member }],
          acceptUnproved: true,
        });
    });

    const readMember = async (path: string, name: string): Promise<Buffer> => {
      const zip = await Zip.open(path);
      try {
        return await zip.readSmall(name, 1e6);
      } finally {
        zip.close();
      }
    };
  });

  it('is planned with exact numbers for each member, and only reads', async () => {
    const before = [names(), sha256(bundle), sha256(shop), sha256(crm)];
    const made = await plan();
    assert.deepEqual([made.kind, made.verified, made.findings], ['bundle', 'ok', []]);
    assert.deepEqual(
      made.items.map(({ member, tables }) => [member, tables]),
      ['shop.db', 'crm.db'].map((member) => [
        member,
        [{ name: 'items', lost: 2, gained: 3, changed: 1, compared: true }],
      ]),
    );
    assert.deepEqual(
      made.items.map(({ source }) => [source.journalMode, source.tables]),
      [
        ['wal', [{ name: 'items', rows: 100 }]],
        ['delete', [{ name: 'items', rows: 50 }]],
      ],
    );
    assert.match(made.items[0]?.source.sha256 ?? '', /^[0-9a-f]{64}$/);
    const trusted = await plan({ trustManifest: true });
    assert.deepEqual(trusted.items, made.items);
    assert.equal(trusted.createdAt, made.createdAt);
    assert.deepEqual([names(), sha256(bundle), sha256(shop), sha256(crm)], before);
  });

  it('brings back one member, in its journal mode, and leaves the others alone', async () => {
    const untouched = sha256(crm);
    const [item] = (await applyRestore(request({ items: items().slice(0, 1) }), quiet)).items;
    assert.deepEqual(
      [item?.member, item?.verified, item?.findings, item?.tables],
      ['shop.db', 'ok', [], [{ name: 'items', rows: 100 }]],
    );
    assert.deepEqual(siblingsBeside(shop), []);
    assert.equal(valueOf(shop, count), 100);
    assert.equal(
      withDatabase(shop, (db) => db.pragma('journal_mode', { simple: true })),
      'wal',
    );
    assert.equal(valueOf(item?.setAside ?? '', count), 99);
    assert.equal(sha256(crm), untouched);
    assert.deepEqual(leftoversIn(folder()), []);
    await undoRestore({ setAside: item?.setAside ?? '', toolVersion: '0' }, quiet);
    assert.equal(valueOf(shop, count), 99);
  });

  it('brings back several members as one, and both can be proved', async () => {
    const { items: restored } = await applyRestore(request(), quiet);
    assert.deepEqual([valueOf(shop, count), valueOf(crm, count)], [100, 50]);
    assert.deepEqual(
      restored.map(({ verified, setAside }) => [verified, setAside !== undefined]),
      [
        ['ok', true],
        ['ok', true],
      ],
    );
    const proofs = await proveRestored({ backup: bundle, items: items() });
    assert.deepEqual(
      proofs.map(({ status, findings }) => [status, findings]),
      [
        ['ok', []],
        ['ok', []],
      ],
    );
  });

  itInPart('works when the manifest beside the bundle is gone', async () => {
    rmSync(`${bundle}.json`);
    const made = await plan();
    assert.deepEqual(
      [made.verified, made.findings.map(({ code }) => code)],
      ['partial', ['no-manifest']],
    );
    await applyRestore(request(), quiet);
    assert.deepEqual([valueOf(shop, count), valueOf(crm, count)], [100, 50]);
  });

  itInPart('does not need the bundle any more once all is staged', async () => {
    await applyRestore(request(), {
      ...quiet,
      beforePublish: () => Promise.resolve(rmSync(bundle)),
    });
    assert.deepEqual([valueOf(shop, count), valueOf(crm, count)], [100, 50]);
  });

  it('takes a member of a zip of others, proved by its content', async () => {
    const backup = foreign();
    const target = folder('new.db');
    const item = { member: 'data/app.db', target };
    const made = await plan({ backup, items: [item] });
    assert.equal(made.verified, 'partial');
    assert.deepEqual(
      [made.items[0]?.source.sha256, made.items[0]?.source.journalMode],
      [undefined, 'wal'],
    );
    const wanted = request({ backup, items: [item] });
    await assert.rejects(applyRestore(wanted, quiet), { code: 'not-proved' });
    const { items: restored } = await applyRestore({ ...wanted, acceptUnproved: true }, quiet);
    assert.equal(restored[0]?.verified, 'partial');
    assert.equal(valueOf(target, count), 30);
  });

  describe('step by step', () => {
    itInPart('moves all aside, then puts all in their places', async () => {
      const { intent, items: moved } = await moveAside(request(), quiet);
      assert.equal(moved.length, 2);
      assert.deepEqual([valueOf(shop, count), valueOf(crm, count)], [99, 49]);
      await putInPlace({ intent }, quiet);
      assert.deepEqual([valueOf(shop, count), valueOf(crm, count)], [100, 50]);
      assert.deepEqual(leftoversIn(folder()), []);
    });

    for (const how of ['finish', 'roll-back'] as const) {
      it(`can ${how} after the move, for all members`, async () => {
        const before = [contentOf(shop), contentOf(crm)];
        const { intent } = await moveAside(request(), quiet);
        assert.deepEqual(findInterrupted(folder())[0]?.can, ['finish', 'roll-back']);
        await recoverInterrupted({ intent, how }, quiet);
        if (how === 'roll-back') assert.deepEqual([contentOf(shop), contentOf(crm)], before);
        else assert.deepEqual([valueOf(shop, count), valueOf(crm, count)], [100, 50]);
        assert.equal(setAsidesIn(folder()).length, how === 'finish' ? 2 : 0);
        assert.deepEqual(leftoversIn(folder()), []);
      });
    }

    itInPart(
      'is bound to the bytes of its members: another bundle under the name is refused',
      async () => {
        const other = await bundleOf([shop, crm], { folder: folder('others') });
        const { intent } = await moveAside(request(), quiet);
        writeFileSync(bundle, readFileSync(other.path));
        for (const attempt of [
          () => putInPlace({ intent }, quiet),
          () => recoverInterrupted({ intent, how: 'finish' }, quiet),
        ])
          await assert.rejects(attempt, {
            code: 'backup-damaged',
            message: /not the backup that the restore started with/,
          });
        await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
        assert.deepEqual([valueOf(shop, count), valueOf(crm, count)], [99, 49]);
      },
    );
  });

  it('can be done by hand: the commands unpack the member, whatever it is called', async function () {
    this.timeout(120_000); // The programs may have to be installed first.
    needProgram('sqlite3', 'sqlite3');
    needProgram('unzip', 'unzip');
    const nasty = "-it's [1] $(touch pwned) ä.db";
    const database = createDatabase(folder('nasty.db'), { rows: 12 });
    for (const [name, other] of [
      ['a[1].zip', 'a1.zip'],
      ["b 'c'.zip", 'x.zip'],
    ] as const) {
      const target = createDatabase(folder(`live of ${name}.db`), { journalMode: 'wal' });
      writeFileSync(folder(name), rawZip([{ name: nasty, data: readFileSync(database) }]));
      writeFileSync(folder(other), rawZip([{ name: nasty, data: 'the wrong one' }]));
      const made = await plan({ backup: folder(name), items: [{ member: nasty, target }] });
      const script = renderShell(made, { now: new Date() });
      const { code, stderr } = await run(['sh', '-c', script], { cwd: folder() });
      assert.equal(code, 0, stderr);
      assert.equal(valueOf(target, count), 12);
    }
    assert.ok(!existsSync(folder('pwned')));
  });
});
