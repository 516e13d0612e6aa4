import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { mock } from 'node:test';
import { isBackupError } from '../../src/core/errors.ts';
import { checkOffsite } from '../../src/core/doctor/offsite.ts';
import { type Destination, remember, stateOf } from '../../src/core/offsite/destination.ts';
import type { Remote } from '../../src/core/offsite/driver.ts';
import { isProofDue, isSendDue, lastOf } from '../../src/core/offsite/due.ts';
import { listOffsite, offsiteStatus } from '../../src/core/offsite/fetch.ts';
import { planForgetting } from '../../src/core/offsite/forget.ts';
import { newestOfEachDatabase } from '../../src/core/offsite/newest.ts';
import { proveOffsite } from '../../src/core/offsite/prove.ts';
import { type Sent, sendOffsite } from '../../src/core/offsite/send.ts';
import { createDatabase, manifestOf, snapshot, withDatabase } from '../support/databases.ts';
import { mirrorAt, needEngines } from '../support/offsite.ts';
import { isThorough } from '../support/operations.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const noon = Date.parse('2026-03-10T12:00:00.000Z');
const iso = (time: number): string => new Date(time).toISOString();

/** A folder as rclone shows it. */
const rcloneStandIn = `#!/bin/sh
for last; do from=$to; to=$last; done
case "$1" in
version) echo 'rclone v1.60.1';;
lsjson) cd "$to" && find . -type f | {
    printf '['
    while read -r path; do
      size=$(wc -c < "$path")
      printf '%s{"Path":"%s","Name":"%s","Size":%d,"ModTime":"x"}' "$comma" "\${path#./}" "\${path##*/}" "$size"
      comma=,
    done
    printf ']'
  };;
copyto) mkdir -p "\${to%/*}" && cp "$from" "$to";;
copy) while [ "$1" != --files-from ]; do shift; done
  while read -r path; do mkdir -p "$to/\${path%/*}" && cp "$from/$path" "$to/$path"; done < "$2";;
cat) cat "$to";;
esac
`;

