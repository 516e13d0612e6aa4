import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readdirSync, truncateSync } from 'node:fs';
import { contentOf, sha256 } from '../support/databases.ts';
import { type HandBlocks, HandRestore } from '../support/handBlocks.ts';
import { isThorough, itInPart, itWhere } from '../support/operations.ts';
import { useMounts } from '../support/mounts.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  isLinuxRoot,
  kill,
  needProgram,
  run,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { type InteractiveShell, paste } from '../support/terminal.ts';

type Step = keyof HandBlocks;

/** Each can be left out; the last two go back. */
const way: Step[] = ['plan', 'stop', 'move', 'copy', 'verify', 'undo'];

const shells: InteractiveShell[] = ['bash', 'dash', 'zsh', 'mksh'];
/** Of those, the ones that `npm test` pastes names into that bite. */
const mainShells: InteractiveShell[] = ['bash', 'dash'];

const namesThatBite = [
  "it's ‘curly’.db",
  '$(touch pwned) `touch pwned` ${HOME} %s %n.db',
  '-rf !! !$ ^a^b.db',
  'two  blanks "quoted" #no comment; touch pwned & | > x.db',
  'line\nbreak\ttab\r\u0003\u0004\u001b[31m.db',
  'back\\slash\\*?[x]\\047.db',
  'a\u202ebd.\u2066tfel \u00a0.db',
  'שלום ä 数 🦆.db',
];

