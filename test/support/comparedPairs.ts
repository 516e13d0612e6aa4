import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { compareDatabases, type TableDifference } from '../../src/core/compare/compare.ts';
import { expectedOf, mirrored } from './comparisonModel.ts';
import { makeSide, type PlannedPair, planPair, sqlOf } from './randomPairs.ts';

/** Compares a random pair both ways round. */
export function checkRandomPair(seed: number, folder: (name: string) => string): void {
  const [left, right] = [folder(`${seed}-left.db`), folder(`${seed}-right.db`)];
  const pair = planPair(seed);
  makeSide(left, pair.left);
  makeSide(right, pair.right);
  const found = (from: string, to: string): TableDifference[] =>
    compareDatabases(from, to, () => undefined).tables.map((table) => ({
      ...table,
      name: table.name.toLowerCase(),
    }));
  const expected = expectedOf(pair, left, right);
  const hint = `seed ${seed}\n${describePair(pair)}\n`;
  assert.deepEqual(found(left, right), expected, hint);
  assert.deepEqual(found(right, left), mirrored(expected), `${hint} swapped`);
  rmSync(left);
  rmSync(right);
}

function describePair({ left, right }: PlannedPair): string {
  return [left, right]
    .map(({ encoding, tables }) => `${encoding}\n${tables.map(([plan]) => sqlOf(plan)).join('\n')}`)
    .join('\n\n');
}
