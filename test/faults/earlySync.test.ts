import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { traced } from '../support/operations.ts';
import { endProcessesAfterEach, fixture, needProgram, run } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const kilobyte = 1024;

interface Result {
  steps: number[];
  failure?: string;
  end?: string;
}

describe('a copy that is brought to the disk beside a program that commits', function () {
  endProcessesAfterEach();
  const folder = useTempFolder();

  before(function () {
    if (process.platform !== 'linux') this.skip(); // strace exists there only.
    needProgram('strace', 'strace');
  });

  /** The disk takes its own time, unless syncs are to seem to take `ms`, in turns. */
  const write = async (
    ms: number[],
    ...straceOptions: string[]
  ): Promise<Result & { syncs: number }> => {
    const program = [process.execPath, fixture('earlySyncJob.ts'), folder('copy.db')];
    if (ms.length > 0) program.push(ms.join());
    const { code, stdout } = await run([...traced(folder('trace'), ...straceOptions), ...program]);
    assert.equal(code, 0, stdout);
    const syncs = readFileSync(folder('trace'), 'utf8').match(/ fdatasync\(\d+<.*copy\.db>/g);
    const result = JSON.parse(stdout) as Result;
    return { ...result, syncs: syncs?.length ?? 0 };
  };
  const kilobytes = (steps: number[]): number[] => steps.map((step) => step / kilobyte);

  it('is brought in small pieces, each before the next is written', async () => {
    const { steps, failure, syncs } = await write([1]);
    assert.equal(failure, undefined);
    assert.equal(syncs, steps.length);
    assert.deepEqual(new Set(kilobytes(steps.slice(0, -2))), new Set([128]));
  });

  it('is brought in larger ones, up to four megabytes, where a small one takes as long', async () => {
    const { steps, syncs } = await write([10]);
    assert.equal(syncs, steps.length);
    assert.deepEqual(kilobytes(steps.slice(0, 5)), [256, 512, 1024, 2048, 4096]);
  });

  it('goes back to smaller ones where a large one takes longer', async () => {
    const { steps } = await write([10, 10, 10, 30, 10]);
    assert.deepEqual(kilobytes(steps.slice(0, 5)), [256, 512, 1024, 512, 1024]);
  });

  it('stays with small ones where one was quick, although another one takes long', async () => {
    const { steps } = await write([1, 12]);
    assert.deepEqual(new Set(kilobytes(steps.slice(0, -2))), new Set([128]));
  });

  it('goes back to small ones where a larger one is quick, since then the disk is', async () => {
    const { steps } = await write([12, 1, 12]);
    assert.deepEqual(kilobytes(steps.slice(0, 5)), [256, 128, 128, 128, 128]);
  });

  for (const when of [1, 3]) {
    it(`ends at piece ${when} when that did not reach the disk`, async () => {
      const { steps, ...failures } = await write(
        [],
        '-e',
        `inject=fdatasync:error=EIO:when=${when}`,
      );
      assert.deepEqual(failures, { failure: 'EIO', end: 'EIO', syncs: when });
      assert.equal(steps.length, when - 1);
    });
  }
});
