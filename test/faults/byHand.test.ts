import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { bytesOf, contentOf, createDatabase, valueOf, withDatabase } from '../support/databases.ts';
import {
  before as comesBefore,
  count,
  handBlocks,
  HandRestore,
  insert,
} from '../support/handBlocks.ts';
import { endProcessesAfterEach, holdOpen, kill, needProgram, run } from '../support/processes.ts';
import { isThorough, strideOf } from '../support/operations.ts';
import { setAsidesIn } from '../support/restores.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('the blocks of a runbook, when things go wrong', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();
  let hand: HandRestore;
  let live = '';
  let backup = '';

  before(function () {
    this.timeout(120_000); // The programs may have to be installed first.
    if (process.platform === 'win32') this.skip(); // There is no sh.
    needProgram('sqlite3', 'sqlite3');
  });

  beforeEach(async () => {
    hand = await HandRestore.prepare(folder);
    ({ live, backup } = hand);
  });

  it('can be run again where they ended well', async () => {
    await hand.expectGood(hand.blocks.move);
    await hand.expectGood(hand.blocks.move);
    await hand.expectGood(hand.blocks.copy);
    await hand.expectGood(hand.blocks.verify);
    await hand.expectGood(hand.blocks.verify);
  });

  it('name the program that has the database open, and change nothing', async () => {
    await hand.expectGood(hand.blocks.move);
    const old = bytesOf(live);
    const holder = await holdOpen(live, 'PRAGMA journal_mode');
    for (const step of ['stop', 'move', 'copy', 'undo'] as const)
      await hand.expectBad(
        hand.blocks[step],
        step === 'undo' ? /previous database already/ : new RegExp(`open in .*\\(${holder.pid}\\)`),
      );
    await kill(holder);
    assert.deepEqual(bytesOf(live), old);
  });

  it('say what the application has changed since, and do not call it GOOD', async () => {
    await hand.expectGood(hand.blocks.move);
    await hand.expectGood(hand.blocks.copy);
    withDatabase(live, (db) => db.exec(insert));
    const { code, stdout, stderr } = await hand.follow(hand.blocks.verify);
    assert.equal(code, 1);
    assert.match(stdout, /"items": 101 rows, but 100 in the backup/);
    assert.match(stderr, /^DIFFERENT: .*normal once the application writes/);
  });

  it('do not call a database damaged that they cannot read because it is locked', async () => {
    await hand.expectGood(hand.blocks.move);
    await hand.expectGood(hand.blocks.copy);
    await holdOpen(live, 'PRAGMA locking_mode = EXCLUSIVE', 'BEGIN EXCLUSIVE', count);
    await hand.expectBad(hand.blocks.verify, /^NOT CHECKED: .*locked/);
  });

  describe('while another program comes between', () => {
    /** Opens the live database when a block calls the program about a path that ends so. */
    const opens = (program: string, end: string, sql: string): Record<string, string> =>
      comesBefore(folder('bin'), {
        [program]: `case "$*" in *"${end}"*) sqlite3 "${live}" ".timeout 100" "${sql}" >>"${folder('said')}" 2>&1 ;; esac`,
      });
    const said = (): string =>
      existsSync(folder('said')) ? readFileSync(folder('said'), 'utf8') : '';

    it('that opens it before the siblings go, it reads nothing and writes nothing', async () => {
      await hand.expectGood(hand.blocks.move);
      await hand.expectGood(hand.blocks.copy, opens('rm', 'app.db-wal', `${count}; ${insert}`));
      assert.match(said(), /locked/);
      assert.equal(valueOf(live, count), 100);
      assert.equal(hand.rowsIn(hand.kept), 102);
    });

    it('that waits since then, they keep it out until it has ended', async () => {
      await hand.expectGood(hand.blocks.move);
      const waits = `case "$*" in *.new*) sqlite3 '${live}' '.timeout 60000' '${count}' >/dev/null 2>&1 & echo $! >'${folder('pid')}'
        until for fd in /proc/$!/fd/*; do [ "$fd" -ef '${live}' ] && break; done; do :; done ;; esac`;
      const env = comesBefore(folder('bin'), { mv: waits });
      let told = '';
      let isKilled = false;
      const { code, stdout, stderr } = await run(['sh', '-c', hand.blocks.copy], {
        ...{ cwd: folder(), env },
        onStart: ({ stdout: out }) =>
          out?.on('data', (text: string) => {
            told += text;
            if (isKilled || !told.includes('WAITING')) return;
            isKilled = true;
            process.kill(Number(readFileSync(folder('pid'), 'utf8')));
          }),
      });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /WAITING for process \d+: it opened .*\n[\s\S]*GOOD/);
      assert.deepEqual(contentOf(live), contentOf(backup));
    });

    it('that writes while it is kept, nothing is kept of it', async () => {
      await hand.expectBad(
        hand.blocks.move,
        /BAD: .*changed while it was copied/,
        opens('sync', '.db.bad-', insert),
      );
      assert.deepEqual(setAsidesIn(folder('d')), []);
      assert.notEqual(valueOf(live, count), 102);
      hand.expectNothingLeft();
    });

    it('that writes after it was kept, it is not replaced', async () => {
      await hand.expectGood(hand.blocks.move);
      withDatabase(live, (db) => db.exec(insert));
      await hand.expectBad(hand.blocks.copy, /BAD: .*not what step 2 kept/);
      assert.equal(valueOf(live, count), 103);
      await hand.expectBad(hand.blocks.move, /BAD: .*there already/);
    });

    it('that writes while the backup is copied, it is not replaced', async () => {
      await hand.expectGood(hand.blocks.move);
      await hand.expectBad(
        hand.blocks.copy,
        /BAD: .*changed since it was kept/,
        opens('sync', '', insert),
      );
      assert.equal(valueOf(live, count), 103);
      hand.expectNothingLeft();
    });

    it('that writes just before the lock, it is not replaced', async () => {
      await hand.expectGood(hand.blocks.move);
      const env = comesBefore(folder('bin'), {
        sqlite3: `case "$*" in *-bail*"${live}") if [ -n "\${HELD-}" ]; then real "${live}" "${insert}"; fi ;; esac`,
      });
      await hand.expectBad(hand.blocks.copy, /BAD: .*changed at the last moment/, env);
      assert.equal(hand.rowsIn(live), 103);
      hand.expectNothingLeft();
    });

    it('that is a second block for the same database, it is refused', async () => {
      const env = comesBefore(folder('bin'), {
        sync: `if [ -z "\${second-}" ]; then second=1 sh -c "$BLOCK" >"${folder('said')}" 2>&1; fi`,
      });
      await hand.expectGood(hand.blocks.move, { ...env, BLOCK: hand.blocks.move });
      assert.match(said(), /BAD: another block works on/);
      assert.equal(hand.rowsIn(hand.kept), 102);
      mkdirSync(`${live}.by-hand`);
      await hand.expectBad(hand.blocks.copy, /BAD: another block works on .*, or was killed/);
      assert.ok(existsSync(`${live}.by-hand`), 'it belongs to the other block');
    });
  });

  describe('when a command fails', () => {
    const fails = (programs: Record<string, string>): Record<string, string> =>
      comesBefore(
        folder('bin'),
        Object.fromEntries(
          Object.entries(programs).map(([program, end]) => [
            program,
            `case "$*" in *"${end}"*) exit 1 ;; esac`,
          ]),
        ),
      );

    for (const [program, end] of [
      ['cp', 'app.db'],
      ['cmp', ''],
      ['mkdir', ''],
      ['mv', '.part'],
    ] as const) {
      it(`(${program} ${end}) the step "move" keeps nothing that is not whole`, async () => {
        const old = bytesOf(live);
        await hand.expectBad(hand.blocks.move, /BAD: /, fails({ ln: '', [program]: end }));
        assert.deepEqual(bytesOf(live), old);
        assert.deepEqual(setAsidesIn(folder('d')), []);
        rmSync(folder('bin'), { recursive: true });
        await hand.expectGood(hand.blocks.move);
        assert.equal(hand.rowsIn(hand.kept), 102);
      });
    }

    for (const [program, end] of [
      ['cp', '.new'],
      ['cmp', ''],
      ['sqlite3', ''],
      ['rm', 'app.db-wal'],
      ['mv', '.new'],
    ] as const) {
      it(`(${program} ${end}) the step "copy" leaves the old database whole`, async () => {
        await hand.expectGood(hand.blocks.move);
        await hand.expectBad(hand.blocks.copy, /BAD: /, fails({ [program]: end }));
        assert.equal(hand.rowsIn(live), 102);
        assert.equal(hand.rowsIn(hand.kept), 102);
        hand.expectNothingLeft();
        rmSync(folder('bin'), { recursive: true });
        await hand.expectGood(hand.blocks.copy);
      });
    }

    it('they leave a backup alone that has changed, is damaged, or is in use', async () => {
      const good = readFileSync(backup);
      await hand.expectGood(hand.blocks.move);
      appendFileSync(backup, 'x');
      for (const step of ['plan', 'copy'] as const)
        await hand.expectBad(hand.blocks[step], /BAD: .*SHA-256 differs/);
      writeFileSync(folder('b/alone.db'), good);
      withDatabase(folder('b/alone.db'), (db) => db.pragma('journal_mode = wal'));
      await kill(await holdOpen(folder('b/alone.db'), insert));
      const alone = await handBlocks({ backup: folder('b/alone.db'), items: [{ target: live }] });
      for (const step of ['plan', 'copy'] as const)
        await hand.expectBad(alone[step], /BAD: .*a program uses it/);
      assert.equal(hand.rowsIn(live), 102);
    });

    it('they do not call a database free where they cannot look', async () => {
      const blind = hand.blocks.stop.replaceAll('/proc/self/fd', '/nowhere');
      const env = comesBefore(folder('bin'), { lsof: 'exit 1' });
      await hand.expectBad(blind, /^NOT CHECKED: which programs have the database open/, env);
    });

    it('they do not mind the settings that the person has for sqlite3', async () => {
      writeFileSync(folder('.sqliterc'), '.headers on\n.mode box\n.timer on\n');
      for (const step of ['plan', 'move', 'copy', 'verify', 'undo'] as const)
        await hand.expectGood(hand.blocks[step], { HOME: folder() });
    });
  });

  describe('when they are killed', () => {
    /** By default only where names change; all of it takes minutes: FAULTS=all. */
    const programs = isThorough
      ? 'mkdir cp cmp sync ln mv rm rmdir sqlite3 chown chmod'.split(' ')
      : ['ln', 'mv', 'rmdir'];

    /** Kills the block, with all that it started, at its n-th call of a program. */
    const killAt = (n: number): Record<string, string> => {
      writeFileSync(folder('calls'), '');
      const code = `echo "$0" >>"${folder('calls')}"; [ "$(wc -l <"${folder('calls')}")" -ne ${n} ] || kill -9 0`;
      return comesBefore(
        folder('bin'),
        Object.fromEntries(programs.map((program) => [program, code])),
      );
    };

    for (const step of ['move', 'copy', 'undo'] as const) {
      it(`at any command of "${step}", all rows are there, and the way back and the way on are open`, async function () {
        this.timeout(1_200_000);
        for (let n = 1, isKilled = true; isKilled; n += strideOf(3)) {
          for (const name of readdirSync(folder('d')))
            rmSync(folder('d', name), { recursive: true });
          rmSync(folder('b'), { recursive: true });
          hand = await HandRestore.prepare(folder);
          ({ live } = hand);
          if (step !== 'move') await hand.expectGood(hand.blocks.move);
          if (step === 'undo') await hand.expectGood(hand.blocks.copy);
          const env = killAt(n);
          // A process group of its own.
          const { code } = await run(['setsid', '-w', 'sh', '-c', hand.blocks[step]], {
            ...{ cwd: folder(), env },
          });
          isKilled = code !== 0;
          const { length } = readFileSync(folder('calls'), 'utf8').split('\n');
          const what = `${step} ${n} of ${length - 1}: ${readdirSync(folder('d')).join(', ')}`;
          const isKept = setAsidesIn(folder('d')).length > 0;
          assert.equal(hand.rowsIn(isKept ? hand.kept : live), 102, what);
          assert.ok([100, 102].includes(Number(hand.rowsIn(live))) || isKept, what);
          // The block says that one was killed; the person deletes the folder.
          rmSync(`${live}.by-hand`, { recursive: true, force: true });
          const isNew = isKept && hand.rowsIn(live) === 100;
          if (step === 'move') {
            await hand.expectGood(hand.blocks.move);
            await hand.expectGood(hand.blocks.copy);
          } else if (step === 'copy' && !isNew) await hand.expectGood(hand.blocks.copy);
          if (isKept && hand.rowsIn(live) === 100) await hand.expectGood(hand.blocks.undo);
          else if (step === 'move') await hand.expectGood(hand.blocks.undo);
          assert.equal(hand.rowsIn(live), 102, what);
          hand.expectNothingLeft();
        }
      });
    }
  });

  describe('for a live file that is', () => {
    const restoreAndUndo = async (): Promise<void> => {
      const old = bytesOf(live);
      await hand.plan();
      for (const step of ['move', 'copy', 'verify'] as const)
        await hand.expectGood(hand.blocks[step]);
      assert.deepEqual(contentOf(live), contentOf(backup));
      assert.deepEqual(Object.values(bytesOf(hand.kept)), Object.values(old));
      await hand.expectGood(hand.blocks.undo);
    };
    const withoutSiblings = (): void => {
      for (const part of ['-wal', '-shm']) rmSync(live + part);
    };

    it('no database', async () => {
      withoutSiblings();
      writeFileSync(live, 'text, and long enough to be looked at'.repeat(100));
      await restoreAndUndo();
      assert.match(readFileSync(live, 'utf8'), /^text, and/);
    });

    it('empty', async () => {
      withoutSiblings();
      truncateSync(live, 0);
      await restoreAndUndo();
      assert.equal(statSync(live).size, 0);
    });

    it('damaged', async () => {
      withoutSiblings();
      truncateSync(live, 5000);
      await restoreAndUndo();
      assert.equal(statSync(live).size, 5000);
    });

    it('left with a hot journal', async () => {
      withoutSiblings();
      rmSync(live);
      createDatabase(live);
      const update = 'UPDATE items SET payload = randomblob(200)';
      await kill(await holdOpen(live, 'PRAGMA cache_size = 2', 'BEGIN', update));
      assert.ok(existsSync(`${live}-journal`));
      await restoreAndUndo();
      assert.equal(valueOf(live, count), 100);
      assert.ok(!existsSync(`${live}-journal`));
    });

    it('one of several, of which all or none are replaced', async () => {
      const other = createDatabase(folder('d/other.db'));
      const items = [{ target: live }, { target: other }];
      const both = await handBlocks({ backup, items });
      await hand.expectGood(both.move);
      withDatabase(other, (db) => db.exec(insert));
      await hand.expectBad(both.copy, /BAD: .*other\.db is not what step 2 kept/);
      assert.equal(hand.rowsIn(live), 102);
      for (const name of setAsidesIn(folder('d'))) rmSync(folder('d', name));
      rmSync(`${hand.kept}-wal`, { force: true });
      for (const name of readdirSync(folder('d')))
        if (name.includes('.bad-')) rmSync(folder('d', name));
      await hand.expectGood(both.move);
      const env = comesBefore(folder('bin'), {
        mv: `case "$*" in *other.db.bad*) exit 1 ;; esac`,
      });
      await hand.expectBad(
        both.copy,
        /BAD: .*other\.db could not be replaced\. .*\nReplaced before that: .*app\.db\. The block Undo/,
        env,
      );
      assert.deepEqual([hand.rowsIn(live), hand.rowsIn(other)], [100, 101]);
      await hand.expectGood(both.undo);
      assert.deepEqual([hand.rowsIn(live), hand.rowsIn(other)], [102, 101]);
    });
  });
});