/** Only the time is faked. The real rclone runs with FAULTS=all. */
describe('off-machine copies and clocks that are wrong', () => {
  const folder = useTempFolder();
  const setClock = (now: number): void => mock.timers.setTime(now);

  beforeEach(() => mock.timers.enable({ apis: ['Date'], now: noon }));
  afterEach(() => mock.timers.reset());

  it('ask for a proof and for a send when the last one is old, of the future, or no time', () => {
    const cases: [at: string | undefined, proof: boolean, send: boolean][] = [
      [undefined, true, true],
      ['no time', true, true],
      [iso(noon + day), true, true],
      [iso(noon + 2 * minute), true, true],
      // Two clocks differ a little.
      [iso(noon + minute / 2), false, false],
      [iso(noon), false, false],
      [iso(noon - day + minute), false, false],
      [iso(noon - day), false, true],
      [iso(noon - 7 * day + minute), false, true],
      [iso(noon - 7 * day), true, true],
      [iso(0), true, true],
    ];
    for (const [at, proof, send] of cases)
      assert.deepEqual([isProofDue(at, noon), isSendDue(at, noon)], [proof, send], at);
    const times = [iso(noon - day), iso(noon + day), iso(noon - 2 * day)];
    assert.equal(lastOf(times, noon), iso(noon - day));
    assert.equal(lastOf([iso(noon + day)], noon), undefined);
  });

  it('count the newest of the past beside what is dated in the future', () => {
    const copy = (name: string, at: number, database?: string): Remote => ({
      ...{ id: name, name, createdAt: iso(at), sha256: name },
      ...(database !== undefined && { database }),
    });
    const [ahead, real, old] = [
      copy('ahead', noon + day, 'a'),
      copy('real', noon - hour, 'a'),
      copy('old', noon - day, 'a'),
    ];
    const other = copy('other', noon - 2 * day, 'b');
    const bundle = copy('bundle.zip', noon + day);
    assert.deepEqual(newestOfEachDatabase([ahead, bundle, real, old, other], noon), [
      ...[ahead, real, bundle, other],
    ]);
    assert.deepEqual(newestOfEachDatabase([real, old, other], noon), [real, other]);
  });

  describe('with rclone', () => {
    let destination: Destination;
    let database: string;

    before(function () {
      if (isThorough) needEngines(this, 'rclone');
    });

    beforeEach(() => {
      writeFileSync(folder('rclone'), rcloneStandIn, { mode: 0o755 });
      mkdirSync(folder('mirror'));
      destination = mirrorAt(folder('mirror'), {
        what: 'newest',
        // Each call of the real one takes a while.
        ...(!isThorough && { program: folder('rclone') }),
      });
      database = createDatabase(folder('app.db'), { rows: 50 });
    });

    const backUp = async (source = database, into = 'backups'): Promise<string> => {
      withDatabase(source, (db) => db.exec('UPDATE items SET payload = randomblob(20)'));
      const recordAs = { path: basename(source) };
      return (await snapshot(source, { folder: folder(into), recordAs })).path;
    };
    const send = (
      onProgress: Parameters<typeof sendOffsite>[1] = () => undefined,
      into = 'backups',
    ): Promise<Sent> => sendOffsite({ destination, folders: [folder(into)] }, onProgress);
    const namesOf = (all: readonly { path: string }[]): string[] =>
      all.map(({ path }) => basename(path)).sort();
    const dueNow = (): [boolean, string[]] => {
      const { isProofDue: isDue, waiting } = offsiteStatus({ destination });
      return [isDue, waiting];
    };

    it('send the backup that is newest in truth after a day ahead, and prove again what was proved ahead', async () => {
      const past = await backUp();
      setClock(noon + day);
      const ahead = await backUp();
      assert.deepEqual(namesOf((await send()).proved), namesOf([{ path: ahead }]));
      assert.deepEqual(dueNow(), [false, []]);

      setClock(noon + minute * 10);
      // The proof is of a time that has not come, and the backup before it is the newest of the past.
      assert.deepEqual(dueNow(), [true, [past]]);
      const real = await backUp();
      assert.equal(manifestOf(real).after, manifestOf(ahead).createdAt);
      assert.deepEqual(dueNow(), [true, [real]]);
      const { sent, proved, waiting } = await send();
      assert.deepEqual([namesOf(sent), waiting], [[basename(real)], []]);
      // The weekly sample was dated ahead too, so it is due.
      assert.ok(proved.length >= 2, namesOf(proved).join());
      assert.deepEqual(dueNow(), [false, []]);
      assert.ok(Date.parse(stateOf(destination).provedAt ?? '') <= Date.now());
      const [first] = await listOffsite({ destination });
      assert.equal(first?.name, basename(real));

      setClock(noon + 3 * day);
      assert.deepEqual((await send()).sent, []);
    });

    it('send what a clock a day behind has made, and nothing twice when it is set right', async () => {
      const before = await backUp();
      await send();
      setClock(noon - day);
      const behind = await backUp();
      const second = await send();
      assert.deepEqual(namesOf(second.sent), [basename(behind)]);
      assert.equal((await listOffsite({ destination }))[0]?.name, basename(behind));
      // Dated before the first one, and made after it.
      const last = await backUp();
      setClock(noon + hour);
      assert.deepEqual(namesOf((await send()).sent), [basename(last)]);
      const after = await send();
      assert.deepEqual([after.sent, after.already.length], [[], 1]);
      assert.ok(manifestOf(before).offsite?.[0]?.provedAt !== undefined);
    });

    it('keep send and proof apart when the clock goes back between them', async () => {
      const path = await backUp();
      const { sent, proved } = await send(({ phase }) => {
        if (phase === 'prove') setClock(noon - 2 * day);
      });
      assert.deepEqual([sent.length, proved.length], [1, 1]);
      const receipt = manifestOf(path).offsite?.[0];
      assert.deepEqual([receipt?.at, receipt?.provedAt], [iso(noon), iso(noon - 2 * day)]);
      assert.equal(dueNow()[0], false);
      const again = await send();
      assert.deepEqual([again.sent, again.already.length, again.waiting], [[], 1, []]);

      setClock(noon + hour);
      assert.deepEqual(dueNow(), [false, []]);
      const [check] = (await checkOffsite({ destination, reach: false })).slice(-1);
      assert.match(check?.text ?? '', /The last proof is 2 days old/);
      setClock(noon + 5 * day);
      assert.equal(dueNow()[0], true);
      const weekly = await send();
      assert.deepEqual([weekly.sent, namesOf(weekly.proved)], [[], [basename(path)]]);
      assert.equal(manifestOf(path).offsite?.[0]?.provedAt, iso(noon + 5 * day));
    });

    it('of two machines stay the newest of their own databases, whatever their clocks say', async () => {
      const other = createDatabase(folder('other.db'), { rows: 40 });
      await backUp();
      const ours = await backUp();
      await send();
      setClock(noon - day);
      const theirs = await backUp(other, 'theirs');
      assert.deepEqual(namesOf((await send(undefined, 'theirs')).sent), [basename(theirs)]);
      const listed = await listOffsite({ destination });
      assert.deepEqual(
        listed.map(({ name }) => name),
        [ours, theirs].map((path) => basename(path)),
      );
      const { proved } = await proveOffsite({ destination }, () => undefined);
      assert.deepEqual(proved.map(({ name }) => name).sort(), namesOf(listed.map(pathOf)));
      // For the machine behind, the proof of the other one is of the future: it proves again, and takes nothing away.
      remember(destination, { provedAt: iso(noon), sampledAt: iso(noon) });
      assert.equal(dueNow()[0], true);
      assert.deepEqual((await send(undefined, 'theirs')).failures, []);
      assert.equal(dueNow()[0], false);
    });

    const pathOf = ({ name }: Remote): { path: string } => ({ path: name });

    it('are told by Doctor: of the future, of today, of N days ago', async () => {
      const told = async (provedAt: string): Promise<string> => {
        mkdirSync(folder('backups'), { recursive: true });
        remember(destination, { provedAt });
        const [check] = (await checkOffsite({ destination, reach: false })).slice(-1);
        return `${check?.status} ${check?.text}`;
      };
      assert.match(await told(iso(noon + day)), /problem .*dated in the future/);
      assert.match(await told(iso(noon + minute / 2)), /ok The last proof is from today/);
      assert.match(await told(iso(noon - 2 * day)), /ok The last proof is 2 days old/);
      assert.match(await told(iso(noon - 9 * day)), /problem The last proof is 9 days old/);
    });
  });

  describe('with a stand-in for restic', () => {
    let destination: Destination;
    const repository = (): string => folder('server');

    /** `script` sees the arguments of restic, which are kept in `calls`. */
    function standIn(script: string): void {
      mkdirSync(repository(), { recursive: true });
      const program = folder('restic');
      const lines = [
        '#!/bin/sh',
        `cd "${repository()}"`,
        'echo "$*" >> ../calls',
        'case "$1" in version) echo "restic 0.14.0"; exit 0;; esac',
        script,
      ];
      writeFileSync(program, lines.join('\n'), { mode: 0o755 });
      destination = {
        ...{
          name: 'nas',
          engine: 'restic',
          repository: repository(),
          what: 'all',
          program,
        },
      } as Destination;
    }
    const calls = (): string[] => readFileSync(folder('calls'), 'utf8').trim().split('\n');
    const snapshotOf = (
      id: string,
      at: number,
      after?: number,
    ): { id: string; paths: string[]; tags: string[]; time: string } => ({
      ...{
        id: id.repeat(64),
        paths: [`/app_${id}.db`, `/app_${id}.db.json`],
        time: iso(at),
      },
      tags: [
        ...['sqlite-backup', `sha=${id.repeat(64)}`, `at=${iso(at)}`, 'size=5', 'db=app'],
        ...(after === undefined ? [] : [`after=${iso(after)}`]),
      ],
    });
    const access = (): { destination: Destination; secret: string } => ({
      destination,
      secret: 'x',
    });

    it('let a copy of the future take the place of none, and keep the newest in truth', async () => {
      const all = [
        snapshotOf('1', noon + 2 * day),
        snapshotOf('2', noon + day),
        snapshotOf('3', noon - hour),
        snapshotOf('4', noon - 2 * hour),
        snapshotOf('5', noon - 3 * hour),
        // Made last, by a clock that had gone back three days.
        snapshotOf('6', noon - 3 * day, noon - hour),
      ];
      standIn(`case "$1" in snapshots) cat all;; forget) cat plan;; esac`);
      writeFileSync(folder('server/all'), JSON.stringify(all.toReversed()));
      const keep = all.slice(0, 4);
      const reasons = keep.map((one) => ({
        snapshot: one,
        matches: ['last snapshot'],
      }));
      writeFileSync(
        folder('server/plan'),
        JSON.stringify([{ keep, remove: all.slice(4), reasons }]),
      );
      const plan = await planForgetting({
        ...access(),
        policy: { keepLast: 2 },
      });
      assert.match(calls().at(-1) ?? '', /^forget --json --dry-run .*--keep-last 4$/);
      assert.deepEqual(
        plan.keep.map(({ id, reasons: why }) => [id[0], why]),
        [
          ['1', ['dated in the future']],
          ['2', ['dated in the future']],
          ['6', ['newest copy']],
          ['3', ['backup 1 of the newest 2']],
          ['4', ['backup 2 of the newest 2']],
        ],
      );
      assert.deepEqual(
        plan.remove.map(({ id }) => id[0]),
        ['5'],
      );
      // Here the clock is behind: what is dated ahead of it has no rule to go by.
      setClock(noon - 10 * day);
      const behind = await planForgetting({
        ...access(),
        policy: { keepLast: 2 },
      });
      assert.deepEqual(behind.remove, []);
    });

    it('leave the lock of a run that goes on, although its time is long ago by this clock', async () => {
      const lock = (name: string, pid: number): string =>
        JSON.stringify({
          time: iso(noon - day),
          exclusive: true,
          hostname: name,
          pid,
        });
      standIn(`case "$1" in
  snapshots) [ -e lock ] && { echo "repository is already locked by PID 7 on x" >&2; exit 1; }; echo '[]';;
  list) echo ${'a'.repeat(64)};;
  cat) cat lock;;
  unlock) rm lock;;
esac`);
      for (const text of [lock('elsewhere', 2 ** 22 + 1), lock(hostname(), process.pid), 'none']) {
        writeFileSync(folder('server/lock'), text);
        await assert.rejects(
          listOffsite(access()),
          (error) => isBackupError(error) && error.facts?.['reason'] === 'locked',
        );
      }
      assert.ok(!calls().includes('unlock'));
      writeFileSync(folder('server/lock'), lock(hostname(), 2 ** 22 + 1));
      assert.deepEqual(await listOffsite(access()), []);
      assert.ok(calls().includes('unlock'));
    });
  });
});
