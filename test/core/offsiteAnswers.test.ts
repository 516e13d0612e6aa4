import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isBackupError, toPlainError } from '../../src/core/errors.ts';
import type { Destination } from '../../src/core/offsite/destination.ts';
import { fetchOffsite, listOffsite } from '../../src/core/offsite/fetch.ts';
import { planForgetting } from '../../src/core/offsite/forget.ts';
import { sendOffsite } from '../../src/core/offsite/send.ts';
import { createDatabase, manifestOf, snapshot } from '../support/databases.ts';
import { itWhere } from '../support/operations.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const quiet = (): void => undefined;

/** What an engine might say that is not what it documents: another version, a wrapper, a page of a proxy. */
const rubbish = [
  '',
  'Warning: your cache is old',
  '<html><body>503</body></html>',
  '[{"id": "1"',
  '{"answer": [1, 2]}',
  '[{"id": 7, "paths": "/a", "Path": 1}]',
  '[1, "two", null]',
  '"text"',
  '\u001b[31mred\u001b[0m \u202e.txt\u0007',
  'x'.repeat(5000),
];

describe('an engine that answers something else', () => {
  const folder = useTempFolder();
  let backup: string;
  let destination: Destination;

  beforeEach(async () => {
    mkdirSync(folder('bin'));
    backup = (await snapshot(createDatabase(folder('app.db'), { rows: 3 }))).path;
  });

  /** `snapshots`, `forget`, `backup`, `ls`, `lsjson` print the files of that name. */
  function standIn(engine: 'restic' | 'rclone', answers: Readonly<Record<string, string>>): void {
    const program = folder(engine);
    const version = engine === 'restic' ? 'restic 0.14.0' : 'rclone v1.60.1';
    for (const [name, text] of Object.entries(answers)) writeFileSync(folder(`bin/${name}`), text);
    const dump = 'dump) echo "path not found in snapshot" >&2; exit 1;;';
    const script = `#!/bin/sh\ncase "$1" in version) echo "${version}";; ${dump} *) cat "${folder('bin')}/$1";; esac\n`;
    writeFileSync(program, script, { mode: 0o755 });
    destination = {
      ...{ name: 'nas', engine, repository: folder('server'), what: 'all', program },
    } as Destination;
  }

  const access = (): { destination: Destination; secret: string } => ({ destination, secret: 'x' });
  const send = (): Promise<unknown> =>
    sendOffsite({ ...access(), folders: [folder('backups')] }, quiet);
  const there = (): string => {
    const { sha256, createdAt, sizeBytes } = manifestOf(backup);
    const tags = ['sqlite-backup', `sha=${sha256}`, `at=${createdAt}`, `size=${sizeBytes}`, 'db=a'];
    const paths = [`/${basename(backup)}`, `/${basename(backup)}.json`];
    return JSON.stringify([{ id: 'a'.repeat(64), paths, tags, time: createdAt }]);
  };

  async function refuses(action: () => Promise<unknown>, engine: string, said: string) {
    await assert.rejects(action, (error) => {
      const { message, hint = '' } = toPlainError(error);
      assert.ok(isBackupError(error), `${said}: ${String(error)}`);
      assert.equal(error.facts?.['reason'], 'not-understood', `${said}: ${message}`);
      const words = `${engine} answered something for nas that SQLite Backup does not understand: `;
      assert.ok(message.startsWith(words), message);
      assert.ok(message.length < words.length + 130, message);
      assert.doesNotMatch(message, /[\p{Cc}\p{Bidi_Control}]|Unexpected token|Invalid type/u);
      assert.match(hint, /says nothing about the copies.* version/s);
      return true;
    });
  }

  for (const [engine, call] of [
    ['restic', 'snapshots'],
    ['rclone', 'lsjson'],
  ] as const)
    itWhere(engine === 'rclone')(
      `is told with the beginning of it: ${engine} ${call}`,
      async () => {
        for (const said of rubbish) {
          standIn(engine, { [call]: said });
          await refuses(() => listOffsite(access()), engine, said);
          await refuses(send, engine, said);
        }
        assert.equal(manifestOf(backup).offsite, undefined);
      },
    );

  it('is told when restic plans what it would let go', async () => {
    const kept = '[{"keep": [{"id": "1"}], "remove": [], "reasons": []}]';
    for (const said of [...rubbish, kept, '[{"keep": [], "reasons": []}]']) {
      standIn('restic', { snapshots: there(), forget: said });
      const plan = (): Promise<unknown> => planForgetting({ ...access(), policy: { keepLast: 1 } });
      await refuses(plan, 'restic', said);
    }
  });

  it('that names no copy to remove lets none go', async () => {
    for (const said of ['[]', 'null', '[{"keep": null, "remove": null, "reasons": null}]']) {
      standIn('restic', { snapshots: there(), forget: said });
      const { keep, remove } = await planForgetting({ ...access(), policy: { keepLast: 1 } });
      assert.deepEqual([keep.length, remove], [1, []]);
      assert.deepEqual(keep[0]?.reasons, ['newest copy', 'restic does not list it for removal']);
    }
  });

  it('is told when a backup is sent, which then counts as not sent', async () => {
    for (const said of [...rubbish, '{"message_type":"summary"}', '{"message_type":"status"}']) {
      standIn('restic', { snapshots: '[]', backup: said });
      await refuses(send, 'restic', said);
      assert.equal(manifestOf(backup).offsite, undefined, said);
    }
  });

  it('is told when a copy is fetched whose place has to be asked for', async () => {
    for (const said of rubbish.filter((one) => one !== '' && !one.startsWith('{'))) {
      standIn('restic', { snapshots: there(), ls: said });
      const fetch = (): Promise<unknown> =>
        fetchOffsite({ ...access(), id: 'aaaa', folder: folder('back') }, quiet);
      await refuses(fetch, 'restic', said);
    }
  });

  it('is understood with fields that are new, and with lines of other kinds between', async () => {
    const more = there().replace('"time"', '"new": {"x": [1]}, "time"');
    const line = (type: string): string =>
      `{"message_type":"${type}","snapshot_id":"${'b'.repeat(64)}"}`;
    standIn('restic', {
      snapshots: more,
      backup: ['warming up', line('new-kind'), line('summary'), 'bye'].join('\n'),
    });
    const [copy] = await listOffsite(access());
    assert.equal(copy?.sha256, manifestOf(backup).sha256);
  });
});
