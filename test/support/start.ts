// npm start [FOLDER]: VS Code with the extension in development, until Ctrl+C or the window closes.
// Without a folder, on a sample workspace whose database is written to all the time.
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { findDesktop, openDesktop } from './hosts/desktop.ts';
import { atEnd, temporaryFolder } from './hosts/lifetime.ts';
import { startServer, windowUrl } from './hosts/vscodeServer.ts';
import { createSampleWorkspace, startWriter } from './sampleWorkspace.ts';

const ROOT = resolve(import.meta.dirname, '../..');

execFileSync(process.execPath, ['esbuild.mjs'], { cwd: ROOT, stdio: 'inherit' });
const folder = process.argv[2] ? resolve(process.argv[2]) : liveSample();
const desktop = await findDesktop();
if (desktop) {
  const window = openDesktop(desktop, { folder, extension: ROOT });
  console.log(`VS Code has ${folder} open. Ctrl+C ends it.`);
  process.exit(await window.closed);
}
const server = await startServer();
const url = windowUrl(server, folder, { extension: ROOT });
console.log(`Open ${url}\nVS Code ${server.version} serves ${folder} there. Ctrl+C ends it.`);
await server.exited;
process.exit(1);

function liveSample(): string {
  const sample = temporaryFolder('sample');
  createSampleWorkspace(sample.path);
  const writer = startWriter(sample.path);
  atEnd(() => writer.stop());
  return sample.path;
}
