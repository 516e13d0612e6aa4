import { listBackups } from '../core/catalog.ts';
import { findDatabases, inspectFiles } from '../core/discovery.ts';
import { takeSnapshot, type SnapshotHooks } from '../core/snapshot.ts';
import { verifySnapshot } from '../core/verify.ts';
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
  verify: ({ path }, { onProgress }) => verifySnapshot(path, onProgress),
  list: ({ folder }) => listBackups(folder),
};

type Handler = (params: unknown, hooks: SnapshotHooks) => unknown;

/** Runs one call. `params` come from our own face, in whose types they are checked. */
export function handle(method: Method, params: unknown, hooks: SnapshotHooks): unknown {
  return (handlers as Record<Method, Handler>)[method](params, hooks);
}