describe('the blocks of a runbook, pasted whole into a shell', function () {
  endProcessesAfterEach();
  const mounts = useMounts();
  const folder = useTempFolder();

  before(function () {
    this.timeout(240_000); // The programs may have to be installed first.
    if (process.platform !== 'linux') this.skip(); // Only there `script` takes these options.
    needProgram('sqlite3', 'sqlite3');
    needProgram('script', 'bsdutils');
    for (const shell of [...shells, 'fish']) needProgram(shell, shell);
  });

  const mountExfat = (): void => {
    mounts.mountExfat(folder('image'), folder('d'));
  };

  /** True when the block ended with GOOD. It never ends without a word, and never ends the shell. */
  const pasteBlock = async (
    shell: InteractiveShell,
    block: string,
    inBrackets: boolean,
  ): Promise<boolean> => {
    const { status, shown } = await paste(shell, block, { cwd: folder(), inBrackets });
    const words = shown.slice(shown.lastIndexOf('</dev/null'));
    const good = /^GOOD: /m.test(words);
    assert.equal(status, good ? 0 : 1, JSON.stringify(shown.slice(-700)));
    if (!good) assert.match(words, /^(BAD|DIFFERENT|NOT CHECKED): /m, words);
    return good;
  };

  /** The rows of the previous database and those of the backup are both on the disk, whatever was run. */
  const expectNothingLost = (hand: HandRestore, backupHash: string): void => {
    assert.equal(sha256(hand.backup), backupHash);
    const databases = readdirSync(folder('d'))
      .map((name) => folder('d', name))
      .filter((path) => path === hand.live || /\.bad-\w+Z(\.restored)?$/s.test(path));
    const rows = databases.map((path) => hand.rowsIn(path));
    assert.ok(rows.includes(102), `${databases.join(', ')}: ${rows.join(', ')}`);
    assert.deepEqual(
      readdirSync(folder('d')).filter((name) => /\.(by-hand|part|new)/.test(name)),
      [],
    );
    assert.ok(!existsSync(folder('pwned')));
  };

  for (const [disk, prepare] of [
    ['ext4', () => undefined],
    ['exFAT', mountExfat],
  ] as const) {
    describe(`on ${disk}`, () => {
      beforeEach(function () {
        if (disk === 'exFAT' && !isLinuxRoot) this.skip(); // Only root on Linux may mount.
        prepare();
      });

      // What the disk decides is tried on both; each step left out on the second takes long: FAULTS=all.
      const isSampled = disk !== 'ext4' && !isThorough;
      const tried: (Step | undefined)[] = isSampled ? [undefined, 'move'] : [undefined, ...way];
      for (const [index, left] of tried.entries()) {
        const shell = shells[index % shells.length] ?? 'bash';
        itWhere(shell === 'bash')(
          `lose nothing when ${left === undefined ? 'no step' : `"${left}"`} is left out (${shell})`,
          async () => {
            const hand = await HandRestore.prepare(folder);
            const hash = sha256(hand.backup);
            const good: Step[] = [];
            for (const step of way.filter((one) => one !== left)) {
              if (await pasteBlock(shell, hand.blocks[step], false)) good.push(step);
              expectNothingLost(hand, hash);
            }
            // What the disk shows is refused; what it does not show is looked at again by the next step.
            const expected: Partial<Record<Step, Step[]>> = {
              move: ['plan', 'stop'],
              copy: ['plan', 'stop', 'move'],
            };
            assert.deepEqual(good, (left && expected[left]) ?? way.filter((one) => one !== left));
            const rows = hand.rowsIn(hand.live);
            assert.equal(rows, left === 'undo' ? 100 : 102);
          },
        );
      }

      itWhere(disk === 'ext4')(
        'refuse a damaged backup and a database in use, though their steps are left out',
        async () => {
          const hand = await HandRestore.prepare(folder);
          assert.ok(await pasteBlock('bash', hand.blocks.move, false));
          const holder = await holdOpen(hand.live, 'PRAGMA user_version');
          assert.ok(!(await pasteBlock('bash', hand.blocks.copy, false)));
          await kill(holder);
          copyFileSync(hand.backup, folder('good'));
          truncateSync(hand.backup, 5000);
          assert.ok(!(await pasteBlock('bash', hand.blocks.copy, false)));
          assert.equal(hand.rowsIn(hand.live), 102);
          copyFileSync(folder('good'), hand.backup);
          assert.ok(await pasteBlock('bash', hand.blocks.copy, false));
          expectNothingLost(hand, sha256(folder('good')));
        },
      );
    });
  }

  for (const [index, name] of namesThatBite.entries()) {
    const shell = shells[index % shells.length] ?? 'bash';
    itWhere(mainShells.includes(shell))(
      `take ${JSON.stringify(name)} as a name (${shell})`,
      async () => {
        const hand = await HandRestore.prepare(folder, name);
        const hash = sha256(hand.backup);
        for (const step of ['plan', 'move', 'copy', 'verify', 'undo', 'remove'] as const) {
          if (step === 'undo') assert.deepEqual(contentOf(hand.live), contentOf(hand.backup));
          assert.ok(await pasteBlock(shell, hand.blocks[step], false), step);
          if (step !== 'remove') expectNothingLost(hand, hash);
        }
        assert.equal(hand.rowsIn(hand.live), 102);
        assert.ok(!existsSync(folder('pwned')));
      },
    );
  }

  // Its line editor is too slow for a test on a terminal: it paints the whole text anew for each piece that it gets.
  itInPart('are read by fish as they are', async () => {
    const hand = await HandRestore.prepare(folder, namesThatBite[0]);
    for (const step of ['plan', 'move', 'copy', 'verify', 'undo'] as const) {
      const { code, stdout, stderr } = await run(['fish', '--no-config', '-c', hand.blocks[step]], {
        cwd: folder(),
      });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^GOOD: /m);
    }
    expectNothingLost(hand, sha256(hand.backup));
  });

  for (const shell of ['bash', 'zsh'] as const) {
    it(`are one piece of text where the terminal pastes in brackets (${shell})`, async () => {
      const hand = await HandRestore.prepare(folder, namesThatBite[0]);
      for (const step of ['move', 'copy', 'undo'] as const)
        assert.ok(await pasteBlock(shell, hand.blocks[step], true), step);
      expectNothingLost(hand, sha256(hand.backup));
    });
  }
});
