/*
 * The conversation between a face (editor, command line) and a worker process. One process serves one call:
 *   face -> worker   { call: { method, params } }          once
 *   worker -> face   { progress }                          any number of times
 *   worker -> face   { ready: true }                       all is proved, may I publish?
 *   face -> worker   { publish: true }                     yes; from now on the call is not cancelled any more. false: no, end it
 *   worker -> face   { ok } or { error }                   once, then the process ends
 */
import * as v from 'valibot';
import type { Bundled, BundleRequest } from '../core/bundle/bundle.ts';
import type {
  ExtractedFile,
  ExtractMemberRequest,
  ExtractRequest,
} from '../core/bundle/extract.ts';
import type { BundleMember } from '../core/bundle/openBundle.ts';
import type { Adopted, AdoptRequest } from '../core/catalog/adopt.ts';
import type { ContentSearch, FoundByContent } from '../core/catalog/byContent.ts';
import type { CatalogEntry, Listing, ListOptions } from '../core/catalog/catalog.ts';
import type { Inspection } from '../core/catalog/discovery.ts';
import type { Pruned, Remark } from '../core/catalog/keeping.ts';
import type { ReleaseRequest } from '../core/catalog/release.ts';
import type { Policy, RetentionPlan } from '../core/catalog/retention.ts';
import type { CheckpointRequest, Checkpoints } from '../core/checkpoint/checkpoint.ts';
import type { Counted, RowChange } from '../core/checkpoint/rows.ts';
import type { StoredCheckpoint } from '../core/checkpoint/store.ts';
import type { Comparison } from '../core/compare/compare.ts';
import type { Check } from '../core/doctor/check.ts';
import type { DoctorSubject } from '../core/doctor/doctor.ts';
import { errorCodes } from '../core/errors.ts';
import type { Holders } from '../core/holders/holders.ts';
import type { LostFiles } from '../core/holders/lost.ts';
import type { Inside } from '../core/inspect/inspect.ts';
import type { Progress } from '../core/job.ts';
import type { Loss } from '../core/manifest/loss.ts';
import type { BundleManifest, Finding, Manifest, Released } from '../core/manifest/manifest.ts';
import type { Destination } from '../core/offsite/destination.ts';
import type { Remote } from '../core/offsite/driver.ts';
import type { Fetched, OffsiteStatus, SetUp } from '../core/offsite/fetch.ts';
import type { OffsiteSubject } from '../core/doctor/offsite.ts';
import type { CopyByHand } from '../core/offsite/copiesOf.ts';
import type { FromLitestream, LitestreamRequest } from '../core/offsite/litestream.ts';
import type { ForgetPlan } from '../core/offsite/forget.ts';
import type { Access } from '../core/offsite/place.ts';
import type { Proved } from '../core/offsite/prove.ts';
import type { Sent, SendRequest } from '../core/offsite/send.ts';
import type { MovedAside, PutInPlaceRequest, Restored } from '../core/restore/apply.ts';
import type { PlanRequest, RestorePlan } from '../core/restore/plan.ts';
import type { Proof } from '../core/restore/proof.ts';
import type { Interrupted, Recovered, RecoverRequest } from '../core/restore/recovery.ts';
import type { ApplyRequest, RestoreRequest } from '../core/restore/request.ts';
import type { SetAside } from '../core/restore/setAside.ts';
import type { Undone, UndoRequest } from '../core/restore/undo.ts';
import type { SaveOpenRequest } from '../core/snapshot/saveOpen.ts';
import type {
  BaselineCheck,
  BaselineRestored,
  KeepBaselineRequest,
  RestoreBaselineRequest,
} from '../core/states/baseline.ts';
import type { Synced, SyncRequest } from '../core/states/branches.ts';
import type { BranchStatus } from '../core/states/branchStatus.ts';
import type { CopiedDatabase, CopyFromMainRequest } from '../core/states/worktrees.ts';
import type { HookInstalled } from '../core/states/gitHook.ts';
import type {
  Snapshot,
  SnapshotRequest,
  Snapshots,
  SnapshotsRequest,
} from '../core/snapshot/snapshot.ts';
import type { FirstRows, Glance } from '../core/sqlite/peek.ts';
import type { DrillOutcome, Verdict } from '../core/verify/verdict.ts';

