import { statSync } from 'node:fs';
import { takeBundle } from '../core/bundle/bundle.ts';
import { extractBundle, extractMember } from '../core/bundle/extract.ts';
import { withBundle } from '../core/bundle/openBundle.ts';
import { adopt } from '../core/catalog/adopt.ts';
import { findByContent } from '../core/catalog/byContent.ts';
import { listAll, listBackups } from '../core/catalog/catalog.ts';
import { findDatabases, inspectFiles } from '../core/catalog/discovery.ts';
import {
  copyOut,
  planPruning,
  remarkOn,
  removeBackups,
  renameBackup,
} from '../core/catalog/keeping.ts';
import { release } from '../core/catalog/release.ts';
import { takeCheckpoints } from '../core/checkpoint/checkpoint.ts';
import { changesAfter, countRows, lossesAfter } from '../core/checkpoint/rows.ts';
import {
  checkpointsFolder,
  idsOfDatabase,
  findCheckpoint,
  storedIn,
  thoseThatMayBeOf,
} from '../core/checkpoint/store.ts';
import { compareDatabases, schemaOf } from '../core/compare/compare.ts';
import { examine } from '../core/doctor/doctor.ts';
import { sha256File } from '../core/files/digests.ts';
import { lookInside, rowsInside, schemaInside } from '../core/inspect/inspect.ts';
import type { RestoreHooks } from '../core/job.ts';
import { storedDestinations } from '../core/offsite/destination.ts';
import { fetchOffsite, listOffsite, offsiteStatus, setUpOffsite } from '../core/offsite/fetch.ts';
import { copiesByHand } from '../core/offsite/copiesOf.ts';
import { checkOffsite } from '../core/doctor/offsite.ts';
import { forgetOffsite, planForgetting } from '../core/offsite/forget.ts';
import { fetchFromLitestream, withLitestream } from '../core/offsite/litestream.ts';
import { proveOffsite } from '../core/offsite/prove.ts';
import { sendOffsite } from '../core/offsite/send.ts';
import { applyRestore, moveAside, putInPlace } from '../core/restore/apply.ts';
import { archiveSetAside } from '../core/restore/archive.ts';
import { sweepClaims } from '../core/restore/claim.ts';
import { planRestore } from '../core/restore/plan.ts';
import { proveRestored } from '../core/restore/proof.ts';
import { findInterrupted, recoverInterrupted } from '../core/restore/recovery.ts';
import { deleteSetAside, listSetAsides } from '../core/restore/setAside.ts';
import { withSource } from '../core/restore/source.ts';
import { described, endProgram } from '../core/holders/programs.ts';
import { remarksOn } from '../core/restore/surroundings.ts';
import { holdersOf, resolveTarget } from '../core/restore/target.ts';
import { undoRestore } from '../core/restore/undo.ts';
import { lostFilesOf, saveOpen } from '../core/snapshot/saveOpen.ts';
import { takeSnapshot, takeSnapshots } from '../core/snapshot/snapshot.ts';
import { liveStateOf } from '../core/sqlite/siblings.ts';
import { cleanUpBranches, syncBranches } from '../core/states/branches.ts';
import { branchStatus } from '../core/states/branchStatus.ts';
import { installGitHook, uninstallGitHook } from '../core/states/gitHook.ts';
import { checkBaseline, keepBaseline, restoreBaseline } from '../core/states/baseline.ts';
import { copyFromMainTo } from '../core/states/worktrees.ts';
import { verifyBackup } from '../core/verify/verifyBackup.ts';
import type { Method, Methods, Params } from './protocol.ts';

type Handlers = {
  [M in Method]: (
    params: Params<M>,
    hooks: RestoreHooks,
  ) => ReturnType<Methods[M]> | Promise<ReturnType<Methods[M]>>;
};

