/*
 * A restore as it comes back from the storage of the workspace, which an older version, or another program, may have written.
 * What is not of the right form is left out: the disk tells which database is live. Without the first three there is no restore.
 */
import { isAbsolute } from 'node:path';
import * as v from 'valibot';
import type { MovedAside, Restored } from '../core/restore/apply.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import { stepIds } from '../core/runbook/runbook.ts';
import type { Run } from './run.ts';

const text = v.string();
const path = v.pipe(text, v.check(isAbsolute));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const moment = v.pipe(
  text,
  v.check((value) => !Number.isNaN(Date.parse(value))),
);

/** The value as it is, with all that it holds, if `schema` finds in it what is needed. */
const like = <T>(schema: v.GenericSchema): v.CustomSchema<T, undefined> =>
  v.custom<T>((value) => v.is(schema, value));

const moved = v.object({
  id: text,
  items: v.array(
    v.object({
      member: v.exactOptional(text),
      target: path,
      realTarget: path,
      setAside: v.exactOptional(path),
      safetySnapshot: v.exactOptional(path),
      safetyFailure: v.exactOptional(v.object({ code: text, message: text })),
    }),
  ),
});

/** What the page and an exported runbook tell of it. Its numbers become part of commands. */
const planned = v.object({
  backup: path,
  kind: v.picklist(['snapshot', 'bundle']),
  createdAt: moment,
  sizeBytes: count,
  verified: v.picklist(['ok', 'partial', 'unchecked', 'damaged']),
  outOfStep: v.exactOptional(
    v.array(
      v.object({
        what: text,
        name: text,
        table: v.exactOptional(text),
        mend: v.exactOptional(text),
      }),
    ),
  ),
  findings: v.array(v.object({ code: text, message: text })),
  items: v.array(
    v.object({
      member: v.exactOptional(text),
      target: path,
      realTarget: path,
      targetExists: v.boolean(),
      targetState: v.picklist([
        ...['missing', 'readable', 'empty', 'damaged', 'not-a-database', 'unreadable'],
      ] as const),
      targetReason: v.exactOptional(text),
      targetSizeBytes: count,
      permissions: v.exactOptional(v.object({ mode: count, uid: count, gid: count })),
      siblings: v.array(text),
      holders: v.array(v.object({ pid: count, name: text })),
      tables: v.array(
        v.object({
          ...{ name: text, lost: count, gained: count, changed: count, compared: v.boolean() },
          only: v.exactOptional(v.picklist(['live', 'backup'])),
        }),
      ),
      notCompared: v.array(v.object({ name: text, reason: text })),
      schema: v.object({ same: v.boolean(), diff: text }),
      migrations: v.object({
        ...{ backup: v.array(v.unknown()), live: v.array(v.unknown()) },
        ...{ verdict: text, words: text },
      }),
      source: v.object({
        sha256: v.exactOptional(text),
        sizeBytes: count,
        journalMode: text,
        tables: v.exactOptional(v.array(v.object({ name: text, rows: v.exactOptional(count) }))),
      }),
    }),
  ),
});

const orNot = <T extends v.GenericSchema>(
  schema: T,
): v.SchemaWithFallback<v.OptionalSchema<T, undefined>, undefined> =>
  v.fallback(v.optional(schema), undefined);

const doneSchema = orNot(v.object({ at: moment, how: v.picklist(['done', 'confirmed']) }));

const runSchema = v.object({
  id: v.pipe(text, v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/)),
  backup: path,
  items: v.array(
    v.object({
      member: v.exactOptional(text),
      live: path,
      chosen: v.fallback(v.optional(v.boolean(), true), true),
    }),
  ),
  destination: v.fallback(v.picklist(['undecided', 'beside', 'live']), 'undecided'),
  besides: orNot(v.array(path)),
  startedAt: v.fallback(moment, () => new Date().toISOString()),
  planned: orNot(like<RestorePlan>(planned)),
  done: v.fallback(v.object(v.entriesFromList(stepIds, doneSchema)), {}),
  log: v.fallback(v.array(v.object({ step: v.picklist(stepIds), at: moment, text })), () => []),
  moved: orNot(like<MovedAside>(v.object({ ...moved.entries, intent: path }))),
  isCopying: orNot(v.boolean()),
  restored: orNot(like<Restored>(moved)),
  alsoKept: orNot(v.array(v.object({ path, target: path }))),
  putBack: orNot(v.array(path)),
  accepted: orNot(v.array(count)),
  programs: orNot(v.array(text)),
  settled: orNot(v.array(text)),
  acceptsDamaged: orNot(v.boolean()),
  ticked: v.fallback(v.array(text), () => []),
  ending: orNot(v.picklist(['kept', 'archived', 'deleted', 'undone', 'elsewhere'])),
});

/** Undefined for what is no restore. */
export function parseRun(value: unknown): Run | undefined {
  const result = v.safeParse(runSchema, value);
  if (!result.success) return undefined;
  const { done, ...rest } = result.output;
  return { ...present(rest), done: present(done) };
}

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function present<T extends object>(value: T): Present<T> {
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries) as Present<T>;
}
