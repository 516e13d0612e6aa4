import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const source = join(root, 'src');

/** Processes, threads and files are no persons; and what has to be decoded has a plain form. */
const banned = [
  /\b(whoever|nobody|somebody|anybody|everybody)('s)?\b/i,
  /\b(is|are) no more\b/i,
  /\bwhat is live\b/i,
  /\bas you say\b/i,
  /\bhelps no one\b/i,
];

/** What people had to read twice, and what is said now. */
const mended: [before: RegExp, now: string][] = [
  [/is not there any more|Its backups are\.$/, 'Its backups are still here.'],
  [/Somebody has|Nobody (is seen|has)/, 'No program that this user can see has it open.'],
  [/Go on although/, 'Continue anyway. Changes these programs make from now on may be lost.'],
  [/It (Runs|runs) (A|a)gain/, 'I Have Started It'],
  [/as you say/, 'You confirmed that it is running.'],
  [/All (I|i)s (W|w)ell/, 'Looks Good'],
  [/what is live/, 'Check that the live database matches the backup.'],
  [/whole again|is the backup now/, '{0} now holds the backup.'],
  [/old database/i, 'Your current database is kept until you clean up.'],
  [/gets a second name/, 'The application still sees it until step 3.'],
  [/can be read ·/, 'Readable'],
  [/journal mode wal/, 'WAL mode'],
  [/pageCount/, 'That is normal once the application writes:'],
  [/that were compared/, 'Export is available once the backup has been compared'],
  [/proved again/, 'The backup is intact (SHA-256 and integrity check).'],
  [/is gone then/, 'Data that only it has is lost, and the restore can no longer be undone.'],
  [/\bGoes:|\bStays:/, 'Keep: {0}, {1}'],
  [/of its own\.$/, 'Internal error in SQLite Backup.'],
  [/one instant/, 'at the same moment'],
  [/Prove(d)? (R|r)estorable/, 'Restore tested: {0} of {1}.'],
  [/Hide Choice|Choose for Bundle/, 'Done Selecting'],
  [/Delete Old/, 'Delete Previous Database…'],
  [/Quick Backup/, 'Back Up without Deleted Content'],
  [/leaves nothing here/, 'No matches.'],
  [/keep the newest hours/, 'Keep one backup per hour for this many hours (per database)'],
  [/that it may go/, 'restic does not list it for removal'],
  [/run them again at start/, 'run your migrations after the restore, or start the matching build'],
  [
    /claims to be|that can be had|as it likes|How hard|whether the application is/,
    'Largest database to',
  ],
];

describe('the words of the source', () => {
  it('say what was mended as it was mended, in everything that is translated', () => {
    const texts = ['package.nls.json', 'l10n/bundle.l10n.json'].flatMap((name) =>
      Object.values(JSON.parse(readFileSync(join(root, name), 'utf8')) as Record<string, string>),
    );
    for (const [before, now] of mended) {
      assert.deepEqual(
        texts.filter((text) => before.test(text)),
        [],
        String(before),
      );
      assert.ok(
        texts.some((text) => text.includes(now)),
        now,
      );
    }
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    assert.doesNotMatch(
      readme,
      /pins one|without a word|a killed process|half-made|never held still/,
    );
  });

  it('have one clock: times are made for a person in one place', () => {
    const found = globSync('{editor,runbook}/**/*.ts', { cwd: source }).filter((path) =>
      /toLocale(Date|Time)String|DateTimeFormat/.test(readFileSync(join(source, path), 'utf8')),
    );
    assert.deepEqual(found, ['editor/times.ts']);
    const times = readFileSync(join(source, 'editor/times.ts'), 'utf8');
    assert.equal(times.match(/timeStyle|hour:/g)?.length, times.match(/, hourCycle \}/g)?.length);
  });

  it('are those of processes and files, in comments and in what people read', () => {
    const files = globSync('**/*.ts', { cwd: source });
    assert.ok(files.length > 50);
    const found = files.flatMap((path) =>
      readFileSync(join(source, path), 'utf8')
        .split('\n')
        .flatMap((line, index) =>
          banned.some((pattern) => pattern.test(line))
            ? [`${path}:${index + 1} ${line.trim()}`]
            : [],
        ),
    );
    assert.deepEqual(found, []);
  });
});