const handlers: Handlers = {
  checkpoint: (params, hooks) => takeCheckpoints(params, hooks),
  listCheckpoints: ({ checkpoints, database }) => {
    const all = storedIn(checkpointsFolder(checkpoints));
    return database === undefined ? all : thoseThatMayBeOf(all, database);
  },
  catalogCheckpoints({ checkpoints, databases }) {
    const folder = checkpointsFolder(checkpoints);
    const entries = listBackups(folder);
    const known = entries.map(({ group: id, kept }) => ({ id, livePath: kept?.livePath }));
    const ids = databases.map((path) => [path, [...idsOfDatabase(known, path)]]);
    return {
      folder,
      entries,
      ids: Object.fromEntries(ids) as Record<string, string[]>,
    };
  },
  findCheckpoint: ({ checkpoints, named }) => findCheckpoint(checkpointsFolder(checkpoints), named),
  lossesAfter: ({ checkpoint, database, busyTimeoutMs }) =>
    lossesAfter(checkpoint, database, busyTimeoutMs),
  countRows: ({ database, busyTimeoutMs }) => countRows(database, busyTimeoutMs),
  changesAfter: ({ checkpoint, database, busyTimeoutMs }) =>
    changesAfter(checkpoint, database, busyTimeoutMs),
  keepBaseline,
  restoreBaseline,
  checkBaseline,
  syncBranches,
  branchStatus,
  cleanUpBranches,
  copyFromMain: copyFromMainTo,
  installGitHook,
  uninstallGitHook: ({ in: folder }) => uninstallGitHook(folder),
  examine: (subject) => examine(subject),
  inspect({ paths, searchPath }) {
    const found = inspectFiles(paths);
    return searchPath === undefined ? found : withLitestream(found, searchPath);
  },
  findByContent,
  find: ({ folder }) => findDatabases(folder),
  backUp: takeSnapshot,
  backUpTogether: takeSnapshots,
  lostFiles: ({ path }) => lostFilesOf(path),
  saveOpen,
  bundle: takeBundle,
  members: ({ path }) =>
    withBundle(path, ({ members }) =>
      // The facts of each would make the answer many times as long.
      members.map(({ entry: _entry, ...member }) => member),
    ),
  extract: extractBundle,
  extractMember,
  verify: (params, { onProgress }) => verifyBackup(params, onProgress),
  list: ({ folder, ...options }) => listAll(folder, options),
  compare: ({ left, right, deadlineMs }, { onProgress }) => {
    const tell = (doneBytes: number, totalBytes: number): void =>
      onProgress({ phase: 'check', doneBytes, totalBytes });
    return compareDatabases(left, right, tell, { deadlineMs });
  },
  schema: ({ path, member }) =>
    member === undefined ? schemaOf(path) : withSource(path, member, schemaOf),
  lookInside,
  rowsInside,
  schemaInside,
  remark: ({ path, remark }) => remarkOn(path, remark),
  adopt,
  release,
  rename: ({ path, name }) => renameBackup(path, name),
  copyOut: ({ path, to, readOnly }) => copyOut(path, to, { readOnly }),
  planRestore,
  applyRestore,
  moveAside,
  putInPlace,
  proveRestored,
  liveStates: ({ paths }) => paths.map((path) => liveStateOf(resolveTarget(path).realTarget)),
  digests: ({ paths }) =>
    paths.map((path) => {
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      return size === 0 ? null : sha256File(path);
    }),
  surroundings: ({ paths }) => paths.flatMap((path) => remarksOn(resolveTarget(path).realTarget)),
  holders: ({ paths }) => described(holdersOf(paths)),
  endProgram: ({ paths, ...program }) => endProgram(program, () => holdersOf(paths)),
  undoRestore,
  findInterrupted: ({ in: folder }) => findInterrupted(folder),
  recoverInterrupted,
  sweepClaims({ in: folders }) {
    for (const folder of folders) sweepClaims(folder);
    return null;
  },
  listSetAsides: ({ in: folder }) => listSetAsides(folder),
  deleteSetAside: ({ path }) => deleteSetAside(path),
  archiveSetAside: ({ toolVersion = 'unknown', ...params }, hooks) =>
    archiveSetAside({ ...params, toolVersion }, hooks),
  planPruning: ({ folder, policy, only }) => planPruning(folder, policy, new Date(), only),
  remove: ({ folder, paths }) => removeBackups(folder, paths),
  offsiteDestinations: () => storedDestinations(),
  offsiteSetUp: setUpOffsite,
  offsiteSend: (params, { onProgress }) => sendOffsite(params, onProgress),
  offsiteList: listOffsite,
  offsiteFetch: (params, { onProgress }) => fetchOffsite(params, onProgress),
  offsiteProve: (params, { onProgress }) => proveOffsite(params, onProgress),
  offsiteFromLitestream: (params, { onProgress }) => fetchFromLitestream(params, onProgress),
  offsiteExamine: (subject) => checkOffsite(subject),
  offsiteByHand: copiesByHand,
  offsitePlanForgetting: planForgetting,
  offsiteForget: forgetOffsite,
  offsiteStatus,
};

type Handler = (params: unknown, hooks: RestoreHooks) => unknown;

/** Runs one call. `params` come from our own face, in whose types they are checked. */
export function handle(method: Method, params: unknown, hooks: RestoreHooks): unknown {
  return (handlers as Record<Method, Handler>)[method](params, hooks);
}
