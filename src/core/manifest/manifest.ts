/*
 * The manifest: the facts about a backup, as JSON in `<name>.json` beside it; a bundle also has them, but for what is only
 * known of the finished zip, as `manifest.json` inside. Format 1. Other tools may read it, so fields are only ever added;
 * a change of meaning gets a new format number, and a file with a higher number than ours is shown but never judged or
 * rewritten.
 */
import * as v from 'valibot';

export const manifestFormat = 1;
/** A manifest is a few kilobytes; 10,000 tables make one or two megabytes. Anything larger is not ours. */
export const longestManifestBytes = 8 * 1024 * 1024;
/** Of a bundle: some 300 bytes for each of up to 100,000 files. */
export const longestBundleManifestBytes = 64 * 1024 * 1024;

export const methods = ['exact', 'compact'] as const;
export type Method = (typeof methods)[number];

/** How hard a bundle is compressed. */
export const compressions = ['store', 'fast', 'balanced', 'small'] as const;
export type Compression = (typeof compressions)[number];

const triggers = ['manual', 'schedule', 'task', 'agent', 'cli', 'pre-restore'] as const;
export type Trigger = (typeof triggers)[number];

/**
 * `ok`: everything was checked and holds. `damaged`: something does not. `partial`: nothing wrong, not all checked; or all
 * rows are there, and `outOfStep` says what does not fit them. `unchecked`: no check was asked for, or the findings say why
 * it could not run.
 */
const verdictStatuses = ['ok', 'damaged', 'partial', 'unchecked'] as const;
export type VerdictStatus = (typeof verdictStatuses)[number];

const drillStatuses = ['ok', 'failed'] as const;

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const instant = v.pipe(v.string(), v.isoTimestamp());
const text = v.pipe(v.string(), v.maxLength(4096));
const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

const findingSchema = v.object({ code: text, message: text });

const drillSchema = v.object({
  status: v.picklist(drillStatuses),
  at: instant,
  findings: v.array(findingSchema),
});
/** A restore for trial: `ok` is what "proved restorable" means. */
export type Drill = v.InferOutput<typeof drillSchema>;

/** Table names can be longer than any other text; the file as a whole is bounded. */
const tableSchema = v.object({ name: v.string(), rows: v.optional(count) });
export type TableFacts = v.InferOutput<typeof tableSchema>;

const cutLabels = ['one-instant', 'per-database'] as const;
export type CutLabel = (typeof cutLabels)[number];

const factsSchema = v.object({
  /** In pages of `pageSize` bytes; their product is the size of the file. */
  pageCount: count,
  pageSize: v.pipe(v.number(), v.integer(), v.minValue(512), v.maxValue(65536)),
  /** Of the source when it was backed up: the snapshot itself is always a stand-alone file in rollback mode. */
  journalMode: text,
  encoding: text,
  autoVacuum: v.picklist([0, 1, 2]),
  userVersion: v.pipe(v.number(), v.safeInteger()),
  applicationId: v.pipe(v.number(), v.safeInteger()),
  /** SHA-256 over the sorted schema. */
  schemaFingerprint: sha256,
});
export type Facts = v.InferOutput<typeof factsSchema>;

const toolName = 'sqlite-backup';

/** What every format, past and future, has in common. */
const headSchema = v.object({ format: count, tool: v.object({ name: v.literal(toolName) }) });

const toolSchema = v.object({ name: v.literal(toolName), version: text, sqlite: text });

const sourceSchema = v.object({
  /** Relative to the workspace folder, with `/`; only the file name when the file is outside of it. */
  path: text,
  workspace: v.optional(text),
  /** Random, and the same in all backups of one database: see `identity.ts`. */
  id: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(64))),
});

const outOfStepSchema = v.object({
  /** `index`, `full-text`, `rules`; a later version may know more. */
  what: text,
  /** Of the index; for `rules`, of the table whose values break one. */
  name: text,
  /** Of an index. */
  table: v.optional(text),
  /** SQL that mends it. */
  mend: v.optional(text),
});
/** Derived data that does not fit the rows, which are all there. */
export type OutOfStep = v.InferOutput<typeof outOfStepSchema>;

const verdictSchema = v.object({
  status: v.picklist(verdictStatuses),
  checkedAt: v.optional(instant),
  findings: v.array(findingSchema),
  outOfStep: v.optional(v.array(outOfStepSchema)),
});

const lossSchema = v.object({
  /** The id of the database. */
  database: v.string(),
  table: v.string(),
  before: count,
  /** Missing when the table is gone, or has another name. */
  now: v.optional(count),
  /** `createdAt` of the last backup with these rows. */
  since: instant,
  /** `createdAt` of the first backup without them. */
  at: instant,
});
export type RecordedLoss = v.InferOutput<typeof lossSchema>;

