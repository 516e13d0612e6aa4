import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { createDatabase, createLarge, requestFor, snapshot } from '../support/databases.ts';
import {
  endProcessesAfterEach,
  holdOpen,
  needProgram,
  root,
  run,
  fixture,
} from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

/** The locks of process `pid` on the file, as the kernel lists them: kind, first and last byte. */
function locksOf(pid: number, path: string): string[] {
  const { ino } = statSync(path);
  return readFileSync('/proc/locks', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => Number(fields[4]) === pid && fields[5]?.endsWith(`:${ino}`))
    .map((fields) => `${fields[3]} ${fields[6]} ${fields[7]}`);
}

describe('the locks of a snapshot job', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();
  before(function () {
    if (process.platform !== 'linux') this.skip(); // /proc and strace exist there only.
  });

  for (const journalMode of ['wal', 'delete'] as const) {
    it(`are there from the first page to the last (${journalMode})`, async () => {
      const database = createLarge(folder('app.db'), 25, journalMode);
      // Small enough for SQLite to copy it: the locks of a capture are looked at where it is tested.
      const locked = journalMode === 'wal' ? `${database}-shm` : database;
      if (journalMode === 'wal') await holdOpen(database, 'SELECT 1 FROM items');
      const samples: string[][] = [];
      // In this process, where nothing goes on until the sample is taken. What a process of its own tells comes later.
      await snapshot(
        database,
        {},
        {
          onProgress: ({ phase, doneBytes, totalBytes }) => {
            if (phase === 'copy' && doneBytes < totalBytes)
              samples.push(locksOf(process.pid, locked));
          },
        },
      );
      assert.ok(samples.length >= 2, `${samples.length} samples`);
      for (const sample of samples) {
        assert.deepEqual(sample, samples[0]);
        assert.ok(
          sample.some((lock) => lock.startsWith('READ')),
          sample.join(),
        );
      }
    });

    it(`cannot be dropped by a second descriptor: none is opened while SQLite has one (${journalMode})`, async () => {
      needProgram('strace', 'strace');
      const database = createDatabase(folder('app.db'), { journalMode });
      if (journalMode === 'wal')
        await holdOpen(database, 'PRAGMA wal_autocheckpoint = 0', 'DELETE FROM items');
      const trace = folder('trace');
      const request = JSON.stringify(requestFor(database));
      const { code, stderr } = await run(
        [
          'strace',
          '-f',
          '-y',
          '-o',
          trace,
          '-e',
          'trace=openat,open,close,fcntl',
          process.execPath,
          fixture('job.ts'),
          request,
        ],
        { cwd: root },
      );
      assert.equal(code, 0, stderr);
      // Each line names its file by descriptor; what counts is how many are open at once.
      const open = new Map<string, Set<string>>();
      let most = 0;
      for (const line of readFileSync(trace, 'utf8').split('\n')) {
        const opened = /open(?:at)?\(.* = (\d+)<(.*)>$/.exec(line);
        const closed = /close\((\d+)<(.*)>\)/.exec(line);
        const [, handle = '', path = ''] = opened ?? closed ?? [];
        if (path !== database) continue;
        const handles = open.get(path) ?? new Set();
        open.set(path, handles);
        if (opened) handles.add(handle);
        else handles.delete(handle);
        most = Math.max(most, handles.size);
      }
      assert.equal(most, 1, 'never two descriptors of the database at once');
    });
  }
});
