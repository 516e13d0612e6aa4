/** What the hook of agents has to know of the editor: `runtime/agents` in the data folder, four lines. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { dataFolderPath, makeDataFolder } from '../core/files/dataFolder.ts';
import { replacePrivateFile } from '../core/files/publish.ts';

export interface AgentsRuntime {
  /** The program that runs the editor's extensions, which is a Node. */
  execPath: string;
  whenNotSaved: 'ask' | 'continue';
  /** Where checkpoints are, and what they may take: as the editor's own. */
  checkpoints: string | undefined;
  largestTotalBytes: number;
}

/** Writes it for the hook, or takes it away. Throws when the data folder cannot be written. */
export function tellAgentsHook(runtime: AgentsRuntime | undefined): void {
  const path = join(dataFolderPath(), 'runtime', 'agents');
  if (runtime === undefined) return rmSync(path, { force: true });
  makeDataFolder('runtime');
  const { execPath, whenNotSaved, checkpoints = '', largestTotalBytes } = runtime;
  const lines = [execPath, whenNotSaved, checkpoints, String(largestTotalBytes)];
  replacePrivateFile(path, lines.map((line) => `${line}\n`).join(''));
}

/** What the editor's settings say of checkpoints; nothing where no editor has told. */
export function checkpointsOfEditor(): {
  checkpoints: string | undefined;
  largestTotalBytes: number | undefined;
} {
  const [, , checkpoints = '', bytes = ''] = linesOfRuntime();
  const largestTotalBytes = Number(bytes);
  return {
    checkpoints: checkpoints === '' ? undefined : checkpoints,
    largestTotalBytes: largestTotalBytes > 0 ? largestTotalBytes : undefined,
  };
}

function linesOfRuntime(): string[] {
  try {
    return readFileSync(join(dataFolderPath(), 'runtime', 'agents'), 'utf8').split('\n');
  } catch {
    return [];
  }
}
