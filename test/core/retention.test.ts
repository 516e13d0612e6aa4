import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Candidate } from '../../src/core/catalog/candidate.ts';
import {
  keepRules,
  planRetention,
  type Policy,
  requirePolicy,
} from '../../src/core/catalog/retention.ts';
import { inLineage } from '../../src/core/manifest/lineage.ts';
import { openLosses } from '../../src/core/manifest/loss.ts';
import type { RecordedLoss } from '../../src/core/manifest/manifest.ts';

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
      [
        ['newest good backup', 'backup 1 of the newest 1', 'day 1 of the newest 2'],
        ['day 2 of the newest 2'],
      ],
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

  it('lets no good one go while a damaged one stays, and damaged ones go after a good one', () => {
    const bad = { verified: 'damaged' } as const;
    const backups = [backup(hour, bad), backup(day), backup(2 * day), backup(3 * day, bad)];
    const { keep, remove } = plan(backups, { keepLast: 1 });
    assert.deepEqual(
      keep.map(({ path, reasons }) => [path, reasons]),
      [
        [`/b/${hour}.db`, ['damaged, with no newer good backup']],
        [
          `/b/${day}.db`,
          ['newest good backup', 'backup 1 of the newest 1', 'a damaged backup is still kept'],
        ],
        [`/b/${2 * day}.db`, ['a damaged backup is still kept']],
      ],
    );
    assert.deepEqual(
      remove.map(({ path, reasons }) => [path, reasons]),
      [[`/b/${3 * day}.db`, ['damaged']]],
    );
    // With the next good one, all is as ever.
    assert.deepEqual(kept([backup(0), ...backups], { keepLast: 1 }), ['0']);
  });

  it('keeps of the copies of a damaged database the first and the newest', () => {
    const suspect = (age: number): Candidate =>
      backup(age, { verified: 'damaged', path: `/b/${age}.db.suspect` });
    const suspects = [1, 2, 3, 4].map((n) => suspect(n * hour));
    const { keep, remove } = plan([...suspects, backup(day)], { keepLast: 3 });
    assert.deepEqual(
      keep.map(({ path }) => path),
      [`/b/${hour}.db.suspect`, `/b/${4 * hour}.db.suspect`, `/b/${day}.db`],
    );
    assert.equal(remove.length, 2);
    // Without any other backup, too.
    assert.equal(plan(suspects, { keepLast: 3 }).keep.length, 2);
    // Backups that have become damaged may each hold what the others lost.
    const rotten = [1, 2, 3].map((n) => backup(n * hour, { verified: 'damaged' }));
    assert.equal(plan([...rotten, backup(day)], { keepLast: 3 }).keep.length, 4);
  });

  it('prefers a proved backup to a newer one that nobody has checked', () => {
    const backups = [backup(hour, { verified: 'unchecked' }), backup(day), backup(2 * day)];
    assert.deepEqual(kept(backups, { keepLast: 1 }), [hour, day].map(String));
  });

  it('keeps what could not be checked beside the newest good one, and neither takes the place of the other', () => {
    const backups = [
      backup(hour, { verified: 'unchecked' }),
      backup(2 * hour, { verified: 'partial' }),
      backup(3 * hour, { verified: 'unchecked' }),
      backup(day),
      backup(2 * day),
    ];
    assert.deepEqual(kept(backups, { maxTotalSize: 1 }), [hour, 2 * hour, day].map(String));
  });

  it('keeps pinned ones, files of others, and what is dated in the future, which takes the place of no other', () => {
    const backups = [
      backup(-day),
      backup(hour),
      backup(day, { pinned: true }),
      backup(2 * day, { foreign: true }),
      backup(3 * day),
    ];
    for (const policy of [{ keepLast: 1 }, { keepDaily: 1, maxTotalSize: 200 }]) {
      assert.deepEqual(
        plan(backups, policy).remove.map(({ path }) => path),
        [`/b/${3 * day}.db`],
      );
    }
  });

  it('keeps what is dated in 1970, or at a time that there is not, and the good ones beside it', () => {
    const backups = [
      backup(hour),
      backup(0, { path: '/b/1970.db', createdAt: '1970-01-01T00:00:00Z' }),
      backup(0, { path: '/b/never.db', createdAt: '2026-13-45T00:00:00Z' }),
    ];
    assert.deepEqual(kept(backups, { keepLast: 1 }), ['never', String(hour)]);
    assert.deepEqual(kept(backups, { keepHourly: 9 }), ['never', String(hour), '1970']);
  });

  it('goes by the order in which backups were made when the clock went back between them', () => {
    const before = backup(hour);
    const after = backup(3 * hour, { after: before.createdAt });
    const next = backup(2 * hour, { after: before.createdAt });
    assert.deepEqual(kept([before, after], { keepLast: 1 }), [String(3 * hour)]);
    assert.deepEqual(kept([before, after, next], { keepLast: 1 }), [String(2 * hour)]);
    // Without knowing that, it would be the first one.
    assert.deepEqual(kept([before, backup(3 * hour)], { keepLast: 1 }), [String(hour)]);
  });

  it('keeps what cannot be read now, and the last good one before it: it may tell of a loss', () => {
    const nothing = {
      group: undefined,
      foreign: true,
      unreadable: true,
      verified: 'unchecked',
    } as const;
    const all = [0, 1, 2, 3, 4].map((n) => backup(n * hour, { databases: ['app.db'] }));
    const unreadable = backup(1.5 * hour, nothing);
    assert.deepEqual(kept([...all, unreadable], { keepLast: 1 }), [
      '0',
      String(2 * hour),
      String(1.5 * hour),
    ]);
    // Its name tells only the second, so all of that second stay.
    const atOnce = [...all, backup(1.5 * hour - 1, { databases: ['app.db'] }), unreadable];
    assert.equal(kept(atOnce, { keepLast: 1 }).length, 4);
    // A damaged one is not good, and what is dated in the future protects only itself.
    const damaged = all.map((one, n) => (n === 2 ? { ...one, verified: 'damaged' as const } : one));
    assert.ok(kept([...damaged, unreadable], { keepLast: 1 }).includes(String(3 * hour)));
    const ahead = backup(-hour, nothing);
    assert.deepEqual(kept([...all, ahead], { keepLast: 1 }), ['0', String(-hour)]);
  });

  it('keeps every backup whose database is not known for certain', () => {
    const unknown = { group: undefined };
    const backups = [backup(hour), backup(day, unknown), backup(2 * day, unknown), backup(3 * day)];
    const { keep } = plan(backups, { keepLast: 1, maxTotalSize: 1 });
    assert.deepEqual(
      keep.map(({ path }) => path),
      [`/b/${hour}.db`, `/b/${day}.db`, `/b/${2 * day}.db`],
    );
    assert.ok(keep[1]?.reasons.includes('its database is uncertain'));
  });

  describe('after a loss of rows', () => {
    const ofApp = { databases: ['app'] };
    const timeOfAge = (age: number): string => new Date(now.getTime() - age).toISOString();
    const loss = (since: number, at: number, table = 'users'): RecordedLoss => ({
      ...{ database: 'app', table, before: 5000, now: 0 },
      ...{ since: timeOfAge(since), at: timeOfAge(at) },
    });
    const released = [{ database: 'app', table: 'USERS' }];

    it('keeps the backup before it, also over the total size, until the table is released', () => {
      const tells = { ...ofApp, losses: [loss(4 * hour, 3 * hour)] };
      const backups = [
        backup(hour, tells),
        backup(2 * hour, tells),
        backup(3 * hour, tells),
        backup(4 * hour, ofApp),
        backup(5 * hour, ofApp),
      ];
      for (const policy of [{ keepLast: 1 }, { maxTotalSize: 1 }]) {
        const { keep } = plan(backups, policy);
        assert.deepEqual(
          keep.map(({ path }) => path),
          [`/b/${hour}.db`, `/b/${4 * hour}.db`],
        );
        assert.ok(keep[1]?.reasons.includes('last backup before rows of users were lost'));
        for (const index of [0, 1, 2]) {
          const some = backups.map((one, n) => (n === index ? { ...one, released } : one));
          assert.deepEqual(kept(some, policy), [String(hour)]);
        }
      }
    });

    it('keeps the newest one that tells of it, as well', () => {
      const backups = [
        backup(hour, ofApp),
        backup(2 * hour, { ...ofApp, losses: [loss(3 * hour, 2 * hour)] }),
        backup(3 * hour, ofApp),
      ];
      assert.deepEqual(kept(backups, { keepLast: 1 }), [hour, 2 * hour, 3 * hour].map(String));
    });

    it('keeps only the backup before the newest loss of each table', () => {
      const backups = [
        backup(hour, {
          ...ofApp,
          losses: [loss(2 * hour, hour), loss(5 * hour, 4 * hour, 'posts')],
        }),
        backup(2 * hour, ofApp),
        backup(3 * hour, { ...ofApp, losses: [loss(4 * hour, 3 * hour)] }),
        backup(4 * hour, { ...ofApp, losses: [loss(5 * hour, 4 * hour, 'posts')] }),
        backup(5 * hour, ofApp),
      ];
      assert.deepEqual(kept(backups, { keepLast: 1 }), [hour, 2 * hour, 5 * hour].map(String));
    });

    it('keeps an older one where the one before is missing or damaged, and a bundle where it is in that', () => {
      const tells = { ...ofApp, losses: [loss(3 * hour, 2 * hour)] };
      const damaged = { ...ofApp, verified: 'damaged' } as const;
      const older = backup(4 * hour, ofApp);
      const oldest = backup(5 * hour, ofApp);
      assert.deepEqual(
        kept([backup(hour, tells), backup(3 * hour, damaged), older, oldest], { keepLast: 1 }),
        [hour, 4 * hour].map(String),
      );
      const bundles = { group: 'bundle', databases: ['other', 'app'] };
      assert.deepEqual(
        kept([backup(hour, tells), backup(2 * hour, bundles), backup(3 * hour, bundles), older], {
          keepLast: 1,
        }),
        [hour, 2 * hour, 3 * hour].map(String),
      );
    });
  });

  it('lets damaged ones go first when all together are too large, but never the last that there is', () => {
    const bad = { verified: 'damaged' } as const;
    const some = [
      backup(hour, bad),
      backup(2 * hour),
      backup(day, bad),
      backup(2 * day),
      backup(3 * day, bad),
    ];
    assert.deepEqual(kept(some, { maxTotalSize: 350 }), [hour, 2 * hour, 2 * day].map(String));
    assert.deepEqual(kept(some, { maxTotalSize: 250 }), [2 * hour, 2 * day].map(String));
    assert.deepEqual(kept(some, { maxTotalSize: 1 }), [String(2 * hour)]);
    assert.deepEqual(kept([backup(hour, bad), backup(day, bad)], { maxTotalSize: 1 }), [
      String(hour),
    ]);
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

  for (const zone of [
    'UTC',
    'Asia/Kolkata',
    'Asia/Kathmandu',
    'America/St_Johns',
    'Australia/Lord_Howe',
  ]) {
    it(`reaches back a day with 24 hourly ones in ${zone}`, () => {
      const quarters = Array.from({ length: 200 }, (_, n) => backup((n * hour) / 4));
      const { keep } = planRetention(quarters, { keepHourly: 24 }, now, zone);
      assert.equal(keep.length, 24);
      const oldest = quarters.find(({ path }) => path === keep.at(-1)?.path);
      const reachMs = now.getTime() - Date.parse(oldest?.createdAt ?? '');
      assert.ok(reachMs > 22 * hour && reachMs <= 24 * hour, `${reachMs / hour} h`);
    });
  }

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
    // Every quarter of an hour of some weeks: several backups are of the same one, and formats are made once.
    const instant = fc
      .integer({ min: -23 * 96, max: 3 * 96 })
      .map((quarters) => new Date(now.getTime() + (quarters * hour) / 4).toISOString());
    const candidate: fc.Arbitrary<Candidate> = fc.record({
      path: fc
        .tuple(fc.nat(), fc.constantFrom('.db', '.db.suspect'))
        .map(([number, extension]) => `/b/${number}${extension}`),
      group: fc.oneof({ arbitrary: fc.constantFrom('a', 'b'), weight: 9 }, fc.constant(undefined)),
      createdAt: fc.oneof(
        { arbitrary: instant, weight: 20 },
        fc.constantFrom('1970-01-01T00:00:00Z', '2099-01-01T00:00:00Z', '2026-13-45T00:00:00Z'),
      ),
      after: fc.option(instant, { nil: undefined, freq: 9 }),
      sizeBytes: fc.integer({ min: 0, max: 1000 }),
      verified: fc.constantFrom('ok', 'ok', 'damaged', 'partial', 'unchecked'),
      pinned: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      foreign: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    });
    const tables = fc.record({
      database: fc.constantFrom('a', 'b'),
      table: fc.constantFrom('users', 'queue', 'Queue'),
    });
    const loss: fc.Arbitrary<RecordedLoss> = fc
      .tuple(tables, fc.record({ before: fc.constant(5000), since: instant, at: instant }))
      .map(([table, times]) => ({ ...table, ...times }));
    const told = fc
      .tuple(
        candidate,
        fc.array(loss, { maxLength: 1 }),
        fc.array(tables, { maxLength: 1 }),
        fc.integer({ min: 0, max: 5 }),
      )
      .map(([one, losses, released, n]): Candidate => ({
        ...one,
        databases: one.group === undefined ? [] : [one.group],
        losses: n < 3 ? losses : [],
        released: n === 0 ? released : [],
      }));
    const backups = fc.uniqueArray(told, { maxLength: 12, selector: ({ path }) => path });
    const policies = fc.record(
      Object.fromEntries([
        ...keepRules.map((rule) => [rule, fc.integer({ min: 1, max: 5 })]),
        ['maxTotalSize', fc.integer({ min: 1, max: 5000 })],
      ]) as Record<string, fc.Arbitrary<number>>,
      { requiredKeys: [] },
    );

    const isAhead = ({ createdAt }: Candidate): boolean =>
      !(Date.parse(createdAt) <= now.getTime());
    /** The backups about which a rule may decide. */
    const isDecided = (one: Candidate): boolean =>
      one.group !== undefined && !one.foreign && !isAhead(one);

    interface Outcome {
      all: Candidate[];
      stays: Candidate[];
      goes: Candidate[];
      policy: Policy;
    }
    const sentences: Record<string, (outcome: Outcome) => void> = {
      'each backup either stays or goes': ({ all, stays, goes }) =>
        assert.equal(stays.length + goes.length, all.length),
      'no good one goes while a damaged one of its database stays, unless that is pinned': ({
        stays,
        goes,
      }) => {
        for (const { group, verified } of goes) {
          if (verified === 'damaged') continue;
          const damaged = stays.filter(
            (one) =>
              one.group === group && one.verified === 'damaged' && isDecided(one) && !one.pinned,
          );
          assert.deepEqual(damaged, []);
        }
      },
      'the newest good one of every database stays': ({ all, stays }) => {
        for (const some of Map.groupBy(all.filter(isDecided), ({ group }) => group).values()) {
          const newest = inLineage(some).find(({ verified }) => verified === 'ok');
          assert.ok(newest === undefined || stays.includes(newest));
        }
      },
      'the newest one that is not known to be damaged stays, too': ({ all, stays }) => {
        for (const some of Map.groupBy(all.filter(isDecided), ({ group }) => group).values()) {
          const newest = inLineage(some).find(({ verified }) => verified !== 'damaged');
          assert.ok(newest === undefined || stays.includes(newest));
        }
      },
      'of every database that has a backup, one stays': ({ all, stays }) => {
        for (const { group } of all.filter(isDecided))
          assert.ok(stays.some((one) => one.group === group));
      },
      'what is pinned, of others, of a database that is not known, or of the future stays': ({
        goes,
      }) => {
        for (const one of goes) assert.ok(!one.pinned && isDecided(one));
      },
      'the last one before a loss stays until that is released': ({ all, stays }) => {
        const past = inLineage(all.filter((one) => isDecided(one) && one.verified !== 'damaged'));
        const isOwn = (one: Candidate, { database }: { database: string }): boolean =>
          one.group === database;
        const open = openLosses(
          past.flatMap((one) => (one.losses ?? []).filter((loss) => isOwn(one, loss))),
          past.flatMap((one) => (one.released ?? []).filter((table) => isOwn(one, table))),
        );
        for (const { database, since } of open) {
          const before = past.filter(
            ({ group, createdAt }) =>
              group === database && Date.parse(createdAt) <= Date.parse(since),
          );
          const exact = before.find(({ createdAt }) => Date.parse(createdAt) === Date.parse(since));
          const last = exact ?? before[0];
          assert.ok(last === undefined || stays.includes(last));
        }
      },
      'what is lost is no reason to remove anything': ({ all, goes, policy }) => {
        const silent = all.map((one) => ({ ...one, losses: [], released: [] }));
        const alsoGoes = new Set(pathsOf(plan(silent, policy).remove));
        if (policy.maxTotalSize === undefined)
          assert.ok(goes.every(({ path }) => alsoGoes.has(path)));
      },
      'the future protects only itself': ({ all, goes, policy }) => {
        const past = all.filter((one) => !isAhead(one));
        assert.deepEqual(pathsOf(plan(past, policy).remove), pathsOf(goes));
      },
      'databases do not concern each other': ({ all, goes, policy }) => {
        for (const [group, some] of Map.groupBy(all, (one) => one.group)) {
          const ofGroup = goes.filter((one) => one.group === group);
          assert.deepEqual(pathsOf(plan(some, policy).remove), pathsOf(ofGroup));
        }
      },
      'two damaged copies of a damaged database are enough': ({ stays, policy }) => {
        if (!keepRules.some((rule) => policy[rule] !== undefined)) return;
        const suspects = stays.filter(
          (one) => one.path.endsWith('.suspect') && one.verified === 'damaged',
        );
        const decided = suspects.filter((one) => isDecided(one) && !one.pinned);
        for (const some of Map.groupBy(decided, ({ group }) => group).values())
          assert.ok(some.length <= 2);
      },
      'a plan that was carried out has nothing left to do': ({ stays, policy }) =>
        assert.deepEqual(plan(stays, policy).remove, []),
    };

    it('these sentences hold', function () {
      this.timeout(120_000);
      fc.assert(
        fc.property(backups, policies, (all, policy) => {
          const { keep, remove } = plan(all, policy);
          const byPath = new Map(all.map((one) => [one.path, one]));
          const found = (some: { path: string }[]): Candidate[] =>
            some.flatMap(({ path }) => byPath.get(path) ?? []);
          const outcome = { all, policy, stays: found(keep), goes: found(remove) };
          for (const [sentence, holds] of Object.entries(sentences)) {
            try {
              holds(outcome);
            } catch (error) {
              throw new Error(`It is not true that ${sentence}.`, { cause: error });
            }
          }
        }),
        // All of them take as long as hundreds of other tests.
        { numRuns: process.env['FAULTS'] === 'all' ? 20_000 : 800, seed: 11 },
      );
    });
  });
});

function pathsOf(some: { path: string }[]): string[] {
  return some.map(({ path }) => path).sort();
}
