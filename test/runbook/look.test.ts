import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { parseFromLookPage, parseToLookPage } from '../../src/runbook/look/protocol.ts';
import { type LookAction, LookSession, type OtherMoment } from '../../src/runbook/look/session.ts';
import { lookState, type LookSubject } from '../../src/runbook/look/state.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { createDatabase, snapshot, withDatabase } from '../support/databases.ts';
import { workerEntry } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const subject: LookSubject = {
  ...{ title: 'app.db', subtitle: '', notices: [], verdict: [], facts: [] },
  unavailable: { compare: 'There is no live database.' },
};
const wording = {
  t: (text: string, ...values: (string | number)[]) =>
    text.replace(/\{(\d)\}/g, (_, index: string) => String(values[Number(index)])),
  number: (value: number) => value.toLocaleString('en'),
  bytes: (value: number) => `${value} bytes`,
};

describe('the session of a look inside a backup', () => {
  const folder = useTempFolder();
  const ran: LookAction[] = [];

  function sessionOf(path: string, moments: Partial<OtherMoment>[] = []): LookSession {
    const worker = new WorkerClient({ entry: workerEntry });
    return new LookSession(
      {
        ...{ worker, path, member: undefined, copy: undefined },
        moments: moments.map((one) => ({
          ...{ id: 'before', title: 'Since', sizeBytes: 1, path: () => Promise.resolve(path) },
          ...one,
        })),
        explain: ({ message }) => message,
        run: (action) => Promise.resolve(void ran.push(action)),
      },
      () => undefined,
    );
  }
  const stateOf = (session: LookSession): ReturnType<typeof lookState> => {
    const state = lookState(session, subject, wording);
    assert.ok(parseToLookPage({ state }), 'the page takes it');
    return state;
  };

  it('says what cannot be read, and has no tables then', async () => {
    const session = sessionOf(folder('missing.db'), [{}]);
    await session.start();
    const { notices, tables, changes, busy } = stateOf(session);
    assert.match(notices[0]?.text ?? '', /missing\.db/);
    assert.deepEqual([tables.items.length, changes[0]?.rows.length, busy], [0, 0, false]);
  });

  it('takes from the page only what it was shown and may be used', async () => {
    const session = sessionOf(createDatabase(folder('app.db')));
    await session.start();
    const state = stateOf(session);
    const isTaken = (message: unknown, shown = state): boolean =>
      'message' in parseFromLookPage(message, shown);
    assert.ok(
      isTaken({ act: 'restore' }) && isTaken({ act: 'schema' }) && isTaken({ ready: true }),
    );
    for (const message of [{ act: 'compare' }, { act: 't99' }, { act: '../x' }, {}, 'restore'])
      assert.ok(!isTaken(message), JSON.stringify(message));
    assert.ok('refused' in parseFromLookPage({ act: 'restore' }, undefined));
    await session.act('restore');
    assert.deepEqual(ran.splice(0), ['restore']);
  });

  it('opens tables, goes through their rows, and closes them', async () => {
    const { path } = await snapshot(createDatabase(folder('app.db'), { rows: 150 }));
    const session = sessionOf(path);
    await session.start();
    const [table] = stateOf(session).tables.items;
    assert.deepEqual([table?.name, table?.count, table?.isOpen], ['items', '150 rows', false]);
    const id = table?.action?.id ?? '';
    const shown = (): [string | undefined, (string | boolean)[] | undefined] => {
      const content = stateOf(session).tables.items[0]?.content;
      return [content?.lines[0]?.text, content?.actions.flatMap((one) => [one.id, one.enabled])];
    };
    await session.act(id);
    assert.deepEqual(shown(), ['Rows 1 to 100', [`${id}.previous`, false, `${id}.next`, true]]);
    await session.act(`${id}.next`);
    assert.deepEqual(shown(), ['Rows 101 to 150', [`${id}.previous`, true, `${id}.next`, false]]);
    await session.act(id);
    assert.equal(stateOf(session).tables.items[0]?.isOpen, false);
    await session.act('schema');
    assert.match(stateOf(session).schema.text ?? '', /^CREATE TABLE items/);
  });

  it('compares in the order of time, at once what is small, and the rest when it is asked to', async () => {
    const live = createDatabase(folder('app.db'));
    const { path: first } = await snapshot(live);
    withDatabase(live, (db) => db.exec('DELETE FROM items WHERE id <= 4; CREATE TABLE more (a)'));
    const { path: second } = await snapshot(live);
    withDatabase(live, (db) => db.exec("UPDATE items SET name = 'x' WHERE id = 50"));
    const session = sessionOf(second, [
      { id: 'before', path: () => Promise.resolve(first) },
      { id: 'live', sizeBytes: 1e12, path: () => Promise.resolve(live) },
    ]);
    await session.start();
    const [before, now] = stateOf(session).changes;
    assert.deepEqual(before?.rows, [
      { table: 'items', added: 0, removed: 4, changed: 0, note: '' },
      { table: 'more', added: 0, removed: 0, changed: 0, note: 'new table' },
    ]);
    assert.equal(before?.lines[0]?.text, 'The schemas differ.');
    assert.deepEqual([now?.rows, now?.actions[0]?.id], [[], 'compare-live']);
    await session.act('compare-live');
    const [, compared] = stateOf(session).changes;
    assert.deepEqual(compared?.rows, [
      { table: 'items', added: 0, removed: 0, changed: 1, note: '' },
    ]);
    assert.deepEqual(compared?.notes, ['1 other table is identical.']);
  });

  it('names no other tables where none differs, and claims nothing of what was not compared', async () => {
    const live = createDatabase(folder('app.db'));
    const { path: first } = await snapshot(live);
    withDatabase(live, (db) => db.exec('CREATE INDEX by_name ON items (name)'));
    const { path: second } = await snapshot(live);
    withDatabase(live, (db) => db.exec('CREATE VIRTUAL TABLE words USING fts5 (text)'));
    const { path: third } = await snapshot(live);
    const changes = async (newer: string, older: string): Promise<[string[], string[]]> => {
      const session = sessionOf(newer, [{ path: () => Promise.resolve(older) }]);
      await session.start();
      const [change] = stateOf(session).changes;
      return [change?.lines.map(({ text }) => text) ?? [], change?.notes ?? []];
    };
    assert.deepEqual(await changes(first, first), [['No row differs.'], []]);
    assert.deepEqual(await changes(second, first), [
      ['The schemas differ.', 'No row differs.'],
      [],
    ]);
    const [lines, notes] = await changes(third, third);
    assert.deepEqual(lines, ['The rows that could be compared are the same.']);
    assert.match(notes.join(), /^Not compared: words/);
  });

  it('says in its place what failed when the backup is gone meanwhile, and nothing after it is closed', async () => {
    const { path } = await snapshot(createDatabase(folder('app.db')));
    const session = sessionOf(path);
    await session.start();
    rmSync(path);
    const id = stateOf(session).tables.items[0]?.action?.id ?? '';
    await session.act(id);
    const { lines } = stateOf(session).tables.items[0]?.content ?? {};
    assert.equal(lines?.[0]?.kind, 'error');
    session.dispose();
    await session.act('schema');
    assert.deepEqual(stateOf(session).schema.lines, []);
  });
});
