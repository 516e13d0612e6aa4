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

  const write = async (...straceOptions: string[]): Promise<Result & { syncs: number }> => {
    const program = [process.execPath, fixture('earlySyncJob.ts'), folder('copy.db')];
    const { code, stdout } = await run([...traced(folder('trace'), ...straceOptions), ...program]);
    assert.equal(code, 0, stdout);
    const syncs = readFileSync(folder('trace'), 'utf8').match(/ fdatasync\(\d+<.*copy\.db>/g);
    const result = JSON.parse(stdout) as Result;
    return { ...result, syncs: syncs?.length ?? 0 };
  };

  it('is brought in small pieces, each before the next is written', async () => {
    const { steps, failure, syncs } = await write('-e', 'inject=fdatasync:retval=0');
    assert.equal(failure, undefined);
    assert.equal(syncs, steps.length);
    assert.ok(steps.filter((step) => step === 128 * kilobyte).length > 10, String(steps));
  });

  it('is brought in larger ones, up to four megabytes, where a small one takes as long', async () => {
    const { steps, syncs } = await write('-e', 'inject=fdatasync:delay_enter=10000');
    assert.equal(syncs, steps.length);
    const wanted = [256, 512, 1024, 2048].map((step) => step * kilobyte);
    assert.deepEqual(steps.slice(0, 4), wanted);
  });

  it('stays with small ones where a small one is quick, although another one takes long', async () => {
    const { steps } = await write('-e', 'inject=fdatasync:delay_enter=12000:when=2+2');
    assert.deepEqual(new Set(steps.slice(0, -2)), new Set([128 * kilobyte]));
  });

  for (const when of [1, 3]) {
    it(`ends at piece ${when} when that did not reach the disk`, async () => {
      const { steps, ...failures } = await write('-e', `inject=fdatasync:error=EIO:when=${when}`);
      assert.deepEqual(failures, { failure: 'EIO', end: 'EIO', syncs: when });
      assert.equal(steps.length, when - 1);
    });
  }
});
