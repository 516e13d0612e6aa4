import assert from 'node:assert/strict';
import type { Comparison } from '../../src/core/compare/compare.ts';
import { type Compared, comparisonReport } from '../../src/editor/comparisonReport.ts';

const sides: readonly [Compared, Compared] = [
  {
    ...{ is: 'right', side: 'Backup', only: 'only backup', name: 'app.db · Today 13:45' },
    ...{ tables: 'Tables only in the backup:', schema: 'Schema only in the backup:' },
  },
  {
    ...{ is: 'left', side: 'Live', only: 'only live', name: 'data/app.db' },
    ...{ tables: 'Tables only in the live database:', schema: 'Schema only in the live database:' },
  },
];

function report(comparison: Partial<Comparison>): string {
  const whole: Comparison = {
    ...{ schema: { same: true, diff: '' }, tables: [], notCompared: [], damaged: [] },
    ...comparison,
  };
  return comparisonReport(whole, sides, {
    t: (message, ...values) =>
      message.replace(/\{(\d)\}/g, (_, index: string) => String(values[Number(index)])),
    count: (value) => value.toLocaleString('en'),
  });
}

describe('the report of a comparison', () => {
  const table = (name: string, onlyLeft: number, onlyRight: number, changed = 0) => ({
    ...{ name, onlyLeft, onlyRight, changed, compared: true },
  });

  it('has the backup first, then the live database, with the numbers of a person', () => {
    const text = report({ tables: [table('orders', 12345, 3, 1), table('items', 0, 0)] });
    assert.match(text, /^Backup: app\.db · Today 13:45\nLive: data\/app\.db\n/);
    assert.match(text, /^ +only backup +only live +changed$/m);
    assert.match(text, /^orders +3 +12,345 +1$/m);
    assert.match(text, /1 table differs, 1 hold the same rows\./);
  });

  it('lists the tables and the schema of one side in the same text', () => {
    const text = report({
      schema: { same: false, diff: '- CREATE TABLE new (x)\n+ CREATE TABLE old (\n+   y)' },
      tables: [{ ...table('new', 2, 0), only: 'left' }],
    });
    assert.match(text, /\nTables only in the live database:\n {2}new: 2 rows\n/);
    assert.match(
      text,
      /\nSchema only in the backup:\n {2}CREATE TABLE old \(\n {4}y\)\n\nSchema only in the live/,
    );
    assert.doesNotMatch(text, /Tables only in the backup/);
  });

  it('says first which side is damaged', () => {
    const lines = report({ damaged: ['right'], tables: [table('a', 0, 0)] }).split('\n');
    assert.equal(lines[3], 'Backup: damage was found. What could be read of it is compared.');
    assert.doesNotMatch(report({ tables: [table('a', 0, 0)] }), /damage/);
  });

  it('says nothing of differences where there are none', () => {
    const text = report({ tables: [table('a', 0, 0), table('b', 0, 0)] });
    assert.match(text, /2 tables have the same rows\.\n$/);
    assert.doesNotMatch(text, /differ/);
  });

  it('shows names from anywhere as one line without invisible characters', () => {
    const text = report({ tables: [table('a\u202eb\nc'.padEnd(300, 'x'), 1, 0)] });
    assert.doesNotMatch(text, /\u202e/);
    assert.match(text, /^a�b�cx+… +0 +1 +0$/m);
  });

  it('cuts a schema of thousands of statements', () => {
    const diff = Array.from({ length: 5000 }, (_, n) => `- CREATE TABLE t${n} (x)`).join('\n');
    assert.ok(report({ schema: { same: false, diff } }).split('\n').length < 250);
  });
});