const releasedSchema = v.object({ database: v.string(), table: v.string() });
export type Released = v.InferOutput<typeof releasedSchema>;

/** Each backup tells again what was lost earlier and is not released: the first one that told it may be gone. */
const lossEntries = {
  losses: v.optional(v.array(lossSchema)),
  /** Tables whose losses a person does not mind, as those of a queue. */
  released: v.optional(v.array(releasedSchema)),
};

const receiptSchema = v.object({
  /** Of the destination, as its person calls it. */
  name: text,
  engine: text,
  /** Names the place itself, whatever it is called. */
  place: text,
  /** Of the copy, there. */
  id: text,
  at: instant,
  /** The last time the copy was read back and had the same SHA-256. */
  provedAt: v.optional(instant),
  /** A person removed the copy. It is not sent again by itself. */
  removedAt: v.optional(instant),
});
/** A copy of the backup on another machine. */
export type Receipt = v.InferOutput<typeof receiptSchema>;

const cutSchema = v.object({
  label: v.picklist(cutLabels),
  members: count,
  reason: v.optional(text),
});

/** What is known of a database beyond its bytes, in the manifest of a snapshot and in a bundle's entry alike. */
const contentsEntries = {
  facts: factsSchema,
  /** Of the copy itself, by name; `rows` is missing where they were not, or could not be, counted. */
  tables: v.optional(v.array(tableSchema)),
  /** How many more tables there are when their names would make the manifest unwieldy. */
  tablesOmitted: v.optional(count),
  migrations: v.optional(v.array(v.object({ tool: text, latest: text, count }))),
  /** Of the source, for a restore where it no longer exists. Not of Windows. */
  permissions: v.optional(v.object({ mode: count, uid: count, gid: count })),
};

const causeSchema = v.object({
  /** `agent`, `run`, `task`, `debug`, `terminal`, `branch`, `worktree`, `schedule`, `manual`; a later version may know more. */
  kind: text,
  /** What a person, or a program, said. */
  text: v.optional(text),
  session: v.optional(text),
  turn: v.optional(text),
  /** Of a command that was seen to begin: `before` is proved; `may-include` is not. */
  moment: v.optional(text),
});
/** Why a checkpoint was taken. */
export type Cause = v.InferOutput<typeof causeSchema>;

const manifestSchema = v.object({
  format: v.literal(manifestFormat),
  kind: v.literal('snapshot'),
  tool: toolSchema,
  createdAt: instant,
  /** The clock went back: a backup of this database that was there already is dated so much later. */
  after: v.optional(instant),
  source: sourceSchema,
  method: v.picklist(methods),
  trigger: v.picklist(triggers),
  sizeBytes: count,
  sha256,
  /** Made as a clone: on the disk it shares the blocks with the database that have not changed since. */
  cloned: v.optional(v.boolean()),
  verdict: verdictSchema,
  ...contentsEntries,
  /** Of the work tree that the database belongs to. */
  git: v.optional(v.object({ branch: v.optional(text), commit: v.optional(text) })),
  /** Present when several databases were backed up together. */
  cut: v.optional(cutSchema),
  /** The last time the backup was restored for trial. */
  drill: v.optional(drillSchema),
  warnings: v.optional(v.array(findingSchema)),
  ...lossEntries,
  note: v.optional(text),
  pinned: v.optional(v.boolean()),
  offsite: v.optional(v.array(receiptSchema)),
  /** Of a checkpoint. */
  cause: v.optional(causeSchema),
  /** Of a checkpoint: the state of the database before it was held, see `stamp.ts`. */
  stamp: v.optional(text),
  /** Of a checkpoint with a name: `copy` is the stamp of the file of the checkpoint, whose content was hashed then. */
  baseline: v.optional(
    v.object({
      name: text,
      copy: text,
      /** It was pinned before it got the name, so it stays pinned without it. */
      wasPinned: v.optional(v.boolean()),
    }),
  ),
  /** Of a checkpoint: the branches whose last state it is. */
  branches: v.optional(v.array(v.object({ name: text, copy: text, at: instant }))),
  /** Of a checkpoint, which no repository ever holds: the real path of the database. */
  livePath: v.optional(text),
});
export type Manifest = v.InferOutput<typeof manifestSchema>;
export type Finding = v.InferOutput<typeof findingSchema>;
export type Permissions = NonNullable<Manifest['permissions']>;

const entrySchema = v.variant('kind', [
  v.object({
    /** The path inside the zip. */
    name: text,
    kind: v.literal('database'),
    source: sourceSchema,
    sizeBytes: count,
    sha256,
    verdict: verdictSchema,
    ...contentsEntries,
    warnings: v.optional(v.array(findingSchema)),
  }),
  v.object({
    name: text,
    kind: v.literal('companion'),
    source: sourceSchema,
    sizeBytes: count,
    sha256,
    /** It was written to each time it was read, so it may be a mixture. */
    changedWhileReading: v.optional(v.boolean()),
  }),
]);
export type BundleEntry = v.InferOutput<typeof entrySchema>;

