import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../src/core/manifest/manifest.ts';
import type { verifyBackup } from '../../src/core/verify/verifyBackup.ts';
import { bundleOf, bundleRequest } from '../support/bundles.ts';
import {
  createDatabase,
  requestFor,
  sha256,
  snapshot,
  withDatabase,
} from '../support/databases.ts';
import { operationsOn, itWhere } from '../support/operations.ts';
import { type Ended, endProcessesAfterEach, needProgram } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { strikeAll, tracedJob } from '../support/troubles.ts';

type Found = Awaited<ReturnType<typeof verifyBackup>>;

describe('trouble of the machine', function () {
  this.timeout(process.env['FAULTS'] === 'all' ? 3_600_000 : 300_000);
  endProcessesAfterEach();
  const folder = useTempFolder();

  before(function () {
    if (process.platform !== 'linux') this.skip(); // strace exists there only.
    needProgram('strace', 'strace');
  });

  const backups = (lane: number): string => folder(`lane${lane}`);

  const trace = (lane: number): string => folder(`trace${lane}`);

  const job = (lane: number, name: string, params: object, options: string[]): Promise<Ended> =>
    tracedJob(trace(lane), name, params, { options });

  const verifying: [what: string, make: () => Promise<string>, most: number][] = [
    [
      'a snapshot that is read where it is',
      async () => (await snapshot(createDatabase(folder('app.db')))).path,
      20,
    ],
    [
      'a snapshot of which a private copy is read',
      async () => {
        const { path } = await snapshot(createDatabase(folder('app.db')));
        writeFileSync(`${path}-wal`, '');
        return path;
      },
      12,
    ],
    [
      'a snapshot with a pointer map, without a collation of its application',
      async () => {
        const database = createDatabase(folder('app.db'), { pragmas: ['auto_vacuum = 2'] });
        withDatabase(database, (db) => {
          db.unsafeMode();
          db.pragma('writable_schema = on');
          db.exec(`UPDATE sqlite_schema SET sql = 'CREATE INDEX items_by_name ON items (name COLLATE app_order)'
            WHERE name = 'items_by_name'`);
        });
        return (await snapshot(database)).path;
      },
      12,
    ],
    ['a bundle', async () => (await bundleOf([createDatabase(folder('app.db'))])).path, 12],
  ];
  for (const [what, make, most] of verifying) {
    itWhere(most === 20 || what === 'a bundle')(`changes no verdict of ${what}`, async () => {
      const name = (await make()).slice(folder('backups').length + 1);
      const first = join(folder('backups'), name);
      const params = (lane: number): object => ({
        path: join(backups(lane), name),
        drill: true,
        folder: join(backups(lane), 'tmp'),
      });
      const prepare = (lane: number): void => {
        rmSync(backups(lane), { recursive: true, force: true });
        cpSync(folder('backups'), backups(lane), { recursive: true });
        mkdirSync(join(backups(lane), 'tmp'));
      };
      // With a drill in its manifest, which must stay as well.
      prepare(0);
      const { code, stdout } = await job(0, 'verifyJob.ts', params(0), []);
      assert.equal(code, 0, stdout);
      const { status, drill } = JSON.parse(stdout) as Found;
      const manifest = readFileSync(`${join(backups(0), name)}.json`, 'utf8');
      assert.equal(drill?.status, 'ok');
      writeFileSync(`${first}.json`, manifest);
      const before = { sha256: sha256(first), ...verdictIn(manifest) };
      const operations = operationsOn(backups(0), folder('trace0'), { threads: true });

      const strike = async (lane: number, options: string[]): Promise<string[]> => {
        prepare(lane);
        const ended = await job(lane, 'verifyJob.ts', params(lane), options);
        const path = join(backups(lane), name);
        const wrong: string[] = [];
        const after = { sha256: sha256(path), ...verdictIn(readFileSync(`${path}.json`, 'utf8')) };
        if (JSON.stringify(after) !== JSON.stringify(before))
          wrong.push(`another verdict: ${JSON.stringify(after)}`);
        // Node ends itself where it needs what was taken.
        if (ended.stdout === '') return wrong;
        const found = JSON.parse(ended.stdout) as Found;
        if (found.status !== status && found.status !== 'unchecked')
          wrong.push(`${found.status}: ${JSON.stringify(found.findings)}`);
        if (found.drill?.status === 'failed') wrong.push(JSON.stringify(found.drill.findings));
        return wrong;
      };
      await strikeAll({ most, operations, watched: backups, trace, strike });
    });
  }

  const backingUp: [
    what: string,
    watched: (lane: number) => string,
    most: number,
    program: 'job.ts' | 'bundleJob.ts',
  ][] = [
    ['its folder', (lane) => backups(lane), 40, 'job.ts'],
    ['its database', () => folder('app.db'), 20, 'job.ts'],
    ['its database, of a bundle,', () => folder('app.db'), 10, 'bundleJob.ts'],
  ];
  for (const [what, watched, most, program] of backingUp) {
    itWhere(what === 'its folder')(
      `in ${what} lets a backup fail or be published unchecked, and never calls it damaged`,
      async () => {
        const database = createDatabase(folder('app.db'));
        const request = (lane: number): object =>
          program === 'job.ts'
            ? requestFor(database, { folder: backups(lane) })
            : bundleRequest([database], { folder: backups(lane) });
        // The first backup gives the database its identity; the ones after it all do the same.
        for (const lane of [1, 0]) {
          mkdirSync(backups(lane));
          const { code, stdout } = await job(lane, program, request(lane), []);
          assert.equal(code, 0, stdout);
        }
        const operations = operationsOn(watched(0), folder('trace0'), { threads: true });
        const strike = async (lane: number, options: string[]): Promise<string[]> => {
          rmSync(backups(lane), { recursive: true, force: true });
          mkdirSync(backups(lane));
          const ended = await job(lane, program, request(lane), options);
          const names = readdirSync(backups(lane)).filter((name) => !name.startsWith('.'));
          if (names.some((name) => name.includes('.suspect'))) return ['a suspect'];
          const manifests = names.filter((name) => name.endsWith('.json'));
          // Node ends itself where it needs what was taken; when all is published by then, it must be good.
          const endedItself = ended.stdout === '' && manifests.length > 0;
          if (ended.code !== 0 && !endedItself) {
            const isCalledDamaged = ended.stdout.includes('"corrupt"');
            return isCalledDamaged || names.length > 0 ? [`${names.join()} ${ended.stdout}`] : [];
          }
          const [text = ''] = manifests.map((name) =>
            readFileSync(join(backups(lane), name), 'utf8'),
          );
          const { status, findings } = (JSON.parse(text) as Manifest).verdict;
          const isRight = status === 'ok' || (status === 'unchecked' && findings.length > 0);
          return isRight ? [] : [text];
        };
        await strikeAll({ most, operations, watched, trace, strike });
      },
    );
  }
});

/** Without the times at which it was recorded. */
function verdictIn(manifest: string): object {
  const { verdict, drill } = JSON.parse(manifest) as Manifest;
  return { verdict: [verdict.status, verdict.findings, verdict.outOfStep], drill: drill?.status };
}
