import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { toPlainError } from '../../src/core/errors.ts';
import { removePair } from '../../src/core/manifest/manifestFile.ts';
import { pause } from '../../src/core/pause.ts';
import { applyRestore } from '../../src/core/restore/apply.ts';
import { archiveSetAside } from '../../src/core/restore/archive.ts';
import { findInterrupted, recoverInterrupted } from '../../src/core/restore/recovery.ts';
import { deleteSetAside } from '../../src/core/restore/setAside.ts';
import { undoRestore } from '../../src/core/restore/undo.ts';
import { createDatabase, snapshot, valueOf, withDatabase } from '../support/databases.ts';
import { Killed, type Step, stepsOf, whileDisturbed } from '../support/disturbance.ts';
import { isThorough, itInPart, sampleOf } from '../support/operations.ts';
import { endProcessesAfterEach, fixture, holdOpen, kill, run } from '../support/processes.ts';
import { applyRequest, leftoversIn, quiet, setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { ThirdParty } from '../support/thirdParty.ts';

const insert = "INSERT INTO items (name) VALUES ('of the other program')";
const count = 'SELECT count(*) FROM items';
const own = "SELECT count(*) FROM items WHERE name = 'of the other program'";
const onlyInWal = "SELECT count(*) FROM items WHERE name = 'only in the WAL'";

const parties = ['reads', 'writes', 'waits, writes later', 'closes just then'] as const;
type Party = (typeof parties)[number];

/** Rows of the backup; the database from before has 20 more, which are only in its -wal. */
const [newRows, oldRows] = [100, 120];
type State = 'old' | 'new' | 'gone' | `${number} rows`;

interface Job {
  /** What the other program opens. */
  path: string;
  work: (ignoreHolders: boolean) => Promise<unknown>;
  before: State;
  after: State;
}

interface Tally {
  operations: number;
  before: number;
  after: number;
  recovered: number;
  lost: number;
}

/** What another program can do at every file operation of a restore, and of what follows one. */
describe('beside another program, at any operation,', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let backup = '';
  let other: ThirdParty;
  const live = (): string => folder('d/app.db');
  const table = new Map<string, Tally>();

  before(function () {
    if (process.platform !== 'linux') this.skip(); // Who has a file open is read from /proc.
  });

  beforeEach(async () => {
    mkdirSync(folder('kept'));
    const kept = createDatabase(folder('kept/app.db'), { journalMode: 'wal', rows: newRows });
    backup = (await snapshot(kept, { folder: folder('backups') })).path;
    const rows = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
      INSERT INTO items (name) SELECT 'only in the WAL' FROM n`;
    await kill(await holdOpen(kept, 'PRAGMA wal_autocheckpoint = 0', rows));
    other = await ThirdParty.start(folder('mailbox'));
  });

  after(() => {
    if (table.size === 0) return;
    console.log(
      '\n| operation of | other program | operations | as before | as after | recovered | lost |',
    );
    console.log('| --- | --- | --- | --- | --- | --- | --- |');
    for (const [what, { operations, before, after, recovered, lost }] of table)
      console.log(`| ${what} | ${operations} | ${before} | ${after} | ${recovered} | ${lost} |`);
  });

  const reset = (): void => {
    for (const name of ['d', 'safety', 'archive'])
      rmSync(folder(name), { recursive: true, force: true });
    mkdirSync(folder('archive'));
    cpSync(folder('kept'), folder('d'), { recursive: true });
  };

  const restore = (ignoreHolders = false): ReturnType<typeof applyRestore> =>
    applyRestore(applyRequest(backup, live(), { folder: folder('safety'), ignoreHolders }), quiet);

  const restored = async (): Promise<string> => (await restore()).items[0]?.setAside ?? '';

  /** A restore that was killed before its second rename. */
  const interrupt = async (): Promise<string> => {
    let renames = 0;
    await whileDisturbed(
      folder('d'),
      ({ call, name }) => {
        if (call === 'rename' && name === '/app.db') renames++;
        if (renames >= 2) throw new Killed(name);
      },
      restore,
    ).catch(() => undefined);
    return findInterrupted(folder('d'))[0]?.intent ?? '';
  };

  const jobs: Record<string, () => Promise<Job>> = {
    restore: () => Promise.resolve({ path: live(), work: restore, before: 'old', after: 'new' }),
    async undo() {
      const request = { setAside: await restored(), toolVersion: '0' };
      const work = (ignoreHolders: boolean): Promise<unknown> =>
        undoRestore({ ...request, ignoreHolders }, quiet);
      return { path: live(), work, before: 'new', after: 'old' };
    },
    async finish() {
      const intent = await interrupt();
      const work = (ignoreHolders: boolean): Promise<unknown> =>
        recoverInterrupted({ intent, how: 'finish', ignoreHolders }, quiet);
      return { path: live(), work, before: 'old', after: 'new' };
    },
    async 'roll-back'() {
      const intent = await interrupt();
      const work = (ignoreHolders: boolean): Promise<unknown> =>
        recoverInterrupted({ intent, how: 'roll-back', ignoreHolders }, quiet);
      return { path: live(), work, before: 'old', after: 'old' };
    },
    async archive() {
      const path = await restored();
      const request = { path, folder: folder('archive'), toolVersion: '0' };
      return { path, work: () => archiveSetAside(request, quiet), before: 'old', after: 'gone' };
    },
    async delete() {
      const path = await restored();
      return { path, work: () => deleteSetAside(path), before: 'old', after: 'gone' };
    },
  };

  /** What a database holds, looked at in a copy: nothing is opened here. */
  const look = <T>(path: string, sql: string): T | undefined => {
    rmSync(folder('look'), { recursive: true, force: true });
    mkdirSync(folder('look'));
    if (!existsSync(path)) return undefined;
    for (const part of ['', '-wal', '-journal'])
      if (existsSync(path + part)) cpSync(path + part, folder(`look/x.db${part}`));
    return withDatabase(folder('look/x.db'), (db) => {
      assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
      return db.prepare(sql).pluck().get() as T;
    });
  };

  const stateOf = (path: string): State => {
    const total = look<number>(path, count);
    if (total === undefined) return 'gone';
    const rows = total - (look<number>(path, own) ?? 0);
    return rows === newRows ? 'new' : rows === oldRows ? 'old' : `${rows} rows`;
  };

  /** In the live database, in what restores have kept, or in an archive of that. */
  const isSomewhere = async (sql: string, wanted: number): Promise<boolean> => {
    const paths = [live(), ...setAsidesIn(folder('d')).map((name) => folder('d', name))];
    if (paths.some((path) => (look<number>(path, sql) ?? 0) >= wanted)) return true;
    const archives = readdirSync(folder('archive'));
    for (const name of archives.filter((one) => one.endsWith('.zip'))) {
      const target = folder('look/archived.db');
      mkdirSync(folder('look'), { recursive: true });
      const items = [{ target, member: basename(live()) }];
      const request = applyRequest(folder('archive', name), target, { items });
      await applyRestore({ ...request, folder: folder('look') }, quiet);
      if ((valueOf(target, sql) as number) >= wanted) return true;
    }
    return false;
  };

  /** One run: what is wrong, and where it came to. */
  const runBeside = async (
    make: () => Promise<Job>,
    party: Party,
    nth: number,
    what: string,
    tally: Tally,
  ): Promise<string[]> => {
    reset();
    const { path, work, before, after } = await make();
    const isOfLive = path === live();
    let written = false;
    let asked = 0;
    let seen: unknown;
    const isHeld = party === 'closes just then' && isOfLive;
    if (isHeld) written = other.run(path, insert, 2000) === 1;
    const act = (step: Step): void => {
      if (step.nth !== nth) return;
      if (party === 'reads') seen = other.run(path, count);
      else if (party === 'writes') written = other.run(path, insert) === 1;
      else if (party === 'closes just then') {
        if (!isHeld) other.run(path, count);
        other.close(path);
      } else {
        asked = other.begin(path, insert, 20_000);
        while (!other.isAnswered(asked) && !other.hasOpen(folder('d'))) pause(1);
      }
    };
    const { error, remarks } = await whileDisturbed(folder('d'), act, () => work(isHeld)).then(
      (done) => ({ error: undefined, remarks: JSON.stringify(done) }),
      (failure: unknown) => ({ error: toPlainError(failure), remarks: '' }),
    );
    if (asked > 0) written = other.answer(asked) === 1;
    const wrong: string[] = [];
    if (typeof seen === 'number' && seen !== newRows && seen !== oldRows)
      wrong.push(`it read ${seen} rows`);
    other.close(path);
    tally.operations++;
    // Asked for: what it holds is to go.
    const isDeletion = what === 'delete' && error === undefined;
    const isTold = remarks.includes('"restart"');
    if (!isDeletion && !(await isSomewhere(onlyInWal, 20))) wrong.push('rows of the -wal are lost');
    if (written && !isDeletion && !isTold && !(await isSomewhere(own, 1)))
      wrong.push('what it has written is lost');
    tally.lost += wrong.filter((one) => one.endsWith('lost')).length;
    const [offer] = findInterrupted(folder('d'));
    if (offer !== undefined) {
      const how = offer.can[nth % offer.can.length];
      if (how === undefined) wrong.push(`nothing can be done: ${offer.words}`);
      else
        await recoverInterrupted({ intent: offer.intent, how }, quiet).catch((failure: unknown) => {
          wrong.push(`${how} failed: ${toPlainError(failure).message}`);
        });
      const end = (how === 'finish') === (offer.action === 'restore') ? 'new' : 'old';
      if (stateOf(live()) !== end) wrong.push(`${how} led to ${stateOf(live())}`);
      if (!(await isSomewhere(onlyInWal, 20))) wrong.push('the recovery lost rows of the -wal');
      if (written && !isTold && !(await isSomewhere(own, 1)))
        wrong.push('the recovery lost what it has written');
      tally.recovered++;
    } else {
      const state = stateOf(path);
      if (state !== (error === undefined ? after : before))
        wrong.push(`${state} after ${error?.message ?? 'success'}`);
      if (error === undefined) tally.after++;
      else tally.before++;
    }
    if (leftoversIn(folder('d')).length > 0) wrong.push(`left ${leftoversIn(folder('d')).join()}`);
    return wrong;
  };

  for (const [what, make] of Object.entries(jobs)) {
    it(`${what} loses nothing`, async function () {
      this.timeout(60 * 60_000);
      reset();
      const { work } = await make();
      const steps = await stepsOf(folder('d'), () => work(false));
      const wrong: string[] = [];
      const places = isThorough
        ? steps.flatMap((step) => parties.map((party) => ({ step, party })))
        : sampleOf(steps, 5).map((step, n) => ({ step, party: parties[n % 4] ?? 'reads' }));
      for (const { step, party } of places) {
        const key = `${what} | ${party}`;
        const tally = table.get(key) ?? {
          operations: 0,
          before: 0,
          after: 0,
          recovered: 0,
          lost: 0,
        };
        table.set(key, tally);
        const found = await runBeside(make, party, step.nth, what, tally);
        const at = `${party} at ${step.nth} ${step.call} ${step.name}`;
        wrong.push(...found.map((one) => `${one} <- ${at}`));
      }
      assert.deepEqual(wrong, []);
    });
  }

  it('two restores of one database, started together, are one after the other or one', async function () {
    this.timeout(20 * 60_000);
    const request = JSON.stringify(applyRequest(backup, live(), { folder: folder('safety') }));
    const job = [process.execPath, fixture('restoreJob.ts'), 'apply', request];
    for (let n = 0; n < (isThorough ? 200 : 4); n++) {
      reset();
      const both = await Promise.all([run(job), run(job)]);
      const done = both.filter(({ code }) => code === 0);
      assert.ok(done.length > 0, both.map(({ stdout }) => stdout).join());
      for (const { code, stdout } of both)
        if (code !== 0) assert.match(stdout, /"code":"target-in-use"/);
      assert.equal(stateOf(live()), 'new');
      assert.equal(setAsidesIn(folder('d')).length, done.length);
      assert.ok(await isSomewhere(onlyInWal, 20));
      assert.deepEqual(leftoversIn(folder('d')), []);
    }
  });

  itInPart(
    'a restore is whole, or did nothing, when retention deletes its backup',
    async function () {
      this.timeout(20 * 60_000);
      reset();
      const steps = await stepsOf(folder('d'), restore);
      cpSync(folder('backups'), folder('copies'), { recursive: true });
      for (const { nth, call, name } of sampleOf(steps, 4)) {
        reset();
        cpSync(folder('copies'), folder('backups'), { recursive: true });
        const prune = (step: Step): void => void (step.nth === nth && removePair(backup));
        const failed = await whileDisturbed(folder('d'), prune, restore).then(
          () => false,
          () => true,
        );
        assert.equal(existsSync(backup), false);
        assert.equal(stateOf(live()), failed ? 'old' : 'new', `${nth} ${call} ${name}`);
        assert.ok(await isSomewhere(onlyInWal, 20));
        assert.deepEqual(leftoversIn(folder('d')), []);
      }
    },
  );
});
