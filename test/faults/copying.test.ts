import assert from 'node:assert/strict';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { randomBytes } from 'node:crypto';
import { copyInSteps } from '../../src/core/files/copying.ts';
import { stepBytes } from '../../src/core/files/earlySync.ts';
import { traced } from '../support/operations.ts';
import { endProcessesAfterEach, fixture, needProgram, run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const ext4 = 0xef53;
const megabyte = 1024 * 1024;
const odd = 5 * megabyte + 777;

describe('a copy beside a program that commits', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();

  /** `paces` in turns: whether programs commit at each step. */
  const copied = async (
    bytes: Buffer,
    paces: readonly boolean[],
    bytesAtOnce?: number,
  ): Promise<Buffer> => {
    writeFileSync(folder('from'), bytes);
    rmSync(folder('to'), { force: true });
    const from = openSync(folder('from'), 'r');
    let steps = 0;
    const onStep = (): { gently: boolean } => ({ gently: paces[steps++ % paces.length] ?? true });
    try {
      assert.equal(await copyInSteps(from, folder('to'), onStep, bytesAtOnce), bytes.length);
    } finally {
      closeSync(from);
    }
    return readFileSync(folder('to'));
  };

  it('has all bytes, whatever the size, the pieces and the pace', async () => {
    for (const size of [0, 1, 4095, 4096, 4097, odd])
      for (const paces of [[true], [false, true], [true, false]])
        for (const atOnce of [undefined, 5000, 65_536]) {
          const bytes = randomBytes(size);
          const what = `${size} bytes, ${paces.join()}, ${atOnce}`;
          assert.ok((await copied(bytes, paces, atOnce)).equals(bytes), what);
        }
  });

  it('is synced once for each piece where the system takes all through its cache', async function () {
    if (process.platform !== 'linux') this.skip(); // Nor is there strace.
    needProgram('strace', 'strace');
    const shared = mkdtempSync('/dev/shm/sqlite-backup-copying-');
    try {
      writeFileSync(folder('from'), randomBytes(odd));
      const program = [process.execPath, fixture('copyJob.ts'), folder('from'), `${shared}/to`];
      const { code, stdout } = await run([...traced(folder('trace')), ...program]);
      assert.equal(code, 0, stdout);
      const syncs = readFileSync(folder('trace'), 'utf8').match(/ fdatasync\(/g)?.length ?? 0;
      assert.ok(syncs <= Math.ceil(odd / (megabyte / 8)), String(syncs));
      assert.ok(readFileSync(folder('from')).equals(readFileSync(`${shared}/to`)));
    } finally {
      rmSync(shared, { recursive: true });
    }
  });

  describe('on ext4', () => {
    before(function () {
      if (process.platform !== 'linux' || statfsSync(tmpdir()).type !== ext4) this.skip();
      needProgram('strace', 'strace');
    });

    const copy = async (
      straceOptions: string[] = [],
      quietSteps = 0,
    ): Promise<{ doneBytes?: number; failure?: string; calls: string }> => {
      writeFileSync(folder('from'), randomBytes(quietSteps * stepBytes + odd));
      const program = [process.execPath, fixture('copyJob.ts'), folder('from'), folder('to')];
      program.push(String(quietSteps));
      const traces = traced(folder('trace'), ...straceOptions);
      const { code, stdout } = await run([...traces, ...program]);
      assert.equal(code, 0, stdout);
      const { doneBytes, failure } = JSON.parse(stdout) as { doneBytes?: number; failure?: string };
      const calls = readFileSync(folder('trace'), 'utf8');
      return { ...(doneBytes !== undefined && { doneBytes }), ...(failure && { failure }), calls };
    };
    const isWhole = (): boolean => readFileSync(folder('from')).equals(readFileSync(folder('to')));

    for (const quietSteps of [0, 1])
      it(`goes past the cache of the system, after a sync of what ${quietSteps} quiet steps left there`, async () => {
        const { doneBytes, calls } = await copy([], quietSteps);
        assert.equal(doneBytes, quietSteps * stepBytes + odd);
        assert.match(calls, /open\w*\(.*\/to".*O_DIRECT/);
        assert.equal(calls.match(/ fdatasync\(/g)?.length ?? 0, quietSteps);
        assert.ok(isWhole());
      });

    it('goes through the cache where the disk refuses the other way', async () => {
      const { doneBytes, calls } = await copy(['-e', 'inject=pwrite64:error=EINVAL:when=1']);
      assert.equal(doneBytes, odd);
      assert.ok((calls.match(/ fdatasync\(/g)?.length ?? 0) > 5); // As small pieces.
      assert.ok(isWhole());
    });

    for (const error of ['EIO', 'ENOSPC'])
      it(`ends with ${error} of the disk`, async () => {
        const { failure } = await copy(['-e', `inject=pwrite64:error=${error}:when=3`]);
        assert.equal(failure, error);
      });
  });
});
