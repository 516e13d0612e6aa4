/** restic: encrypted, deduplicated, on many kinds of storage. */
import { hostname } from 'node:os';
import * as v from 'valibot';
import { keepRules } from '../catalog/retention.ts';
import { isBackupError } from '../errors.ts';
import { isAlive } from '../files/workplace.ts';
import { databaseIdOf } from './receipts.ts';
import { inOrder } from './newest.ts';
import type { Driver, Parcel, Remote } from './driver.ts';
import { type Engine, type EngineRun, runEngine } from './engine.ts';
import { answerOf, parseJson, shown } from './answer.ts';
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
      keep: v.nullable(v.array(v.object({ ...keptSchema.entries, id: v.string() }))),
      remove: v.nullable(v.array(v.object({ id: v.string() }))),
      reasons: v.nullish(v.array(v.object({ snapshot: keptSchema, matches: v.array(v.string()) }))),
    }),
  ),
);
/** A line for the snapshot itself, then one for each file and folder. */
const lsSchema = v.object({
  struct_type: v.string(),
  name: v.optional(v.string()),
  path: v.optional(v.string()),
  type: v.optional(v.string()),
});
const lockSchema = v.object({ hostname: v.string(), pid: v.number() });
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
    throw trouble('too-old', where, `${version ?? shown(text)}, not ${oldest.join('.')}`);
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
      if (!(await isLeftBehind())) throw error;
      await runEngine(engine, { args: ['unlock'] });
      return runEngine(engine, full);
    }
  };

  /**
   * All locks are of processes of this machine that have ended. restic itself calls each lock stale that is half an hour old
   * by the clock of the machine that asks, so a wrong clock would let it remove the lock of a run that goes on elsewhere.
   */
  const isLeftBehind = async (): Promise<boolean> => {
    try {
      const listed = await runEngine(engine, {
        args: ['list', 'locks', '--no-lock'],
      });
      for (const id of listed.match(/\b[0-9a-f]{64}\b/g) ?? []) {
        const text = await runEngine(engine, {
          args: ['cat', 'lock', id, '--no-lock'],
        });
        const lock = answerOf(text, lockSchema, where);
        if (lock.hostname !== hostname() || lock.pid <= 0 || isAlive(lock.pid)) return false;
      }
      return true;
    } catch (error) {
      // It stays locked, and that is told.
      if (isBackupError(error)) return false;
      throw error;
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
      const text = await run(['snapshots', '--json', '--tag', tag]);
      const parsed = answerOf(text, snapshotsSchema, where);
      return inOrder((parsed ?? []).flatMap((one) => remoteOf(one) ?? []));
    },
    async send(parcel, onProgress) {
      let id: string | undefined;
      let last = 0;
      let unknown = '';
      const { folder, name } = parcel;
      await run(['backup', ...describing(parcel), '--', name, `${name}.json`], {
        cwd: folder,
        onLine(line) {
          const parsed = v.safeParse(lineSchema, parseJson(line));
          if (!parsed.success) return void (unknown = line);
          const { message_type: kind, snapshot_id: snapshot, bytes_done: done = 0 } = parsed.output;
          if (kind === 'summary') id = snapshot;
          if (done <= last) return false;
          onProgress((last = done));
          return true;
        },
      });
      if (id === undefined) throw trouble('not-understood', where, shown(unknown));
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
      const nodes = listing
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line) => answerOf(line, lsSchema, where));
      const node = nodes.find(({ name, type }) => type === 'file' && name === wanted);
      if (node?.path === undefined) throw trouble('not-there', where, wanted);
      await run(['dump', remote.id, node.path], { onData });
    },
    async forgetPlan(database, policy) {
      const rules = keepRules.flatMap((rule) =>
        policy[rule] === undefined ? [] : [optionOf(rule), String(policy[rule])],
      );
      const which = ['--tag', `${tag},db=${database}`, '--group-by', ''];
      const json = await run(['forget', '--json', '--dry-run', ...which, ...rules]);
      const groups = answerOf(json, forgetSchema, where) ?? [];
      return new Map(
        groups.flatMap(({ keep, remove, reasons }) => [
          ...(remove ?? []).map(({ id }): [string, string[]] => [id, []]),
          ...whyKept(keep ?? [], reasons ?? []),
        ]),
      );
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
  if (manifest.after !== undefined) tags.push(`after=${manifest.after}`);
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
  const [sha256, createdAt, after] = [told('sha'), told('at'), told('after')];
  if (paths.length !== 2 || second !== `${first}.json`) return undefined;
  if (!/^[0-9a-f]{64}$/.test(sha256 ?? '') || Number.isNaN(Date.parse(createdAt ?? '')))
    return undefined;
  const sizeBytes = Number(told('size'));
  return {
    ...{ id, name: first.split(/[/\\]/).at(-1) ?? '', createdAt: createdAt ?? '' },
    sha256: sha256 ?? '',
    ...(after !== undefined && !Number.isNaN(Date.parse(after)) && { after }),
    ...(Number.isSafeInteger(sizeBytes) && { sizeBytes }),
    ...(told('db') !== undefined && { database: told('db') ?? '' }),
    ...(host !== undefined && { host }),
  };
}

export function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
}
