import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Candidate,
  keepRules,
  planRetention,
  type Policy,
  requirePolicy,
} from '../../src/core/catalog/retention.ts';

const now = new Date('2026-11-21T12:00:00Z');
const hour = 3_600_000;
const day = 24 * hour;

/** A backup made `ageMs` before now, called by its age. */
function backup(ageMs: number, changes: Partial<Candidate> = {}): Candidate {
  const createdAt = new Date(now.getTime() - ageMs).toISOString();
  return {
    path: `/b/${ageMs}.db`,
    group: 'app.db',
    createdAt,
    sizeBytes: 100,
    verified: 'ok',
    pinned: false,
    foreign: false,
    ...changes,
  };
}

const plan = (backups: Candidate[], policy: Policy): ReturnType<typeof planRetention> =>
  planRetention(backups, policy, now, 'UTC');

const kept = (backups: Candidate[], policy: Policy): string[] =>
  plan(backups, policy).keep.map(({ path }) => path.slice(3, -3));

describe('a retention policy', () => {
  it('with a number that is none, or below 1, is refused by the name of the rule', () => {
    for (const value of [0, -1, NaN, Infinity, 1.5]) {
      assert.throws(() => requirePolicy({ keepLast: value }), /keepLast/);
    }
    assert.throws(() => requirePolicy({ maxTotalSize: 0 }), /maxTotalSize/);
    assert.deepEqual(requirePolicy({ keepDaily: 1 }), { keepDaily: 1 });
  });
});

