import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fixture, run } from './processes.ts';

/** The database that `pairWriter.ts` counts in. */
export const counterSql = 'CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)';

export interface TakenCut {
  label: string;
  reason?: string;
  numbers: number[];
}

/** Cuts in a process of its own, of another user if `prefix` says so. Copies go to a folder in `folder`. */
export async function takeCuts(
  folder: string,
  count: number,
  paths: string[],
  prefix: string[] = [],
): Promise<TakenCut[]> {
  const copies = join(folder, 'copies');
  mkdirSync(copies);
  chmodSync(copies, 0o777);
  chmodSync(folder, 0o755);
  const args = [fixture('cuts.ts'), String(count), copies, ...paths];
  const { code, stdout, stderr } = await run([...prefix, process.execPath, ...args]);
  assert.equal(code, 0, stderr);
  const lines = stdout.trim().split('\n');
  return lines.map((line) => JSON.parse(line) as TakenCut);
}

/** By how much the first, written first, is ahead of the last: 0 or 1 at any instant. */
export const aheadOf = ({ numbers }: TakenCut): number =>
  (numbers[0] ?? NaN) - (numbers.at(-1) ?? NaN);

export const isBroken = (ahead: number): boolean => ahead !== 0 && ahead !== 1;
