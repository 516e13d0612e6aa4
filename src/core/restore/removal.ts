/*
 * How a set-aside is removed, so that a stop at any point leaves a state that the next work on its database brings to an
 * end. `.NAME.removing` is its database file while it is looked at for the last time: that one comes back. `.NAME.removed`
 * says that it is decided: what is left of that one goes.
 */
import { lstatSync, readdirSync, renameSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { explain } from '../errors.ts';
import { syncFolder } from '../files/sync.ts';
import { findHolders } from '../holders/holders.ts';
import { parseSetAsideName } from '../manifest/names.ts';
import { type FileState, parts, statesOf } from './parts.ts';
import { dropRecord } from './record.ts';
import { inUse, requireFree } from './target.ts';

function awayPath(path: string, phase: 'removing' | 'removed'): string {
  return join(dirname(path), `.${basename(path)}.${phase}`);
}

/**
 * Removes a set-aside. Its file is taken away from its name first, so that no program can open it any more; when one has
 * done so until then, or `requireSame` throws for the files as they are, it comes back.
 */
export function removeSetAside(
  path: string,
  requireSame: (files: FileState[]) => void = () => undefined,
): { removed: string[] } {
  requireFree([path], { probe: false });
  const [removing, removed] = [awayPath(path, 'removing'), awayPath(path, 'removed')];
  try {
    renameSync(path, removing);
    try {
      requireLeft(removing, path);
      requireSame([...statesOf(removing), ...statesOf(path)]);
      renameSync(removing, removed);
    } catch (error) {
      putBack(removing, path);
      throw error;
    }
    syncFolder(dirname(path));
    return { removed: [path, ...removeRest(path, removed)] };
  } catch (error) {
    throw explain(error, 'target', path);
  }
}

function removeRest(path: string, removed: string): string[] {
  const rest = parts.flatMap((part) => (part !== '' && exists(path + part) ? [path + part] : []));
  for (const one of rest) unlinkSync(one);
  dropRecord(path);
  unlinkSync(removed);
  syncFolder(dirname(path));
  return rest;
}

/** Brings the removals that were stopped in the middle to an end, of the set-asides of a live path that is claimed. */
export function settleRemovals(live: string): void {
  const folder = dirname(live);
  try {
    for (const name of readdirSync(folder)) {
      const found = removalOf(name);
      if (found === undefined || parseSetAsideName(found.name)?.target !== basename(live)) continue;
      const [away, path] = [join(folder, name), join(folder, found.name)];
      if (found.phase === 'removing') putBack(away, path);
      else if (exists(path)) unlinkSync(away); // A set-aside of the same name has come since: its parts stay.
      else removeRest(path, away);
    }
  } catch (error) {
    throw explain(error, 'target', folder);
  }
}

/** The set-aside whose removal a file tells of. */
export function removalOf(
  name: string,
): { name: string; phase: 'removing' | 'removed' } | undefined {
  const [, of = '', phase] = /^\.(.+)\.(removing|removed)$/.exec(name) ?? [];
  if (parseSetAsideName(of) === undefined) return undefined;
  return { name: of, phase: phase === 'removed' ? 'removed' : 'removing' };
}

function putBack(away: string, path: string): void {
  if (exists(path)) return; // Nothing is overwritten: both stay.
  renameSync(away, path);
  syncFolder(dirname(path));
}

function requireLeft(away: string, path: string): void {
  const { holders } = findHolders([away]);
  if (holders.length === 0) return;
  const programs = holders.map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
  throw inUse(path, `${path} is open in ${programs}.`, { programs });
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