/** What a worker can do. Calls and replies are derived from this; each returns something, which JSON can carry. */
export interface Methods {
  /** Which of these files are databases. */
  /** `searchPath` is the PATH of the caller, where it asks for the program of Litestream, too. */
  inspect: (params: { paths: string[]; searchPath?: string | undefined }) => Inspection;
  /** Which files of a workspace are databases that their names do not tell. */
  findByContent: (params: ContentSearch) => FoundByContent;
  /** All databases below a folder. */
  find: (params: { folder: string }) => Inspection;
  backUp: (params: SnapshotRequest) => Snapshot;
  /** Several databases, at one moment if possible. */
  backUpTogether: (params: SnapshotsRequest) => Snapshots;
  /** What programs have open of a database without its name: when such a program ends, it is gone. Opens nothing. */
  lostFiles: (params: { path: string }) => LostFiles[];
  /** Saves that, one snapshot for each state. */
  saveOpen: (params: SaveOpenRequest) => Snapshots;
  /** Several databases at the same moment, and copies of the files that belong to them, in one zip. */
  bundle: (params: BundleRequest) => Bundled;
  /** What is in a bundle, or in a zip of others; without the `entry` of each. */
  members: (params: { path: string }) => BundleMember[];
  /** All of a bundle, or some of it, with the paths that it has in the zip. */
  extract: (params: ExtractRequest) => ExtractedFile[];
  /** One member under another name: to look at, to compare, to hand out. */
  extractMember: (params: ExtractMemberRequest) => ExtractedFile;
  /** Checks a backup, if asked also by restoring it for trial, and records the result in its manifest. */
  verify: (params: {
    path: string;
    drill: boolean;
    /** Where private copies go. */
    folder: string;
  }) => Verdict & { drill?: DrillOutcome };
  list: (params: { folder: string } & ListOptions) => Listing;
  compare: (params: {
    left: string;
    right: string;
    /** Tables that are left after this time are not compared. */
    deadlineMs?: number | undefined;
  }) => Comparison;
  /** The schema of a database, or of a member of a bundle, as sorted text. */
  schema: (params: { path: string; member?: string }) => string;
  /** What is in a backup, with 200 tables from the number `from` on. */
  lookInside: (params: Inside & { from?: number }) => Glance;
  /** 100 rows of a table, which `lookInside` has numbered, from the number `from` on. */
  rowsInside: (params: Inside & { table: number | string; from?: number }) => FirstRows;
  /** The beginning of the schema of a backup. */
  schemaInside: (params: Inside) => { text: string; isAll: boolean };
  /** Pins, unpins or annotates a backup. */
  remark: (params: { path: string; remark: Remark }) => Manifest | BundleManifest;
  /** Counts backups as backups of a database. */
  adopt: (params: AdoptRequest) => Adopted;
  /** Lets a backup go that stays because rows were lost after it; the tables. */
  release: (params: ReleaseRequest) => Released[];
  /** Gives a backup another bare name; the new path. */
  rename: (params: { path: string; name: string }) => string;
  /** Copies a backup to a free path, and returns that. */
  copyOut: (params: { path: string; to: string; readOnly: boolean }) => string;
  /** What a restore would do. Only reads. */
  planRestore: (params: PlanRequest) => RestorePlan;
  applyRestore: (params: ApplyRequest) => Restored;
  /** Safety snapshots and complete set-asides; the live files stay. */
  moveAside: (params: ApplyRequest) => MovedAside;
  /** The backup under the live names, after `moveAside`. */
  putInPlace: (params: PutInPlaceRequest) => Restored;
  /** The live files against the backup. */
  proveRestored: (params: RestoreRequest) => Proof[];
  /** Changes whenever one of the databases does, one for each path; opens nothing. */
  liveStates: (params: { paths: string[] }) => string[];
  /** SHA-256 of files, one for each path; null where there is none, or an empty one. */
  digests: (params: { paths: string[] }) => (string | null)[];
  /** Who has the databases open; opens none of them. */
  /** What lies around targets of a restore and changes what it means. */
  surroundings: (params: { paths: string[] }) => Finding[];
  holders: (params: { paths: string[] }) => Holders;
  /** Asks a program that has one of the databases open to end; whether it has. */
  endProgram: (params: { paths: string[]; pid: number; startedAt?: string }) => boolean;
  undoRestore: (params: UndoRequest) => Undone;
  /** The restores in a folder that were stopped in the middle. */
  findInterrupted: (params: { in: string }) => Interrupted[];
  recoverInterrupted: (params: RecoverRequest) => Recovered;
  /** Removes the lock files that killed processes have left in these folders. */
  sweepClaims: (params: { in: string[] }) => null;
  /** The set-asides in a folder, or of one database. */
  listSetAsides: (params: { in: string }) => SetAside[];
  deleteSetAside: (params: { path: string }) => { removed: string[] };
  /** Into a bundle in the backups folder; then it is gone. */
  archiveSetAside: (params: { path: string; folder: string; toolVersion?: string }) => {
    archive: string;
    removed: string[];
  };
  /** Checkpoints of what has changed since the last ones. */
  checkpoint: (params: CheckpointRequest) => Checkpoints;
  /** Checkpoints with a name, proved whole. */
  keepBaseline: (params: KeepBaselineRequest) => Checkpoints;
  restoreBaseline: (params: RestoreBaselineRequest) => BaselineRestored;
  /** Whether a database still equals its baseline. Only reads. */
  checkBaseline: (params: {
    name: string;
    target: string;
    checkpoints?: string | undefined;
  }) => BaselineCheck;
  /** Brings the databases of a work tree in line with its branch. */
  syncBranches: (params: SyncRequest) => Synced;
  branchStatus: (params: { in: string; checkpoints?: string | undefined }) => BranchStatus;
  cleanUpBranches: (params: { in: string; checkpoints?: string | undefined }) => {
    branch: string;
    path: string;
    id: string;
  }[];
  /** Copies databases of the main work tree that a linked one has not. */
  copyFromMain: (params: CopyFromMainRequest) => CopiedDatabase[];
  /** Adds to git's hook after a checkout, or says which line a person has to add. */
  installGitHook: (params: { in: string; node: string; script: string }) => HookInstalled;
  /** True when there was something to take away. */
  uninstallGitHook: (params: { in: string }) => boolean;
  /** Newest first; of one database, or all. */
  listCheckpoints: (params: {
    checkpoints?: string | undefined;
    database?: string | undefined;
  }) => StoredCheckpoint[];
  /** All checkpoints as a list of backups has them, newest first, and which ids these databases have. */
  catalogCheckpoints: (params: { checkpoints?: string | undefined; databases: string[] }) => {
    folder: string;
    entries: CatalogEntry[];
    ids: Record<string, string[]>;
  };
  /** The path of a backup: as named, or of the checkpoint whose id begins so. */
  findCheckpoint: (params: { checkpoints?: string | undefined; named: string }) => string;
  /** The rows of each table of a database now. */
  countRows: (params: { database: string; busyTimeoutMs: number }) => Counted;
  /** Which tables have lost rows since a checkpoint. */
  lossesAfter: (params: { checkpoint: string; database: string; busyTimeoutMs: number }) => Loss[];
  /** Which tables have other numbers of rows than in a checkpoint. */
  changesAfter: (params: {
    checkpoint: string;
    database: string;
    busyTimeoutMs: number;
  }) => RowChange[];
  /** What Doctor has to say of the machine, a database or a backups folder. */
  examine: (params: DoctorSubject) => Check[];
  /** What of a folder may go, or of the groups `only` in it. */
  planPruning: (params: { folder: string; policy: Policy; only?: string[] }) => RetentionPlan;
  remove: (params: { folder: string; paths: string[] }) => Pruned;
  /** The destinations of the command line. */
  offsiteDestinations: (params: object) => Destination[];
  /** Looks whether a place for copies is ready; with `create`, makes its repository; with `store`, remembers it. */
  offsiteSetUp: (
    params: Access & { create?: boolean | undefined; store?: boolean | undefined },
  ) => SetUp;
  /** Sends what is wanted there, and reads it back. */
  offsiteSend: (params: SendRequest) => Sent;
  offsiteList: (params: Access) => Remote[];
  /** Fetches a copy into the backups folder `folder`. */
  offsiteFetch: (params: Access & { id: string; folder: string }) => Fetched;
  /** Reads copies back: these, all, or a sample. */
  offsiteProve: (
    params: Access & {
      ids?: string[] | undefined;
      all?: boolean | undefined;
      folders?: string[] | undefined;
    },
  ) => Proved;
  /** A state from the copies of Litestream, as a file of its own in `folder`. */
  offsiteFromLitestream: (params: LitestreamRequest) => FromLitestream;
  /** How the copies of a backup come back by hand; of the command line's destinations, unless others are named. */
  offsiteByHand: (params: {
    backup: string;
    destinations?: Destination[] | undefined;
  }) => CopyByHand[];
  /** What Doctor has to say of a place. */
  offsiteExamine: (params: OffsiteSubject) => Check[];
  /** What the rules would let go of the copies there, and why. Removes nothing. */
  offsitePlanForgetting: (params: Access & { policy: Policy }) => ForgetPlan;
  /** Removes these copies. */
  offsiteForget: (params: Access & { ids: string[] }) => { removed: string[] };
  /** What is known here of a place; asks no engine. */
  offsiteStatus: (params: {
    destination: Destination;
    folders?: string[] | undefined;
  }) => OffsiteStatus;
}

