/**
 * Stops this process's file operations in a folder one by one: before each that changes something, a test can look, let
 * another program work, throw an error of the system, or end everything as a kill would. SQLite's own writes are not among
 * them; test/faults has those.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

export interface Step {
  /** From 1, of those in the folder. */
  nth: number;
  call: string;
  /** What it changes, relative to the folder. */
  name: string;
}

type Hook = (step: Step) => void;
type Call = (...args: unknown[]) => unknown;

/** Where the path that changes is among the arguments. */
const calls = {
  linkSync: 1,
  renameSync: 1,
  unlinkSync: 0,
  rmSync: 0,
  mkdirSync: 0,
  openSync: 0,
  copyFileSync: 1,
  writeFileSync: 0,
  chmodSync: 0,
  chownSync: 0,
} as const;

const real = Object.fromEntries(
  Object.keys(calls).map((name) => [name, Reflect.get(fs, name) as Call]),
);

/** Runs `action` with `hook` before each operation in `folder`. Operations of the hook itself are left alone. */
export async function whileDisturbed<T>(
  folder: string,
  hook: Hook,
  action: () => Promise<T>,
): Promise<T> {
  let nth = 0;
  let isInHook = false;
  for (const [call, at] of Object.entries(calls)) {
    const replacement: Call = (...args) => {
      const path = args[at];
      const changes =
        call !== 'openSync' || (args[1] !== 'r' && args[1] !== undefined && !isForReading(args[1]));
      if (isInHook || typeof path !== 'string' || !path.startsWith(folder) || !changes)
        return real[call]?.(...args);
      isInHook = true;
      try {
        hook({ nth: ++nth, call: call.replace('Sync', ''), name: path.slice(folder.length) });
      } finally {
        isInHook = false;
      }
      return real[call]?.(...args);
    };
    Reflect.set(fs, call, replacement);
  }
  syncBuiltinESMExports();
  try {
    return await action();
  } finally {
    for (const [call, original] of Object.entries(real)) Reflect.set(fs, call, original);
    syncBuiltinESMExports();
  }
}

function isForReading(flags: unknown): boolean {
  const { O_WRONLY, O_RDWR, O_CREAT } = fs.constants;
  return typeof flags === 'number' && (flags & (O_WRONLY | O_RDWR | O_CREAT)) === 0;
}

/** All operations that `action` does in a folder. */
export async function stepsOf(folder: string, action: () => Promise<unknown>): Promise<Step[]> {
  const steps: Step[] = [];
  await whileDisturbed(folder, (step) => steps.push(step), action);
  return steps;
}

/** The end of the process: nothing that comes after it happens, clean-up included. */
export class Killed extends Error {}

/** Kills at the nth operation. */
export function killAt(nth: number): Hook {
  return (step) => {
    if (step.nth >= nth) throw new Killed(`at ${step.call} ${step.name}`);
  };
}

/** Lets the nth operation fail once. */
export function failAt(nth: number, code: 'EIO' | 'ENOSPC'): Hook {
  return ({ nth: at, call, name }) => {
    if (at === nth) throw systemError(code, call, name);
  };
}

/** As on a file system without hard links. */
export function withoutHardLinks(hook: Hook = () => undefined): Hook {
  return (step) => {
    hook(step);
    if (step.call === 'link') throw systemError('EPERM', step.call, step.name);
  };
}

function systemError(code: string, call: string, name: string): Error {
  return Object.assign(new Error(`${code}: injected, ${call} '${name}'`), { code, syscall: call });
}
