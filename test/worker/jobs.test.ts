import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Jobs } from '../../src/worker/jobs.ts';

describe('jobs', () => {
  const events: string[] = [];
  let running = 0;
  let most = 0;
  beforeEach(() => {
    events.length = running = most = 0;
  });

  const job =
    (name: string, ms = 5) =>
    async (): Promise<string> => {
      events.push(`${name} begins`);
      most = Math.max(most, ++running);
      await sleep(ms);
      running--;
      events.push(`${name} ends`);
      if (name.startsWith('bad')) throw new Error(name);
      return name;
    };

  it('on one database run one after another, in their order', async () => {
    const jobs = new Jobs(8);
    const results = await Promise.all(['1', '2', '3'].map((name) => jobs.run(['a'], job(name))));
    assert.deepEqual(results, ['1', '2', '3']);
    assert.deepEqual(
      events,
      ['1', '2', '3'].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
  });

  it('on different databases run side by side, up to the limit', async () => {
    const jobs = new Jobs(3);
    await Promise.all(Array.from('abcdefgh', (name) => jobs.run([name], job(name))));
    assert.equal(most, 3);
    assert.equal(events.length, 16);
  });

  it('on several databases wait for each of them, and others for them', async () => {
    const jobs = new Jobs(8);
    await Promise.all([
      jobs.run(['a'], job('a', 20)),
      jobs.run(['b'], job('b', 5)),
      jobs.run(['a', 'b'], job('both')),
      jobs.run(['b'], job('b again')),
      jobs.run(['c'], job('c')),
    ]);
    const at = (event: string): number => events.indexOf(event);
    assert.ok(at('both begins') > at('a ends') && at('both begins') > at('b ends'));
    assert.ok(at('b again begins') > at('both ends'));
    assert.ok(at('c begins') < at('a ends'));
  });

  it('that fail keep nobody waiting, neither on the same database nor for room', async () => {
    const jobs = new Jobs(1);
    const outcomes = await Promise.allSettled([
      jobs.run(['a'], job('bad 1')),
      jobs.run(['a'], job('2')),
      jobs.run(['b'], job('bad 3')),
      jobs.run(['b'], job('4')),
    ]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'fulfilled', 'rejected', 'fulfilled'],
    );
  });

  it('that throw at once keep nobody waiting', async () => {
    const jobs = new Jobs(1);
    const thrower = (): Promise<void> => {
      throw new Error('at once');
    };
    await assert.rejects(jobs.run(['a'], thrower), /at once/);
    assert.equal(await jobs.run(['a'], job('2')), '2');
  });

  it('that wait for a database do not take the room of those that could run', async () => {
    const jobs = new Jobs(2);
    const slow = [
      jobs.run(['a'], job('a', 50)),
      jobs.run(['a'], job('a again')),
      jobs.run(['a'], job('a once more')),
    ];
    await jobs.run(['b'], job('b'));
    assert.ok(!events.includes('a ends'), events.join());
    await Promise.all(slow);
  });

  it('with the same name twice, or none, or no room at all, run', async () => {
    const jobs = new Jobs(0);
    assert.equal(await jobs.run(['a', 'a'], job('1')), '1');
    assert.equal(await jobs.run([], job('2')), '2');
    assert.equal(most, 1);
  });
});
