import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { sweepLeftovers } from '../../src/core/files/workplace.ts';
import { parseSetAsideName, setAsideNames } from '../../src/core/manifest/names.ts';
import { applyRestore, moveAside } from '../../src/core/restore/apply.ts';
import { readIntent } from '../../src/core/restore/intent.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { deleteSetAside, listSetAsides } from '../../src/core/restore/setAside.ts';
import { bytesOf, createDatabase, sha256, snapshot, writeBytes } from '../support/databases.ts';
import { applyRequest, leftoversIn, quiet } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the intent of a restore', () => {
  const folder = useTempFolder();
  let live = '';
  let backup = '';
  let intent = '';

  beforeEach(async () => {
    live = createDatabase(folder('app.db'));
    backup = (await snapshot(live)).path;
    ({ intent } = await moveAside(applyRequest(backup, live), quiet));
  });

  type Json = Record<string, unknown> & { items: Record<string, unknown>[] };
  const change = (edit: (value: Json) => void): void => {
    const value = JSON.parse(readFileSync(intent, 'utf8')) as Json;
    edit(value);
    writeBytes(intent, JSON.stringify(value));
  };

  for (const [what, edit] of [
    ['another format', (value: Json) => (value['format'] = 2)],
    ['another tool', (value: Json) => (value['tool'] = { name: 'other', version: '1' })],
    ['another id', (value: Json) => (value['id'] = '00000000-1-000000000000')],
    [
      'a path for a name',
      (value: Json) => Object.assign(value.items[0] ?? {}, { name: '../x.db' }),
    ],
    ['an absolute name', (value: Json) => Object.assign(value.items[0] ?? {}, { name: '/x.db' })],
    ['no set-aside', (value: Json) => delete value.items[0]?.['setAside']],
    [
      'a set-aside that is another file',
      (value: Json) => Object.assign(value.items[0] ?? {}, { setAside: 'other.db' }),
    ],
    [
      'an unknown sibling',
      (value: Json) =>
        Object.assign(value.items[0] ?? {}, {
          old: [{ part: '/../../x', identity: '1:1', sizeBytes: 1, mtimeNs: '1' }],
        }),
    ],
    ['a relative backup', (value: Json) => (value['backup'] = 'x.db')],
  ] as const) {
    it(`with ${what} is none: it is shown, and nothing is done by it`, async () => {
      change(edit);
      const before = [bytesOf(live), readdirSync(folder())];
      const [found] = findInterrupted(folder());
      assert.deepEqual(found?.can, []);
      assert.match(found.words, /is not a valid note of a restore/);
      for (const how of ['finish', 'roll-back'] as const)
        await assert.rejects(recoverInterrupted({ intent, how }, quiet), { code: 'incomplete' });
      assert.deepEqual([bytesOf(live), readdirSync(folder())], before);
    });
  }

  it('protects what it needs while another folder of it cannot be reached', async () => {
    change((value) => (value['alsoIn'] = [folder('not-connected')]));
    const [kept] = listSetAsides(live);
    await assert.rejects(deleteSetAside(kept?.path ?? ''), { code: 'target-in-use' });
    assert.equal(listSetAsides(live).length, 1);
    rmSync(live); // As in the middle of a restore.
    await assert.rejects(applyRestore(applyRequest(backup, live), quiet), {
      code: 'target-in-use',
      message: /stopped half-way/,
    });
  });

  it('that is text, a folder, or a link is none either', async () => {
    writeBytes(intent, 'not JSON');
    await assert.rejects(recoverInterrupted({ intent, how: 'finish' }, quiet));
    renameSync(intent, folder('aside.json'));
    symlinkSync(folder('aside.json'), intent);
    assert.throws(() => readIntent(intent), { code: 'incomplete' });
    renameSync(intent, folder('link'));
    mkdirSync(intent);
    assert.throws(() => readIntent(intent), { code: 'incomplete' });
    assert.equal(findInterrupted(folder())[0]?.can.length, 0);
  });

  it('does not finish with another backup than the one that was meant', async () => {
    change((value) => (value['backup'] = createDatabase(folder('evil.db'), { rows: 3 })));
    const before = sha256(live);
    await assert.rejects(recoverInterrupted({ intent, how: 'finish' }, quiet), {
      code: 'backup-damaged',
    });
    assert.equal(sha256(live), before);
    await recoverInterrupted({ intent, how: 'roll-back' }, quiet);
    assert.equal(sha256(live), before);
  });

  it('keeps its private folder from being swept', async () => {
    const names = leftoversIn(folder());
    assert.equal(names.length, 2);
    const [, pid] = /-(\d+)-[0-9a-f]+\.json$/.exec(intent) ?? [];
    await sweepLeftovers(folder(), { pid: Number(pid) });
    assert.deepEqual(leftoversIn(folder()), names);
    renameSync(intent, folder('gone.json'));
    await sweepLeftovers(folder(), { pid: Number(pid) });
    assert.deepEqual(leftoversIn(folder()), []);
  });
});

describe('the name of a set-aside', () => {
  it('tells the database and the time', () => {
    const at = new Date('2026-11-21T13:45:02Z');
    const [first = '', second = ''] = setAsideNames('app.db', at);
    assert.deepEqual(
      [first, second],
      ['app.db.bad-20261121_134502Z', 'app.db.bad-20261121_134502Z-2'],
    );
    for (const name of [first, second])
      assert.deepEqual(parseSetAsideName(name), { target: 'app.db', createdAt: at.toISOString() });
  });

  it('is no other name', () => {
    for (const name of [
      'app.db',
      'app.db.bad',
      '.bad-20261121_134502Z',
      'app.db.bad-20261121_134502Z-wal',
      'app.db.bad-20269921_134502Z',
      'app.db.bad-20261121_134502',
    ])
      assert.equal(parseSetAsideName(name), undefined, name);
  });
});
