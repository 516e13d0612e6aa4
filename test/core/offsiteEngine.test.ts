import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { commandsByHand } from '../../src/core/offsite/byHand.ts';
import type { Destination } from '../../src/core/offsite/destination.ts';
import { fetchOffsite, listOffsite } from '../../src/core/offsite/fetch.ts';
import { type Sent, sendOffsite } from '../../src/core/offsite/send.ts';
import { updateManifest } from '../../src/core/manifest/manifestFile.ts';
import {
  createDatabase,
  manifestOf,
  sha256,
  snapshot,
  withDatabase,
} from '../support/databases.ts';
import { mirrorAt, needEngines } from '../support/offsite.ts';
import { itInPart } from '../support/operations.ts';
import { endProcessesAfterEach, run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const secret = 'typed-4711';
const quiet = (): void => undefined;

describe('the engine of off-machine copies', () => {
  const folder = useTempFolder();
  endProcessesAfterEach();

  it('gets the environment that it needs, the password by it alone, and no shell', async () => {
    const program = folder('restic');
    const script = `#!/bin/sh
env > "${folder('env')}"; printf '%s\\n' "$@" > "${folder('args')}"
case "$1" in version) echo "restic 0.14.0";; *) echo '[]';; esac
`;
    writeFileSync(program, script, { mode: 0o755 });
    const repository = `/x; touch "${folder('run')}" $(touch "${folder('run')}") *`;
    const destination = { name: 'nas', engine: 'restic', repository, program } as Destination;
    const foreign = ['GITHUB_TOKEN', 'NODE_OPTIONS', 'LD_PRELOAD_X', 'ELECTRON_RUN_AS_NODE'];
    const before = foreign.map((key) => [key, process.env[key]] as const);
    for (const key of foreign) process.env[key] = key === 'NODE_OPTIONS' ? '' : 'not for engines';
    process.env['AWS_REGION'] = 'eu-1';
    process.env['RESTIC_PASSWORD_COMMAND'] = 'echo another';
    try {
      assert.deepEqual(await listOffsite({ destination, secret }), []);
    } finally {
      for (const [key, value] of before)
        if (value === undefined) delete process.env[key];
        else process.env[key] = value;
      for (const key of ['AWS_REGION', 'RESTIC_PASSWORD_COMMAND']) delete process.env[key];
    }
    const env = new Map(
      readFileSync(folder('env'), 'utf8')
        .split('\n')
        .map((line) => line.split('=', 2) as [string, string]),
    );
    for (const key of foreign) assert.ok(!env.has(key), key);
    assert.equal(env.get('AWS_REGION'), 'eu-1');
    assert.equal(env.get('RESTIC_PASSWORD'), secret);
    assert.ok(!env.has('RESTIC_PASSWORD_COMMAND'));
    assert.equal(env.get('RESTIC_REPOSITORY'), repository);
    assert.ok(!readFileSync(folder('args'), 'utf8').includes(secret));
    assert.ok(!existsSync(folder('run')));
  });

  describe('that is rclone', () => {
    let destination: Destination;

    beforeEach(function () {
      needEngines(this, 'rclone');
      destination = mirrorAt(folder('mirror'));
    });

    const send = (
      what: Destination['what'],
      onProgress: Parameters<typeof sendOffsite>[1] = quiet,
    ): Promise<Sent> =>
      sendOffsite(
        { destination: { ...destination, what }, folders: [folder('backups')] },
        onProgress,
      );

    itInPart('carries names that bite, and so do the commands by hand', async () => {
      const names = ["# it's; a $(touch pwned) `touch pwned`.db", '-rf [x] {y} %41 ünï.db'];
      for (const name of names) {
        const made = createDatabase(folder(name), { rows: 5 });
        await snapshot(made, { folder: folder('backups'), recordAs: { path: name } });
      }
      const { proved, failures } = await send('all');
      assert.deepEqual([proved.length, failures], [2, []]);
      mkdirSync(folder('bare'));
      for (const copy of await listOffsite({ destination })) {
        const fetched = await fetchOffsite(
          { destination, id: copy.id, folder: folder('back') },
          quiet,
        );
        assert.equal(sha256(fetched.path), copy.sha256);
        const commands = commandsByHand(destination, copy).join('\n');
        const byHand = await run(['sh', '-euc', commands], { cwd: folder('bare') });
        assert.equal(byHand.code, 0, byHand.stderr);
        assert.equal(sha256(folder('bare/restored.db')), copy.sha256);
      }
      for (const where of ['', 'bare', 'back', 'mirror'])
        assert.ok(!readdirSync(folder(where)).includes('pwned'), where);
    });

    itInPart('gets the newest, the pinned or all, and tells how far it is', async () => {
      const database = createDatabase(folder('app.db'), { rows: 5 });
      const paths: string[] = [];
      for (let id = 1; id <= 3; id++) {
        withDatabase(database, (db) => db.exec(`DELETE FROM items WHERE id = ${id}`));
        paths.push((await snapshot(database, { folder: folder('backups') })).path);
      }
      const [first = '', second = '', third = ''] = paths;
      updateManifest(first, { pinned: true });
      const told: [string, number, number][] = [];
      const pinned = await send('pinned', ({ phase, doneBytes, totalBytes }) => {
        told.push([phase, doneBytes, totalBytes]);
      });
      assert.deepEqual(
        pinned.sent.map(({ path }) => path),
        [first],
      );
      const { sizeBytes } = manifestOf(first);
      assert.deepEqual(told.at(-1), ['prove', sizeBytes, sizeBytes]);
      assert.ok(told.every(([, done, total]) => done <= total && total === sizeBytes));
      assert.deepEqual(
        (await send('newest')).sent.map(({ path }) => path),
        [third],
      );
      const all = await send('all');
      assert.deepEqual(
        [all.sent.map(({ path }) => basename(path)), all.already.length],
        [[basename(second)], 2],
      );
    });
  });
});
