/** restic: encrypted, deduplicated, on many kinds of storage. */
import { hostname } from 'node:os';
import * as v from 'valibot';
import { keepRules } from '../catalog/retention.ts';
import { isBackupError } from '../errors.ts';
import { databaseIdOf } from './receipts.ts';
import type { Driver, Parcel, Remote } from './driver.ts';
import { type Engine, type EngineRun, runEngine } from './engine.ts';
import { trouble } from './trouble.ts';

const tag = 'sqlite-backup';
const oldest = [0, 14] as const;
/** Since then a lock can be waited for. */
const waitsForLocks = [0, 16] as const;

const snapshotsSchema = v.nullable(
  v.array(
    v.object({
      id: v.string(),
      paths: v.array(v.string()),
      hostname: v.optional(v.string()),
      tags: v.nullish(v.array(v.string())),
    }),
  ),
);
const keptSchema = v.object({
  id: v.optional(v.string()),
  time: v.string(),
  paths: v.array(v.string()),
});
const forgetSchema = v.nullable(
  v.array(
    v.object({
      keep: v.nullish(v.array(v.object({ ...keptSchema.entries, id: v.string() }))),
      reasons: v.nullish(v.array(v.object({ snapshot: keptSchema, matches: v.array(v.string()) }))),
    }),
  ),
);
const nodeSchema = v.object({ name: v.string(), path: v.string(), type: v.literal('file') });
const lineSchema = v.object({
  message_type: v.string(),
  bytes_done: v.optional(v.number()),
  snapshot_id: v.optional(v.string()),
});

export async function resticDriver(engine: Engine): Promise<Driver> {
  const where = { name: engine.destination.name, engine: 'restic' };
  const text = await runEngine(engine, { args: ['version'] });
  const version = /^restic v?(\d+\.\d+(?:\.\d+)?)/m.exec(text)?.[1];
  if (version === undefined || !isAtLeast(version, oldest))
    throw trouble('too-old', where, `${version ?? text.slice(0, 80)}, not ${oldest.join('.')}`);
  const always = isAtLeast(version, waitsForLocks) ? ['--retry-lock', '2m'] : [];
  const run = async (
    args: readonly string[],
    options: Omit<EngineRun, 'args'> = {},
  ): Promise<string> => {
    const full = { ...options, args: [...args.slice(0, 1), ...always, ...args.slice(1)] };
    try {
      return await runEngine(engine, full);
    } catch (error) {
      if (!isBackupError(error) || error.facts?.['reason'] !== 'locked') throw error;
      // Removes only locks whose process is gone.
      await runEngine(engine, { args: ['unlock'] });
      return runEngine(engine, full);
    }
  };

  return {
    version,
    async exists() {
      try {
        await runEngine(engine, { args: ['cat', 'config'] });
        return true;
      } catch (error) {
        if (isBackupError(error) && error.facts?.['reason'] === 'no-repository') return false;
        throw error;
      }
    },
    create: async () =>
      void (await runEngine(engine, { args: ['init', '--repository-version', '2'] })),
    async list() {
      const parsed = v.parse(
        snapshotsSchema,
        JSON.parse(await run(['snapshots', '--json', '--tag', tag])),
      );
      return (parsed ?? []).flatMap((one) => remoteOf(one) ?? []).reverse();
    },
    async send(parcel, onProgress) {
      let id: string | undefined;
      let last = 0;
      const { folder, name } = parcel;
      await run(['backup', ...describing(parcel), '--', name, `${name}.json`], {
        cwd: folder,
        onLine(line) {
          const parsed = v.safeParse(lineSchema, parseJson(line));
          if (!parsed.success) return false;
          const { message_type: kind, snapshot_id: snapshot, bytes_done: done = 0 } = parsed.output;
          if (kind === 'summary') id = snapshot;
          if (done <= last) return false;
          onProgress((last = done));
          return true;
        },
      });
      if (id === undefined) throw trouble('failed', where, 'it named no snapshot');
      return id;
    },
    async read(remote, which, onData) {
      const wanted = which === 'backup' ? remote.name : `${remote.name}.json`;
      let hasBegun = false;
      try {
        // Where `send` puts it. Each run of restic opens the repository anew, which takes a second or more.
        const args = ['dump', remote.id, `/${wanted}`];
        return void (await run(args, {
          onData: (chunk) => void ((hasBegun = true), onData(chunk)),
        }));
      } catch (error) {
        const said =
          isBackupError(error) && error.cause instanceof Error ? error.cause.message : '';
        if (hasBegun || !/not found in snapshot/i.test(said)) throw error;
      }
      const listing = await run(['ls', '--json', remote.id]);
      // Another program may have sent it from another folder: the snapshot itself is asked.
      const node = listing
        .split('\n')
        .map((line) => v.safeParse(nodeSchema, parseJson(line)))
        .find((one) => one.success && one.output.name === wanted);
      if (node?.success !== true) throw trouble('not-there', where, wanted);
      await run(['dump', remote.id, node.output.path], { onData });
    },
    async forgetPlan(database, policy) {
      const rules = keepRules.flatMap((rule) =>
        policy[rule] === undefined ? [] : [optionOf(rule), String(policy[rule])],
      );
      const which = ['--tag', `${tag},db=${database}`, '--group-by', ''];
      const json = await run(['forget', '--json', '--dry-run', ...which, ...rules]);
      const groups = v.parse(forgetSchema, JSON.parse(json)) ?? [];
      return new Map(groups.flatMap(({ keep, reasons }) => whyKept(keep ?? [], reasons ?? [])));
    },
    forget: async (ids) => void (await run(['forget', '--prune', ...ids])),
  };
}