export type Method = keyof Methods;
export type Params<M extends Method> = Parameters<Methods[M]>[0];
export type Result<M extends Method> = ReturnType<Methods[M]>;

const methodNames = [
  'inspect',
  'checkpoint',
  'keepBaseline',
  'restoreBaseline',
  'checkBaseline',
  'syncBranches',
  'branchStatus',
  'cleanUpBranches',
  'copyFromMain',
  'installGitHook',
  'uninstallGitHook',
  'listCheckpoints',
  'catalogCheckpoints',
  'findCheckpoint',
  'lossesAfter',
  'countRows',
  'changesAfter',
  'examine',
  'findByContent',
  'find',
  'backUp',
  'backUpTogether',
  'lostFiles',
  'saveOpen',
  'bundle',
  'members',
  'extract',
  'extractMember',
  'verify',
  'list',
  'compare',
  'schema',
  'lookInside',
  'rowsInside',
  'schemaInside',
  'remark',
  'adopt',
  'release',
  'rename',
  'copyOut',
  'planRestore',
  'applyRestore',
  'moveAside',
  'putInPlace',
  'proveRestored',
  'liveStates',
  'digests',
  'surroundings',
  'holders',
  'endProgram',
  'undoRestore',
  'findInterrupted',
  'recoverInterrupted',
  'sweepClaims',
  'listSetAsides',
  'deleteSetAside',
  'archiveSetAside',
  'planPruning',
  'remove',
  'offsiteDestinations',
  'offsiteSetUp',
  'offsiteSend',
  'offsiteList',
  'offsiteFetch',
  'offsiteProve',
  'offsiteFromLitestream',
  'offsiteByHand',
  'offsiteExamine',
  'offsitePlanForgetting',
  'offsiteForget',
  'offsiteStatus',
] as const satisfies Method[];

