/*
 * The manifest: the facts about a snapshot, as JSON in `<name>.json` beside it. Format 1. Other tools may read it, so
 * fields are only ever added; a change of meaning gets a new format number, and a file with a higher number than ours is
 * shown but never judged or rewritten.
 */
import * as v from 'valibot';

export const manifestFormat = 1;
/** A manifest is a few kilobytes; 10,000 tables make one or two megabytes. Anything larger is not ours. */
export const longestManifestBytes = 8 * 1024 * 1024;

export const methods = ['exact', 'compact'] as const;
export type Method = (typeof methods)[number];

const triggers = ['manual', 'schedule', 'task', 'agent', 'cli', 'pre-restore'] as const;
export type Trigger = (typeof triggers)[number];

/** `ok`: everything was checked and holds. `damaged`: something does not. `partial`: nothing wrong, not all checked. */
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

const manifestSchema = v.object({
  format: v.literal(manifestFormat),
  kind: v.literal('snapshot'),
  tool: v.object({ name: v.literal(toolName), version: text, sqlite: text }),
  createdAt: instant,
  source: v.object({
    /** Relative to the workspace folder, with `/`; only the file name when the database is outside of it. */
    path: text,
    workspace: v.optional(text),
  }),
  method: v.picklist(methods),
  trigger: v.picklist(triggers),
  sizeBytes: count,
  sha256,
  facts: factsSchema,
  verdict: v.object({
    status: v.picklist(verdictStatuses),
    checkedAt: v.optional(instant),
    findings: v.array(findingSchema),
  }),
  /** Of the snapshot itself, by name; `rows` is missing where they were not, or could not be, counted. */
  tables: v.optional(v.array(tableSchema)),
  /** How many more tables there are when their names would make the manifest unwieldy. */
  tablesOmitted: v.optional(count),
  migrations: v.optional(v.array(v.object({ tool: text, latest: text, count }))),
  /** Of the work tree that the database belongs to. */
  git: v.optional(v.object({ branch: v.optional(text), commit: v.optional(text) })),
  /** Present when several databases were backed up together. */
  cut: v.optional(
    v.object({ label: v.picklist(cutLabels), members: count, reason: v.optional(text) }),
  ),
  /** The last time the backup was restored for trial. */
  drill: v.optional(drillSchema),
  warnings: v.optional(v.array(findingSchema)),
  note: v.optional(text),
  pinned: v.optional(v.boolean()),
});
export type Manifest = v.InferOutput<typeof manifestSchema>;
export type Finding = v.InferOutput<typeof findingSchema>;

export type ParsedManifest =
  | { kind: 'manifest'; manifest: Manifest }
  | { kind: 'newer'; format: number }
  | { kind: 'foreign'; reason: string };

/** Reads a manifest without trusting it: anything that is not exactly one is `foreign`, with the reason. */
export function parseManifest(json: string): ParsedManifest {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return { kind: 'foreign', reason: 'not JSON' };
  }
  const head = v.safeParse(headSchema, value);
  if (!head.success) return { kind: 'foreign', reason: 'not a manifest of SQLite Backup' };
  if (head.output.format > manifestFormat) return { kind: 'newer', format: head.output.format };
  const result = v.safeParse(manifestSchema, value);
  if (result.success) return { kind: 'manifest', manifest: result.output };
  const [issue] = result.issues;
  return { kind: 'foreign', reason: `${v.getDotPath(issue) ?? 'manifest'}: ${issue.message}` };
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

export function serializeManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
