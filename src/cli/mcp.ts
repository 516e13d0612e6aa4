import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { serveMcp } from '../agents/mcpServer.ts';
import { rootOf } from '../agents/project.ts';
import { checkpointsOfEditor } from '../worker/agentsRuntime.ts';
import { askedCheckpoints, takeAll } from './checkpoint.ts';
import { exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const mcp: Verb = {
  isQuestion: true,
  examples: ['mcp', 'mcp --root /srv/shop --to /srv/backups'],
  summary: 'Serve the tools for agents over MCP, on stdin and stdout. No tool restores or deletes.',
  usage: 'mcp [--root FOLDER]… [--to DIR] [--checkpoints DIR]',
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        root: { type: 'string', multiple: true },
        to: { type: 'string' },
        checkpoints: { type: 'string' },
      },
    });
    if (positionals.length > 0) throw new UsageError('mcp takes no arguments but its options.');
    const { root = [rootOf(process.cwd()) ?? '.'] } = values;
    const to = values.to ?? process.env['BACKUPS_DIR'] ?? '';
    const ofEditor = checkpointsOfEditor();
    const checkpoints = askedCheckpoints(values) ?? ofEditor.checkpoints;
    const { largestTotalBytes } = ofEditor;
    const serve = await load();
    await serve(
      {
        call: (method, params, deadlineMs) =>
          context.worker.call(method, params, { signal: context.signal, deadlineMs }),
        checkpoint: (databases, cause) =>
          takeAll(databases, { cause, checkpoints, largestTotalBytes }, context),
        folders: () => root.map((folder) => resolve(folder)),
        checkpoints: () => checkpoints,
        backupsFolder: () => Promise.resolve(to === '' ? undefined : resolve(to)),
        now: Date.now,
      },
      context.toolVersion,
    );
    return exitCodes.ok;
  },
};

/** Beside the bundle when bundled, else the source. The name is not seen by the bundler: only this verb loads it. */
async function load(): Promise<typeof serveMcp> {
  const bundled = fileURLToPath(new URL('./mcp.js', import.meta.url));
  const file = existsSync(bundled)
    ? bundled
    : fileURLToPath(new URL('../agents/mcpServer.ts', import.meta.url));
  const module = (await import(pathToFileURL(file).href)) as { serveMcp: typeof serveMcp };
  return module.serveMcp;
}
