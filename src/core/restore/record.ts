/**
 * What a restore has set aside, as a small hidden file beside it: which files, how large, with which bytes. An undo puts
 * back only what is still that.
 */
import { existsSync, lstatSync, readFileSync, rmSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as v from 'valibot';
import { explain } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { writePrivateFile } from '../files/publish.ts';
import { syncFolder } from '../files/sync.ts';
import type { Finding } from '../manifest/manifest.ts';
import { type FileState, hasContent, parts, sizeOf } from './parts.ts';

const recordFormat = 1;
const longestBytes = 64 * 1024;
const recordSchema = v.object({
  format: v.literal(recordFormat),
  parts: v.array(
    v.object({
      part: v.picklist(parts),
      sizeBytes: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
      sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
    }),
  ),
  /** Programs had it open and went on writing, as the person had decided. */
  isHeld: v.exactOptional(v.boolean()),
});

function recordPath(setAside: string): string {
  return join(dirname(setAside), `.${basename(setAside)}.json`);
}

/** Of a complete set-aside. Reads all of it. */
export function writeRecord(
  kept: string,
  files: readonly FileState[],
  stage: string,
  { isHeld }: { isHeld: boolean },
): void {
  const path = recordPath(kept);
  const draft = join(stage, 'record.json');
  try {
    const value: v.InferInput<typeof recordSchema> = {
      format: recordFormat,
      parts: files.filter(counts).map(({ part, sha256 }) => ({
        part,
        sizeBytes: sizeOf(kept + part),
        sha256: sha256 ?? sha256File(kept + part),
      })),
      ...(isHeld && { isHeld }),
    };
    rmSync(draft, { force: true });
    writePrivateFile(draft, `${JSON.stringify(value, null, 2)}\n`);
    renameSync(draft, path);
    syncFolder(dirname(kept));
  } catch (error) {
    throw explain(error, 'target', path);
  }
}

/** The -shm holds nothing, and an empty -wal neither. */
function counts(file: FileState): boolean {
  return file.part === '' || hasContent(file);
}

export function dropRecord(setAside: string): void {
  rmSync(recordPath(setAside), { force: true });
}

/** True for what a restore of this version has set aside. */
export function hasRecord(setAside: string): boolean {
  return read(recordPath(setAside)) !== undefined;
}

/** In what a set-aside differs from what was set aside; empty when it is the same. Reads all of it. */
export function differencesFromRecord(setAside: string): Finding[] {
  const record = read(recordPath(setAside));
  if (record === undefined)
    return [
      {
        code: 'not-proved',
        message: `No record says what ${setAside} held when it was kept, so it cannot be compared.`,
      },
    ];
  const differing = record.parts.flatMap(({ part, sizeBytes, sha256 }): Finding[] => {
    const path = setAside + part;
    if (!existsSync(path))
      return [
        {
          code: 'part-missing',
          message: `${path} is missing. It was kept together with the database.`,
        },
      ];
    const isAsItWas = sizeOf(path) === sizeBytes && sha256File(path) === sha256;
    if (isAsItWas) return [];
    return [{ code: 'changed', message: `${path} has changed since it was kept.` }];
  });
  const known = new Set(record.parts.map(({ part }) => part));
  const added = (['-wal', '-journal'] as const)
    .filter((part) => !known.has(part) && sizeOf(setAside + part) > 0)
    .map((part) => ({
      code: 'changed',
      message: `${setAside + part} was not there when the database was kept.`,
    }));
  const all = [...differing, ...added];
  // Expected: a program that had it open has gone on with it.
  return record.isHeld === true && all.every(({ code }) => code === 'changed')
    ? all.map((one) => ({ ...one, code: 'written-since' }))
    : all;
}

function read(path: string): v.InferOutput<typeof recordSchema> | undefined {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() !== true || stats.size > longestBytes) return undefined;
    const result = v.safeParse(recordSchema, JSON.parse(readFileSync(path, 'utf8')));
    return result.success ? result.output : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw explain(error, 'source', path);
  }
}
