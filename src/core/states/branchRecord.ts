/** Of which branch the state of each database of a work tree is: remembered in the data folder, never in the repository. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { explain } from '../errors.ts';
import { makeDataFolder } from '../files/dataFolder.ts';
import { replacePrivateFile } from '../files/publish.ts';

const recordSchema = v.object({
  top: v.string(),
  /** The branch that the last look saw. */
  branch: v.string(),
  /** By path: those whose state is of another branch, because they could not be replaced. */
  others: v.record(v.string(), v.string()),
});
export type BranchRecord = v.InferOutput<typeof recordSchema>;

function pathFor(top: string): string {
  const hash = createHash('sha256').update(top).digest('hex').slice(0, 32);
  return join(makeDataFolder('branches'), `${hash}.json`);
}

/** Undefined before the first look, and when what is remembered is damaged. Throws when it cannot be read. */
export function readBranchRecord(top: string): BranchRecord | undefined {
  const path = pathFor(top);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    // A first look would take the databases for those of the branch that is checked out now.
    if (error instanceof Error && Reflect.get(error, 'code') !== 'ENOENT')
      throw explain(error, 'target', path);
    return undefined;
  }
  try {
    const read = v.safeParse(recordSchema, JSON.parse(text));
    return read.success && read.output.top === top ? read.output : undefined;
  } catch {
    return undefined;
  }
}

export function writeBranchRecord(record: BranchRecord): void {
  replacePrivateFile(pathFor(record.top), `${JSON.stringify(record)}\n`);
}