describe('retention', () => {
  const days = [0.1, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => backup(n * day));

  it('keeps everything without a rule', () => {
    const { keep, remove } = plan(days, {});
    assert.equal(keep.length, days.length);
    assert.deepEqual(remove, []);
  });

  for (const [what, backups, policy, expected] of [
    ['the last ones', days, { keepLast: 2 }, [0.1 * day, day]],
    [
      'the last one of each day',
      [backup(hour), backup(2 * hour), backup(day), backup(day + hour)],
      { keepDaily: 2 },
      [hour, day],
    ],
    [
      'the last one of each hour',
      [backup(0.1 * hour), backup(0.2 * hour), backup(1.2 * hour)],
      { keepHourly: 9 },
      [0.1 * hour, 1.2 * hour],
    ],
    [
      // 2026-11-21 is a Saturday; the Sunday before belongs to the week before.
      'the last one of each ISO week',
      [backup(day), backup(5 * day), backup(6 * day)],
      { keepWeekly: 9 },
      [day, 6 * day],
    ],
    [
      'the last one of each month and year',
      [backup(day), backup(30 * day), backup(400 * day)],
      { keepMonthly: 1, keepYearly: 2 },
      [day, 400 * day],
    ],
  ] as [string, Candidate[], Policy, number[]][]) {
    it(`keeps ${what}`, () => {
      assert.deepEqual(kept(backups, policy), expected.map(String));
    });
  }

  it('says why each one stays or goes', () => {
    const { keep, remove } = plan([backup(hour), backup(day), backup(2 * day)], {
      keepLast: 1,
      keepDaily: 2,
    });
    assert.deepEqual(
      keep.map(({ reasons }) => reasons),
      [['the newest good one', 'last 1 of 1', 'daily 1 of 2'], ['daily 2 of 2']],
    );
    assert.deepEqual(
      remove.map(({ reasons }) => reasons),
      [['no rule keeps it']],
    );
  });

  it('treats each database for itself', () => {
    const other = { group: 'other.db' };
    const backups = [
      backup(hour),
      backup(2 * hour),
      backup(3 * hour, other),
      backup(4 * hour, other),
    ];
    assert.deepEqual(kept(backups, { keepLast: 1 }), [hour, 3 * hour].map(String));
  });

  it('never lets damaged ones push out the last good one, and lets them go after it', () => {
    const bad = { verified: 'damaged' } as const;
    const backups = [
      backup(hour, bad),
      backup(2 * hour, bad),
      backup(day),
      backup(2 * day),
      backup(3 * day, bad),
    ];
    const { keep, remove } = plan(backups, { keepLast: 1 });
    assert.deepEqual(
      keep.map(({ path }) => path),
      [`/b/${hour}.db`, `/b/${2 * hour}.db`, `/b/${day}.db`],
    );
    assert.deepEqual(
      remove.map(({ reasons }) => reasons),
      [['no rule keeps it'], ['damaged']],
    );
  });

  it('prefers a proved backup to a newer one that nobody has checked', () => {
    const backups = [backup(hour, { verified: 'unchecked' }), backup(day), backup(2 * day)];
    assert.deepEqual(kept(backups, { keepLast: 1 }), [hour, day].map(String));
  });

  it('keeps pinned ones, files of others, and what is dated in the future', () => {
    const backups = [
      backup(-day),
      backup(hour),
      backup(day, { pinned: true }),
      backup(2 * day, { foreign: true }),
      backup(3 * day),
    ];
    const { remove } = plan(backups, { keepLast: 1 });
    assert.deepEqual(
      remove.map(({ path }) => path),
      [`/b/${hour}.db`, `/b/${3 * day}.db`],
    );
  });

  it('lets the oldest go when all together are too large, and never what is protected', () => {
    const backups = [backup(hour), backup(day), backup(2 * day), backup(3 * day, { pinned: true })];
    assert.deepEqual(
      kept(backups, { keepLast: 9, maxTotalSize: 250 }),
      [hour, 3 * day].map(String),
    );
    assert.deepEqual(kept(backups, { maxTotalSize: 1 }), [hour, 3 * day].map(String));
  });

  it('knows days by the time zone, also when daylight saving ends', () => {
    // 00:30 and 23:30 UTC of one day are two days in Berlin.
    const backups = [
      backup(0, { createdAt: '2026-10-24T23:30:00Z', path: '/b/late.db' }),
      backup(0, { createdAt: '2026-10-24T00:30:00Z', path: '/b/early.db' }),
    ];
    const inZone = (zone: string): number =>
      planRetention(backups, { keepDaily: 5 }, now, zone).keep.length;
    assert.equal(inZone('UTC'), 1);
    assert.equal(inZone('Europe/Berlin'), 2);
    // 02:30 happens twice in this night: two hours, not one.
    const twice = [
      backup(0, { createdAt: '2026-10-25T00:30:00Z', path: '/b/first.db' }),
      backup(0, { createdAt: '2026-10-25T01:30:00Z', path: '/b/second.db' }),
    ];
    assert.equal(planRetention(twice, { keepHourly: 5 }, now, 'Europe/Berlin').keep.length, 2);
  });

  it('orders backups of the same second by their numbers', () => {
    const createdAt = '2026-11-21T11:00:00.000Z';
    const names = [
      '/b/a_20261121_110000Z.db',
      '/b/a_20261121_110000Z-2.db',
      '/b/a_20261121_110000Z-10.db',
    ];
    const backups = names.map((path) => backup(0, { path, createdAt }));
    const { keep } = planRetention(backups, { keepLast: 1 }, now, 'UTC');
    assert.deepEqual(
      keep.map(({ path }) => path),
      ['/b/a_20261121_110000Z-10.db'],
    );
  });

  describe('whatever there is and whatever the rules', () => {
    const candidate = fc.record({
      path: fc.uuid().map((id) => `/b/${id}.db`),
      group: fc.constantFrom('a', 'b'),
      createdAt: fc
        .date({ min: new Date('2020-01-01'), max: new Date('2027-01-01'), noInvalidDate: true })
        .map((date) => date.toISOString()),
      sizeBytes: fc.integer({ min: 0, max: 1000 }),
      verified: fc.constantFrom(
        'ok' as const,
        'damaged' as const,
        'partial' as const,
        'unchecked' as const,
      ),
      pinned: fc.boolean(),
      foreign: fc.boolean(),
    });
    const backups = fc.uniqueArray(candidate, { maxLength: 40, selector: ({ path }) => path });
    const policies = fc.record(
      Object.fromEntries([
        ...keepRules.map((rule) => [rule, fc.integer({ min: 1, max: 5 })]),
        ['maxTotalSize', fc.integer({ min: 1, max: 5000 })],
      ]) as Record<string, fc.Arbitrary<number>>,
      { requiredKeys: [] },
    );

    it('no database is left without a good backup that had one', () => {
      fc.assert(
        fc.property(backups, policies, (some, policy) => {
          const stays = new Set(plan(some, policy).keep.map(({ path }) => path));
          for (const group of ['a', 'b']) {
            const good = some.filter(
              (one) => one.group === group && !one.foreign && one.verified === 'ok',
            );
            assert.ok(good.length === 0 || good.some(({ path }) => stays.has(path)));
          }
        }),
      );
    });

    it('each backup is decided once, and nothing protected goes', () => {
      fc.assert(
        fc.property(backups, policies, (some, policy) => {
          const { keep, remove } = plan(some, policy);
          assert.equal(keep.length + remove.length, some.length);
          const goes = new Set(remove.map(({ path }) => path));
          for (const { path, pinned, foreign } of some)
            assert.ok(!goes.has(path) || (!pinned && !foreign));
        }),
      );
    });

    it('a plan that was carried out has nothing left to do', () => {
      fc.assert(
        fc.property(backups, policies, (some, policy) => {
          const stays = new Set(plan(some, policy).keep.map(({ path }) => path));
          const again = plan(
            some.filter(({ path }) => stays.has(path)),
            policy,
          );
          assert.deepEqual(again.remove, []);
        }),
      );
    });
  });
});
