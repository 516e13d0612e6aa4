import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const pending: (() => void)[] = [];

/** Runs the synchronous `action` once: when the returned function is called, or when this process ends. */
export function atEnd(action: () => void): () => void {
  if (pending.length === 0) listen();
  pending.push(action);
  return () => {
    const index = pending.indexOf(action);
    if (index === -1) return;
    pending.splice(index, 1);
    action();
  };
}

/** A new folder under the OS temp folder that is gone when this process is. */
export function temporaryFolder(name: string): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), `sqlite-backup-${name}-`));
  const remove = atEnd(() => {
    // A process killed a moment ago may still be finishing a write in here.
    rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });
  return { path, remove };
}

/** Starts a process that never outlives this one; `kill` ends it with all its descendants. */
export function spawnTree(
  command: string,
  args: string[],
  options: SpawnOptions,
): { child: ChildProcess; kill: () => void } {
  // A process group of its own is what makes the descendants reachable on POSIX.
  const child = spawn(command, args, { ...options, detached: process.platform !== 'win32' });
  const kill = atEnd(() => {
    if (child.pid !== undefined) killTree(child.pid);
  });
  return { child, kill };
}

function killTree(pid: number): void {
  if (process.platform === 'win32') {
    spawnSync('taskkill', ['/pid', String(pid), '/T', '/F']);
    return;
  }
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

let listening = false;

function listen(): void {
  if (listening) return;
  listening = true;
  process.once('exit', () => {
    // Newest first: a server goes before the folders that it writes to.
    while (pending.length > 0) pending.pop()?.();
  });
  // A signal alone would end the process without its exit event.
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  if (process.platform !== 'win32') process.once('SIGHUP', () => process.exit(129));
}
