import { statSync } from 'node:fs';
import { archiveSetAside } from '../core/archive.ts';
import { takeBundle } from '../core/bundle.ts';
import { listAll } from '../core/catalog.ts';
import { compareDatabases, schemaOf } from '../core/compare.ts';
import { findDatabases, inspectFiles } from '../core/discovery.ts';
import { drillBundle, drillSnapshot } from '../core/drill.ts';
import { sha256File } from '../core/files.ts';
import { copyOut, planPruning, remarkOn, removeBackups, renameBackup } from '../core/keeping.ts';
import { findInterrupted, recoverInterrupted } from '../core/recovery.ts';
import { applyRestore, moveAside, proveRestored, putInPlace } from '../core/restore.ts';
import { liveStateOf, planRestore } from '../core/restorePlan.ts';
import { withSource } from '../core/restoreSource.ts';
import { holdersOf, resolveTarget } from '../core/restoreTarget.ts';
import { deleteSetAside, listSetAsides } from '../core/setAside.ts';
import { undoRestore } from '../core/undo.ts';
import { takeSnapshot, takeSnapshots, type SnapshotHooks } from '../core/snapshot.ts';
import { extractBundle, extractMember, looksLikeBundle, withBundle } from '../core/unbundle.ts';
import { recordVerdict, verifySnapshot } from '../core/verify.ts';
import { verifyBundle } from '../core/verifyBundle.ts';
import type { Method, Methods, Params } from './protocol.ts';

type Handlers = {
  [M in Method]: (
    params: Params<M>,
    hooks: SnapshotHooks,
  ) => ReturnType<Methods[M]> | Promise<ReturnType<Methods[M]>>;
};

const handlers: Handlers = {
  inspect: ({ paths }) => inspectFiles(paths),
  find: ({ folder }) => findDatabases(folder),
  backUp: takeSnapshot,
  backUpTogether: takeSnapshots,
  bundle: takeBundle,
  members: ({ path }) =>
    withBundle(path, ({ members }) =>
      // The facts of each would make the answer many times as long.
      members.map(({ entry: _entry, ...member }) => member),
    ),
  extract: extractBundle,
  extractMember,
  async verify({ path, drill, folder }, { onProgress }) {
    const isBundle = looksLikeBundle(path);
    const verdict = isBundle
      ? await verifyBundle(path, onProgress, folder)
      : verifySnapshot(path, onProgress, folder);
    // First the verdict: there may be no room for a drill.
    const remark = recordVerdict(verdict);
    const findings = remark === undefined ? verdict.findings : [...verdict.findings, remark];
    if (!drill) return { ...verdict, findings };
    const drilled = isBundle ? await drillBundle(verdict, folder) : drillSnapshot(verdict, folder);
    recordVerdict(verdict, drilled);
    return { ...verdict, findings, drill: drilled };
  },
  list: ({ folder, ...options }) => listAll(folder, options),
  compare: ({ left, right }, { onProgress }) =>
    compareDatabases(left, right, (doneBytes, totalBytes) =>
      onProgress({ phase: 'check', doneBytes, totalBytes }),
    ),
  schema: ({ path, member }) =>
    member === undefined ? schemaOf(path) : withSource(path, member, schemaOf),
  remark: ({ path, remark }) => remarkOn(path, remark),
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
  holders: ({ paths }) => holdersOf(paths),
  undoRestore,
  findInterrupted: ({ in: folder }) => findInterrupted(folder),
  recoverInterrupted,
  listSetAsides: ({ in: folder }) => listSetAsides(folder),
  deleteSetAside: ({ path }) => deleteSetAside(path),
  archiveSetAside: ({ toolVersion = 'unknown', ...params }, hooks) =>
    archiveSetAside({ ...params, toolVersion }, hooks),
  planPruning: ({ folder, policy, only }) => planPruning(folder, policy, new Date(), only),
  remove: ({ folder, paths }) => removeBackups(folder, paths),
};

type Handler = (params: unknown, hooks: SnapshotHooks) => unknown;

/** Runs one call. `params` come from our own face, in whose types they are checked. */
export function handle(method: Method, params: unknown, hooks: SnapshotHooks): unknown {
  return (handlers as Record<Method, Handler>)[method](params, hooks);
}
