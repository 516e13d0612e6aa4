import assert from 'node:assert/strict';
import { newRun, stepsOf } from '../../src/runbook/run.ts';
import { RememberedRuns } from '../../src/runbook/rememberedRuns.ts';
import { Story } from '../support/runbookStory.ts';

const remembering = (value: unknown): RememberedRuns =>
  new RememberedRuns({
    get: <T>() => value as T | undefined,
    update: (_key, one) => Promise.resolve(void (value = JSON.parse(JSON.stringify(one)))),
  });

const run = newRun('r1', '/b/app.db', [{ live: '/d/app.db', chosen: true }], new Date(0));

describe('the restores that are remembered', () => {
  it('come back as they were', async () => {
    const moved = {
      id: 'x',
      intent: '/d/.sqlite-backup-restore-x.json',
      items: [{ target: '/d/app.db', realTarget: '/d/app.db', setAside: '/d/app.db.bad-x' }],
    };
    const full = {
      ...run,
      ...{ destination: 'live' as const, moved, isCopying: true, putBack: ['/d/x'] },
      ...{ accepted: [7], programs: ['node'], ticked: ['check-0'], besides: ['/d/y'] },
      done: { plan: { at: run.startedAt, how: 'done' as const } },
      log: [{ step: 'plan' as const, at: run.startedAt, text: 'proved' }],
      alsoKept: [{ path: '/d/app.db.bad-x', target: '/d/app.db' }],
      ending: 'kept' as const,
    };
    const remembered = remembering(undefined);
    await remembered.save(full);
    assert.deepEqual(remembered.all, [full]);
  });

  it('are those that are any, whatever is in the storage', async () => {
    for (const junk of [null, 7, 'text', [], [null], { a: null, b: 7, c: {}, d: { id: 'r2' } }]) {
      const remembered = remembering(junk);
      assert.deepEqual(remembered.all, [], JSON.stringify(junk));
      assert.deepEqual(remembered.unfinished, []);
      await remembered.save(run);
      assert.deepEqual(remembered.all, [run]);
    }
  });

  it('keep what can be used of an older or a forged one, and can be shown', () => {
    const bare = { id: 'r2', backup: '/b/app.db', items: [{ live: '/d/app.db' }] };
    const wrong = Object.fromEntries(
      [
        ...['destination', 'besides', 'startedAt', 'planned', 'done', 'log', 'moved', 'isCopying'],
        ...['restored', 'alsoKept', 'putBack', 'accepted', 'programs', 'ticked', 'ending'],
      ].map((key) => [key, [null, { nothing: 'of the kind' }]]),
    );
    const forged = JSON.parse(
      '{"__proto__": {"ending": "kept"}, "done": {"__proto__": {"plan": 1}, "copy": 7}}',
    ) as object;
    const isoButNoDate = { startedAt: '9999-99-99T99:99:99Z' };
    for (const change of [{}, wrong, forged, isoButNoDate, { destination: 'live', planned: {} }]) {
      const [found] = remembering({ r2: { ...bare, ...change } }).all;
      assert.ok(found !== undefined, JSON.stringify(change));
      assert.ok(stepsOf(found).length > 0);
      assert.equal(found.ending, undefined);
      const story = new Story(found);
      assert.equal(story.state.runbook, 'r2');
      assert.equal(story.now, 'plan current');
    }
  });
});
