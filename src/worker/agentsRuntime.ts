/** What the hook of agents has to know of the editor: `runtime/agents` in the data folder, two lines. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { dataFolderPath, makeDataFolder } from '../core/files/dataFolder.ts';
import { replacePrivateFile } from '../core/files/publish.ts';

export interface AgentsRuntime {
  /** The program that runs the editor's extensions, which is a Node. */
  execPath: string;
  whenNotSaved: 'ask' | 'continue';
}

/** Writes it for the hook, or takes it away. Throws when the data folder cannot be written. */
export function tellAgentsHook(runtime: AgentsRuntime | undefined): void {
  const path = join(dataFolderPath(), 'runtime', 'agents');
  if (runtime === undefined) return rmSync(path, { force: true });
  makeDataFolder('runtime');
  replacePrivateFile(path, `${runtime.execPath}\n${runtime.whenNotSaved}\n`);
}