const failureSchema = v.object({
  /** As a person named it, or relative to the workspace folder. */
  path: text,
  code: text,
  message: text,
});

const contentsFields = {
  format: v.literal(manifestFormat),
  kind: v.literal('bundle'),
  tool: toolSchema,
  createdAt: instant,
  /** The clock went back: a backup of one of these databases that was there already is dated so much later. */
  after: v.optional(instant),
  name: v.optional(text),
  workspace: v.optional(text),
  trigger: v.picklist(triggers),
  method: v.picklist(methods),
  cut: cutSchema,
  /** False when something that was asked for is not in it: `failures` says what, and why. */
  complete: v.boolean(),
  failures: v.optional(v.array(failureSchema)),
  warnings: v.optional(v.array(findingSchema)),
  ...lossEntries,
  entries: v.array(entrySchema),
};

const contentsSchema = v.object(contentsFields);
/** `manifest.json` inside a bundle. */
export type BundleContents = v.InferOutput<typeof contentsSchema>;

const bundleSchema = v.object({
  ...contentsFields,
  /** Of the zip. */
  sizeBytes: count,
  sha256,
  verdict: verdictSchema,
  drill: v.optional(drillSchema),
  note: v.optional(text),
  pinned: v.optional(v.boolean()),
  offsite: v.optional(v.array(receiptSchema)),
});
/** The manifest beside a bundle: what is inside it, and what is only known of the whole zip. */
export type BundleManifest = v.InferOutput<typeof bundleSchema>;

type Unusable = { kind: 'newer'; format: number } | { kind: 'foreign'; reason: string };

export type ParsedManifest =
  | { kind: 'manifest'; manifest: Manifest }
  | { kind: 'bundle'; manifest: BundleManifest }
  | Unusable;

/** Reads a manifest without trusting it: anything that is not exactly one is `foreign`, with the reason. */
export function parseManifest(json: string): ParsedManifest {
  const read = readJson(json);
  if ('kind' in read) return read;
  if (v.is(v.object({ kind: v.literal('bundle') }), read.value)) {
    const result = v.safeParse(bundleSchema, read.value);
    return result.success
      ? { kind: 'bundle', manifest: result.output }
      : foreign(v.getDotPath(result.issues[0]), result.issues[0].message);
  }
  const result = v.safeParse(manifestSchema, read.value);
  return result.success
    ? { kind: 'manifest', manifest: result.output }
    : foreign(v.getDotPath(result.issues[0]), result.issues[0].message);
}

/** Reads the `manifest.json` of a bundle, without trusting it either. */
export function parseContents(
  json: string,
): { kind: 'contents'; contents: BundleContents } | Unusable {
  const read = readJson(json);
  if ('kind' in read) return read;
  const result = v.safeParse(contentsSchema, read.value);
  return result.success
    ? { kind: 'contents', contents: result.output }
    : foreign(v.getDotPath(result.issues[0]), result.issues[0].message);
}

/** The value of JSON that claims to be ours and has a format that we know. */
function readJson(json: string): { value: unknown } | Unusable {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { kind: 'foreign', reason: 'not JSON' };
  }
  const head = v.safeParse(headSchema, value);
  if (!head.success) return { kind: 'foreign', reason: 'no backup details of SQLite Backup' };
  if (head.output.format > manifestFormat) return { kind: 'newer', format: head.output.format };
  return { value };
}

function foreign(path: string | null, message: string): Unusable {
  return { kind: 'foreign', reason: `${path ?? 'manifest'}: ${message}` };
}

const longestTableNames = 1024 * 1024;

/** The tables as a manifest holds them: all of them, or the first ones with the number of the rest. */
export function boundTables(
  tables: readonly TableFacts[],
): Pick<Manifest, 'tables' | 'tablesOmitted'> {
  let bytes = 0;
  const fitting = tables.filter(
    ({ name }) => (bytes += Buffer.byteLength(name)) <= longestTableNames,
  );
  const tablesOmitted = tables.length - fitting.length;
  return tablesOmitted === 0 ? { tables: fitting } : { tables: fitting, tablesOmitted };
}

const mostIndentedEntries = 1000;

export function serializeManifest(manifest: Manifest | BundleManifest | BundleContents): string {
  const isLong = manifest.kind === 'bundle' && manifest.entries.length > mostIndentedEntries;
  return `${JSON.stringify(manifest, null, isLong ? undefined : 2)}\n`;
}
