import assert from 'node:assert/strict';
import type { RestorePlan, TableChange } from '../../src/core/restore/plan.ts';
import { renderMarkdown } from '../../src/core/runbook/runbook.ts';
import { rememberedPlan } from '../../src/runbook/rememberedPlan.ts';

const t = (message: string, ...values: (string | number)[]): string =>
  message.replace(/\{(\d)\}/g, (_, index: string) => String(values[Number(index)]));

function planOf(tables: TableChange[]): RestorePlan {
  return {
    ...{ backup: '/b/app.db', kind: 'snapshot', createdAt: '2026-11-21T13:45:02.000Z' },
    ...{ sizeBytes: 4096, verified: 'ok', findings: [] },
    items: [
      {
        ...{ target: '/d/app.db', realTarget: '/d/app.db', targetExists: true, siblings: [] },
        ...{ targetState: 'readable', targetSizeBytes: 4096, liveState: '' },
        ...{ holders: [], holdersKnown: 'all', tables, notCompared: [] },
        schema: { same: false, diff: '- '.repeat(100_000) },
        migrations: { backup: [], live: [], verdict: 'same', words: 'No migrations.' },
        source: {
          ...{ sizeBytes: 4096, journalMode: 'wal' },
          tables: tables.map(({ name }) => ({ name, rows: 7 })),
        },
      },
    ],
  };
}

const tables = (count: number, lost: number, name = 'table'): TableChange[] =>
  Array.from({ length: count }, (_, n) => ({
    ...{ name: `${name} ${n}`, lost, gained: 0, changed: 0, compared: true },
  }));

const exported = (plan: RestorePlan): string =>
  renderMarkdown(plan, { now: new Date('2026-11-21T13:50:00Z') });

describe('a plan that is remembered', () => {
  it('tells in an exported runbook what the whole plan tells', () => {
    const plan = planOf([...tables(3, 2), ...tables(3, 0, 'same')]);
    assert.equal(exported(rememberedPlan(plan, t)), exported(plan));
  });

  for (const [what, all] of [
    ['many tables', tables(20_000, 2)],
    ['many tables that stay the same', tables(20_000, 0)],
    ['endless names', tables(150, 2, 'x'.repeat(50_000))],
  ] as const) {
    it(`is small although there are ${what}, and its numbers are those of all`, () => {
      const plan = planOf([...all]);
      const small = rememberedPlan(plan, t);
      assert.ok(JSON.stringify(small).length < 200_000);
      const lost = small.items[0]?.tables.reduce((sum, one) => sum + one.lost, 0);
      assert.equal(lost, all.length * (all[0]?.lost ?? 0));
      assert.equal(/more tables: \d+ rows lost/.test(exported(small)), lost !== 0);
    });
  }
});
