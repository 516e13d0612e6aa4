import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import type { RestoreItem } from '../../src/core/restore/request.ts';
import { bundleOf } from '../support/bundles.ts';
import { createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import { failAt, killAt, stepsOf, whileDisturbed } from '../support/disturbance.ts';
import { sampleOf } from '../support/operations.ts';
import { useMounts } from '../support/mounts.ts';
import { endProcessesAfterEach, holdOpen, isLinuxRoot, kill } from '../support/processes.ts';
import { applyRequest, insertItem, leftoversIn, quiet, setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const count = 'SELECT count(*) FROM items';
const names = ['shop', 'crm', 'logs'] as const;
/** Rows in the backup; one more is live. */
const rows = { shop: 10, crm: 20, logs: 30 } as const;

describe('a restore of a bundle into three folders on two file systems', function () {
  endProcessesAfterEach();
  const mounts = useMounts();
  const folder = useTempFolder();
  let bundle = '';

  before(function () {
    if (!isLinuxRoot) this.skip(); // Only root on Linux may mount.
  });

  const placeOf = (name: string): string => folder('d', name);
  const liveOf = (name: string): string => join(placeOf(name), `${name}.db`);

  const connectDisk = (): string => mounts.mount(placeOf('logs'), '--bind', folder('disk'));
  const disconnectDisk = (): void => mounts.unmount(placeOf('logs'));

  beforeEach(async () => {
    const databases = names.map((name) => {
      mkdirSync(folder('kept', name), { recursive: true });
      mkdirSync(placeOf(name), { recursive: true });
      const path = folder('kept', name, `${name}.db`);
      return createDatabase(path, { rows: rows[name], journalMode: 'wal' });
    });
    mounts.mount(folder('disk'), '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs');
    connectDisk();
    bundle = (await bundleOf(databases, { folder: folder('backups') })).path;
    const [shop = '', ...others] = databases;
    // The newest row of the shop is only in its -wal, as a killed program leaves it.
    await kill(await holdOpen(shop, 'PRAGMA wal_autocheckpoint = 0', insertItem));
    for (const path of others) withDatabase(path, (db) => db.exec(insertItem));
  });

  const reset = (): void => {
    for (const name of names) {
      for (const entry of readdirSync(placeOf(name)))
        rmSync(join(placeOf(name), entry), { recursive: true });
      cpSync(folder('kept', name), placeOf(name), { recursive: true });
    }
  };

  const restore = (): Promise<unknown> => {
    const items = names.map((name): RestoreItem => ({
      member: `${name}.db`,
      target: liveOf(name),
    }));
    return applyRestore(applyRequest(bundle, '', { items, folder: folder('safety') }), quiet);
  };

  /** Looked at in a copy, so that nothing is opened here. */
  const stateOf = (name: (typeof names)[number]): string => {
    rmSync(folder('look'), { recursive: true, force: true });
    mkdirSync(folder('look'));
    for (const part of ['', '-wal', '-journal'])
      if (existsSync(liveOf(name) + part)) cpSync(liveOf(name) + part, folder(`look/x.db${part}`));
    const found = withDatabase(folder('look/x.db'), (db) => db.prepare(count).pluck().get());
    return found === rows[name]
      ? 'new'
      : found === rows[name] + 1
        ? 'old'
        : `${String(found)} rows`;
  };
  const states = (): string => [...new Set(names.map(stateOf))].join(' and ');
  const offersIn = (name: string): ReturnType<typeof findInterrupted> =>
    findInterrupted(placeOf(name));

  /** What is wrong with what a stopped restore left, and with its recovery from one of its folders. */
  const judge = async (how: 'finish' | 'roll-back', turn: number): Promise<string[]> => {
    const wrong: string[] = [];
    const withOffer = names.filter((name) => offersIn(name).length > 0);
    const from = withOffer[turn % Math.max(1, withOffer.length)];
    if (from === undefined) {
      if (states() !== 'old' && states() !== 'new') wrong.push(`${states()}, and no offer`);
      return wrong;
    }
    const offers = withOffer.flatMap((name) => offersIn(name));
    if (new Set(offers.map(({ id, words }) => id + words)).size !== 1)
      wrong.push(`not one offer: ${offers.map(({ words }) => words).join(' | ')}`);
    const [offer] = offersIn(from);
    const isOnlyNote = offer?.items.length === 0;
    if (isOnlyNote && states() !== 'old' && states() !== 'new')
      wrong.push(`${states()}, and the offer says that nothing is half-done`);
    const before = states();
    await recoverInterrupted({ intent: offer?.intent ?? '', how }, quiet);
    const goal = isOnlyNote ? before : how === 'finish' ? 'new' : 'old';
    if (states() !== goal) wrong.push(`${how} from ${from} led to ${states()}`);
    for (const name of names)
      if (leftoversIn(placeOf(name)).some((one) => !one.includes('claim')))
        wrong.push(`left ${leftoversIn(placeOf(name)).join()} in ${name}`);
    return wrong;
  };

  it('stopped at any operation is all old, all new, or one offer for all that any folder carries out', async function () {
    this.timeout(30 * 60_000);
    reset();
    const steps = await stepsOf(folder('d'), restore);
    assert.equal(states(), 'new');
    const wrong: string[] = [];
    // Before the first intent has its name, nothing is touched that is not private.
    const first = steps.findIndex(
      ({ call, name }) => call === 'rename' && name.includes('.sqlite-backup-restore-'),
    );
    assert.ok(first > 0);
    for (const [turn, { nth, call, name }] of sampleOf(steps.slice(first), 9).entries()) {
      reset();
      await whileDisturbed(folder('d'), killAt(nth), restore).catch(() => undefined);
      const found = await judge(turn % 2 === 0 ? 'finish' : 'roll-back', turn);
      wrong.push(...found.map((one) => `${one} <- ${nth} ${call} ${name}`));
    }
    assert.deepEqual(wrong, []);
  });

  it('that fails at any operation is all old, or one offer', async function () {
    this.timeout(30 * 60_000);
    reset();
    const steps = await stepsOf(folder('d'), restore);
    const wrong: string[] = [];
    for (const [turn, { nth, call, name }] of sampleOf(steps, 4).entries()) {
      reset();
      const error = await whileDisturbed(folder('d'), failAt(nth, 'EIO'), restore).then(
        () => undefined,
        (one: unknown) => one,
      );
      if (error === undefined && states() !== 'new') wrong.push(`no error, and ${states()}`);
      const found = await judge('roll-back', turn);
      wrong.push(...found.map((one) => `${one} <- ${nth} ${call} ${name}`));
    }
    assert.deepEqual(wrong, []);
  });

  it('is left alone by a recovery that finds the first of its notes, without the one that counts', async () => {
    reset();
    let found: ReturnType<typeof findInterrupted> = [];
    await whileDisturbed(
      folder('d'),
      ({ call, name }) => {
        if (call === 'rename' && name.startsWith('/shop/.sqlite-backup-restore-'))
          found = offersIn('crm');
      },
      restore,
    );
    assert.equal(states(), 'new');
    assert.deepEqual(found[0]?.can, []);
    assert.match(found[0].words, /Another process is working on .*crm\.db/);
  });

  it('is not said to be whole, and not brought to an end in part, while one of the disks is not connected', async () => {
    for (const first of [true, false]) {
      reset();
      const items = (first ? names : [...names].reverse()).map((name) => ({
        member: `${name}.db`,
        target: liveOf(name),
      }));
      let isKilled = false;
      await whileDisturbed(
        folder('d'),
        ({ call, name }) => {
          isKilled ||= call === 'rename' && name === '/crm/crm.db';
          if (isKilled) throw new Error('killed');
        },
        () => applyRestore(applyRequest(bundle, '', { items, folder: folder('safety') }), quiet),
      ).catch(() => undefined);
      assert.ok(isKilled);
      disconnectDisk(); // An empty folder is where it was.
      for (const name of ['shop', 'crm']) {
        const [offer] = offersIn(name);
        assert.deepEqual(offer?.can, []);
        assert.match(
          offer.words,
          /also involves .*logs, which cannot be reached\..*Connect the disk/,
        );
      }
      connectDisk();
      const [offer] = offersIn('crm');
      await recoverInterrupted({ intent: offer?.intent ?? '', how: 'finish' }, quiet);
      assert.equal(states(), 'new');
      assert.equal(names.flatMap((name) => setAsidesIn(placeOf(name))).length, 3);
      assert.equal(valueOf(liveOf('logs'), count), 30);
    }
  });
});