/** `keepLast` as restic has it: `--keep-last`. */
function optionOf(rule: string): string {
  return `--${rule.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

type Kept = v.InferOutput<typeof keptSchema>;

/** Older versions of restic give a reason without an id. What has no reason is kept all the same. */
function whyKept(
  keep: readonly (Kept & { id: string })[],
  reasons: readonly { snapshot: Kept; matches: string[] }[],
): [string, string[]][] {
  const keyOf = ({ time, paths }: Kept): string => [time, ...paths].join('\0');
  return keep.map((one) => {
    const found = reasons.find(({ snapshot }) =>
      snapshot.id === undefined ? keyOf(snapshot) === keyOf(one) : snapshot.id === one.id,
    );
    return [one.id, found?.matches ?? ['kept by restic']];
  });
}

function describing({ manifest }: Parcel): string[] {
  const id = databaseIdOf(manifest);
  const tags = [
    tag,
    `sha=${manifest.sha256}`,
    `at=${manifest.createdAt}`,
    `size=${manifest.sizeBytes}`,
  ];
  if (id !== undefined && !id.includes(',')) tags.push(`db=${id}`);
  return [
    '--json',
    ...['--host', hostname() || 'unknown'],
    ...tags.flatMap((one) => ['--tag', one]),
    ...['--time', localTime(new Date(manifest.createdAt))],
  ];
}

/** restic reads times in the zone of the machine. */
function localTime(at: Date): string {
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** Undefined for what is not a backup with its manifest. */
function remoteOf({
  id,
  paths,
  hostname: host,
  tags,
}: NonNullable<v.InferOutput<typeof snapshotsSchema>>[number]): Remote | undefined {
  const [first = '', second = ''] = [...paths].sort((a, b) => a.length - b.length);
  const told = (key: string): string | undefined =>
    tags?.find((one) => one.startsWith(`${key}=`))?.slice(key.length + 1);
  const [sha256, createdAt] = [told('sha'), told('at')];
  if (paths.length !== 2 || second !== `${first}.json`) return undefined;
  if (!/^[0-9a-f]{64}$/.test(sha256 ?? '') || Number.isNaN(Date.parse(createdAt ?? '')))
    return undefined;
  const sizeBytes = Number(told('size'));
  return {
    ...{ id, name: first.split(/[/\\]/).at(-1) ?? '', createdAt: createdAt ?? '' },
    sha256: sha256 ?? '',
    ...(Number.isSafeInteger(sizeBytes) && { sizeBytes }),
    ...(told('db') !== undefined && { database: told('db') ?? '' }),
    ...(host !== undefined && { host }),
  };
}

export function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
}

export function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