const toWorkerSchema = v.union([
  v.object({ call: v.object({ method: v.picklist(methodNames), params: v.unknown() }) }),
  v.object({ publish: v.boolean() }),
]);
export type ToWorker = v.InferOutput<typeof toWorkerSchema>;

const progressSchema = v.object({
  phase: v.picklist([
    'copy',
    'check',
    'hash',
    'publish',
    'compare',
    'stage',
    'move',
    'prove',
  ] as const satisfies Progress['phase'][]),
  doneBytes: v.number(),
  totalBytes: v.number(),
});

export const errorSchema = v.object({
  code: v.picklist(errorCodes),
  message: v.string(),
  path: v.exactOptional(v.string()),
  hint: v.exactOptional(v.string()),
  facts: v.exactOptional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
  detail: v.exactOptional(v.string()),
});

const fromWorkerSchema = v.union([
  v.object({ progress: progressSchema }),
  v.object({ note: v.string() }),
  v.object({ ready: v.literal(true) }),
  v.object({ ok: v.unknown() }),
  v.object({ error: errorSchema }),
]);
export type FromWorker = v.InferOutput<typeof fromWorkerSchema>;

/** Undefined for anything that is no message of ours. */
export function parseToWorker(message: unknown): ToWorker | undefined {
  const result = v.safeParse(toWorkerSchema, message);
  return result.success ? result.output : undefined;
}

export function parseFromWorker(message: unknown): FromWorker | undefined {
  const result = v.safeParse(fromWorkerSchema, message);
  return result.success ? result.output : undefined;
}
